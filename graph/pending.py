"""What a database does not have yet, of one site: keys that changed and findings in their last state.

State of the pipeline, in its thread and in its snapshot, so that after a crash what was not written is written again. It grows
with the graph, not with the time for which the database is away: a key waits once, however often it changes.

Written in rounds: all that waits when a round begins is complete in the database when its last part is. What changes meanwhile
waits for the next round.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Self

import msgspec

from graph.changes import Changes
from graph.claims import EdgeKey
from graph.faultpath.state import FaultState
from graph.store import Batch, Outcome
from graph.topology import Topology
from graph.validity import AlarmRow, FaultRow, device_row, edge_row
from schemas.device import DeviceId
from schemas.finding import Alert, AlertState

logger = logging.getLogger(__name__)
MOST_FINDINGS = 20_000
"""Alarms and faults that wait; beyond it the oldest are left to `projection rebuild`, which reads them from disk."""

MOST_KEYS = 50_000
"""Keys that a snapshot names; beyond it, it says that all of the graph is to be written, and names what the graph forgot."""

Item = DeviceId | EdgeKey | AlarmRow | FaultRow


class _State(msgspec.Struct):
    """As a snapshot holds it. `everything` stands for every key of the graph; others may be named beside it."""

    everything: bool
    projected: int
    devices: list[DeviceId] = []
    edges: list[EdgeKey] = []
    alarms: list[AlarmRow] = []
    faults: list[FaultRow] = []


class _Round:
    def __init__(self, items: Sequence[Item], through: int, *, everything: bool) -> None:
        self.items = items
        self.through = through
        self.everything = everything
        self.done = 0

    @property
    def left(self) -> Sequence[Item]:
        return self.items[self.done :]


class Pending:
    """Watches a graph. `everything`: nothing of it is written yet, as far as is known."""

    def __init__(self, topology: Topology, *, everything: bool = False) -> None:
        self._topology = topology
        self._changes = topology.changes = Changes()
        self._alarms: dict[str, AlarmRow] = {}
        self._faults: dict[str, FaultRow] = {}
        self._everything = everything
        self._projected = -1
        self._round: _Round | None = None
        self.left_out = 0

    def __len__(self) -> int:
        """Rows that wait; 1 where that is every row there is and none is counted yet."""
        return self.fresh + (len(self._round.items) - self._round.done if self._round else 0)

    @property
    def fresh(self) -> int:
        """Rows that wait and are in no round yet."""
        changes = self._changes
        return len(changes.devices) + len(changes.edges) + len(self._alarms) + len(self._faults) + self._everything

    def found(self, alerts: Iterable[Alert], faults: Iterable[FaultState]) -> None:
        """New states of alarms and faults, in their order."""
        rows = [AlarmRow(alert, alert.time if alert.state is AlertState.RAISED else None) for alert in alerts]
        self._alarms = _newest([*self._alarms.values(), *rows]) if rows else self._alarms
        for fault_id, fault in {fault.fault_id: fault for fault in faults}.items():
            self._faults.pop(fault_id, None)
            self._faults[fault_id] = fault.finding()
        self._bound(self._alarms)
        self._bound(self._faults)

    def _bound(self, waiting: dict[str, Any]) -> None:
        while len(waiting) > MOST_FINDINGS:
            if not self.left_out:
                logger.warning("the projection is away and many findings wait: `projection rebuild` brings the oldest later")
            del waiting[next(iter(waiting))]
            self.left_out += 1

    def take(self, *, site: str, origin: str, offset: int, limit: int, empty: bool = False) -> Batch | None:
        """The next rows to write, as they are now; None if nothing waits.

        `offset`: the first record of the log that this graph does not know yet. Asked again before `done`, the same keys come.
        `empty`: a batch without rows where nothing waits; it tells the database how far it is, and shows if that has lost any.
        """
        if self._round is None and not self._begin(offset, empty=empty):
            return None
        assert self._round is not None
        part = self._round.items[self._round.done : self._round.done + limit]
        return Batch(
            site=site,
            origin=origin,
            after=self._projected,
            through=self._round.through,
            last=self._round.done + len(part) >= len(self._round.items),
            devices=tuple(device_row(self._topology, item) for item in sorted(_of(str, part))),
            edges=tuple(edge_row(self._topology, item) for item in sorted(_of(tuple, part))),
            alarms=tuple(_of(AlarmRow, part)),
            faults=tuple(_of(FaultRow, part)),
        )

    def _begin(self, offset: int, *, empty: bool) -> bool:
        if not self.fresh and not empty:
            return False
        devices, edges = self._changes.devices, self._changes.edges
        if self._everything:
            # With what changed and is forgotten by now: it is to end in the database too.
            known = self._topology.keys()
            devices, edges = devices.union(known[0]), edges.union(known[1])
        items: list[Item] = [*devices, *edges, *self._alarms.values(), *self._faults.values()]
        self._round = _Round(items, offset, everything=self._everything)
        self._everything = False
        self._changes = self._topology.changes = Changes()
        self._alarms, self._faults = {}, {}
        return True

    def done(self, batch: Batch, outcome: Outcome) -> None:
        """What the database did with what was taken last."""
        assert self._round is not None
        match outcome:
            case Outcome.WRITTEN:
                self._round.done += len(batch)
                if batch.last:
                    self._finish(batch.through)
            case Outcome.KNOWN:
                self._finish(batch.through)
            case Outcome.LOST:
                self.restart()
            case Outcome.FENCED:
                pass

    def _finish(self, through: int) -> None:
        self._projected = max(self._projected, through)
        self._round = None

    def restart(self) -> None:
        """Write everything again. Findings that still wait go on waiting."""
        if self._round is not None:
            self._alarms = _newest([*_of(AlarmRow, self._round.left), *self._alarms.values()])
            self._faults = {row.fault_id: row for row in [*_of(FaultRow, self._round.left), *self._faults.values()]}
        self._everything, self._projected, self._round = True, -1, None

    # --- State ---------------------------------------------------------------------------------------------------------

    def state(self) -> Any:
        """Plain data. A round that is not finished begins again after a restart."""
        left: Sequence[Item] = self._round.left if self._round else ()
        alarms = list(_newest([*_of(AlarmRow, left), *self._alarms.values()]).values())
        faults = [*_of(FaultRow, left), *self._faults.values()]
        devices = {*_of(str, left), *self._changes.devices}
        edges = {*_of(tuple, left), *self._changes.edges}
        everything = self._everything or (self._round is not None and self._round.everything)
        if everything or len(devices) + len(edges) > MOST_KEYS:
            everything = True
            devices -= self._topology.presence.newest.keys()
            edges -= self._topology.links.newest.keys()
        return msgspec.to_builtins(_State(everything, self._projected, list(devices), list(edges), alarms, faults))

    @classmethod
    def restored(cls, topology: Topology, state: Any) -> Self:
        """As `state` left it; everything waits if there is none, as after a time without a database."""
        pending = cls(topology, everything=state is None)
        if state is not None:
            held = msgspec.convert(state, _State)
            pending._everything, pending._projected = held.everything, held.projected
            pending._changes.devices.update(held.devices)
            pending._changes.edges.update(held.edges)
            pending.found_rows(held.alarms, held.faults)
        return pending

    def found_rows(self, alarms: Iterable[AlarmRow], faults: Iterable[FaultRow]) -> None:
        """Alarms and faults as rows, from a snapshot or from disk."""
        self._alarms = _newest([*self._alarms.values(), *alarms])
        self._faults |= {fault.fault_id: fault for fault in faults}


def _newest(rows: Iterable[AlarmRow]) -> dict[str, AlarmRow]:
    """The last of each alarm, with what an earlier one knew."""
    newest: dict[str, AlarmRow] = {}
    for row in rows:
        held = newest.get(row.alert_id)
        newest[row.alert_id] = row if held is None or row.raised_at else AlarmRow(row.alert, held.raised_at)
    return newest


def _of(kind: type[Any], items: Iterable[Item]) -> list[Any]:
    return [item for item in items if isinstance(item, kind)]
