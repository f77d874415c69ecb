"""From events to findings: the whole computation of one site as a plain object, without I/O and without await.

Fed by the service (live) and by `replay` (files) alike, in batches of any size: order is restored, the graph grows, each closed
step is scored, faults and alarms follow. `snapshot` and `restore` are bit-exact: a restored pipeline goes on as if it had never
stopped. What it answers depends on the events alone, not on how they were batched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from agents.alarmrules import AlarmRules
from agents.alarms import Alarms
from agents.run import Order
from agents.runbook import Runbook
from graph.detection.detector import Detector
from graph.detection.evidence import Step
from graph.detection.model import Model
from graph.faultpath.state import FaultState
from graph.faultpath.tracker import FaultTracker
from graph.nn.finder import GraphFinder
from graph.nn.origins import shipped
from graph.pending import Pending
from graph.topology import Topology
from schemas.action import Action
from schemas.event import ActionResult, Connected, ControlAlarm, Disconnected, Event, Micros
from schemas.finding import Alert
from schemas.frame import pack
from streams.snapshots import FORMAT, SnapshotError, graph_in
from streams.windows import Lateness, Released, Reorder, Run

DAY = 86_400_000_000


class Counts(msgspec.Struct):
    """`accepted` events are valid and new; `late` ones among them came too late to be scored."""

    accepted: int = 0
    duplicate: int = 0
    late: int = 0


class Reaction(msgspec.Struct):
    """What a batch of events gave rise to, each list in the order of event time."""

    steps: list[Step] = []
    faults: list[FaultState] = []
    alerts: list[Alert] = []
    actions: list[Action] = []
    orders: list[Order] = []
    results: list[Event] = []
    counts: Counts = msgspec.field(default_factory=Counts)


class Pipeline:
    """One site's state, touched by one thread.

    `horizon`: how long, in microseconds of event time, the graph keeps its past and its tombstones. `now` is the event time of
    what was last looked at: a step, or an event of the control system. `projected`: note in `pending` what a database of the
    graph does not have yet.
    """

    def __init__(
        self,
        site: str,
        *,
        model: Model | None = None,
        lateness: Lateness | None = None,
        horizon: int = DAY,
        runbook: Runbook | None = None,
        alarm_rules: AlarmRules | None = None,
        projected: bool = False,
    ) -> None:
        self.site = site
        self.topology = Topology()
        self.pending = Pending(self.topology) if projected else None
        self.counts = Counts()
        self._model = model
        self._horizon = horizon
        self._reorder = Reorder(lateness or Lateness())
        self._detector = Detector(model)
        self._tracker = FaultTracker(GraphFinder(shipped()))
        self._alarms = Alarms(site, rules=alarm_rules)
        self._runbook = runbook or Runbook(site, ())
        self._at = self._reorder.watermark
        self.now = self._reorder.watermark

    def __call__(self, events: Sequence[Event]) -> Reaction:
        """Take in events in any order; what they made known."""
        return self._react(self._reorder.push(events), len(events))

    def finish(self) -> Reaction:
        """The end of a recording: what still waits is taken in."""
        return self._react(self._reorder.finish(), 0)

    @property
    def watermark(self) -> Micros:
        return self._reorder.watermark

    @property
    def asks_for_runs(self) -> bool:
        """Whether the runbook has rules with tasks."""
        return any(rule.tasks for rule in self._runbook.rules)

    @property
    def model_name(self) -> str:
        return self._detector.model.name

    @property
    def model_digest(self) -> str:
        return self._detector.model.digest

    def _react(self, released: Released, received: int) -> Reaction:
        reaction = Reaction()
        reaction.counts = Counts(received - released.duplicates, released.duplicates, len(released.late))
        for run in released.runs:
            self._go_through(run, reaction)
        if self.pending is not None:
            self.pending.found(reaction.alerts, reaction.faults)
        self._count(reaction.counts)
        self._forget()
        return reaction

    def _go_through(self, run: Run, reaction: Reaction) -> None:
        """Late events reach the graph only after all steps that they are too late for, however they were batched."""
        for event in run.ready:
            if event.stamp.at != self._at:
                self._close(Micros(event.stamp.at - 1), reaction)
                self._at = event.stamp.at
            self._take(event, reaction)
        if run.watermark > self._at:
            self._close(Micros(run.watermark - 1), reaction)
        self.topology.merge(run.late)
        # A device's answer counts however late it is: whoever waits for it has nothing else to go by.
        reaction.results += [event for event in run.late if isinstance(event.body, ActionResult)]

    def _take(self, event: Event, reaction: Reaction) -> None:
        self.topology.merge((event,))
        self._detector.push(event, self.topology)
        body = event.body
        if isinstance(body, ControlAlarm | Disconnected | Connected):
            self.now = event.stamp.at
            self._alert(self._alarms.control(event, self.topology), reaction)
        elif isinstance(body, ActionResult):
            reaction.results.append(event)

    def _close(self, until: Micros, reaction: Reaction) -> None:
        for step in self._detector.close(until, self.topology):
            self.now = step.at
            faults = self._tracker.update(step, self.topology)
            reaction.steps.append(step)
            reaction.faults += faults
            self._alert(self._alarms.update(step, faults, self.topology), reaction)

    def _alert(self, alerts: Sequence[Alert], reaction: Reaction) -> None:
        """The runbook is asked at once, so that it sees the fault and the graph as they were at the alarm."""
        for alert in alerts:
            reaction.alerts.append(alert)
            plan = self._runbook.plan(alert, self._alarms.fault(alert.fault_id), self.topology)
            reaction.actions += plan.actions
            reaction.orders += plan.orders

    def _count(self, counts: Counts) -> None:
        self.counts.accepted += counts.accepted
        self.counts.duplicate += counts.duplicate
        self.counts.late += counts.late

    def _forget(self) -> None:
        """The graph's past shrinks a tenth of the horizon at a time, so that it costs next to nothing."""
        before = Micros(self._at - self._horizon)
        if self._at > 0 and (self.topology.forgotten is None or before - self.topology.forgotten > self._horizon // 10):
            self.topology.forget(before)

    # --- State ---------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """All state; with the model's digest, but without the model if it was trained elsewhere."""
        return msgspec.msgpack.encode(
            {
                "format": FORMAT,
                "site": self.site,
                "model": self._model.digest if self._model else None,
                "topology": pack(self.topology.kept()),
                "forgotten": self.topology.forgotten,
                "reorder": self._reorder.state(),
                "detector": self._detector.snapshot(),
                "tracker": self._tracker.snapshot(),
                "alarms": self._alarms.snapshot(),
                "counts": self.counts,
                "at": self._at,
                "now": self.now,
                "pending": self.pending.state() if self.pending is not None else None,
            }
        )

    def restore(self, snapshot: bytes) -> None:
        """Go on where a snapshot was taken. Raises SnapshotError."""
        held: dict[str, Any] = msgspec.msgpack.decode(snapshot)
        expected = {"format": FORMAT, "site": self.site, "model": self._model.digest if self._model else None}
        for name, value in expected.items():
            if held.get(name) != value:
                raise SnapshotError(f"the snapshot has {name} {held.get(name)!r}, this service {value!r}")
        self.topology = graph_in(held)
        if self.pending is not None:
            self.pending = Pending.restored(self.topology, held.get("pending"))
        self._reorder.restore(held["reorder"])
        self._detector.restore(held["detector"])
        self._tracker.restore(held["tracker"])
        self._alarms.restore(held["alarms"])
        self.counts = msgspec.convert(held["counts"], Counts)
        self._at, self.now = Micros(held["at"]), Micros(held["now"])
