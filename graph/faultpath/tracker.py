"""Follows faults through time: opens one when the plant's score crosses its threshold, and says where it began and spread.

Fed with the detector's steps, used by the pipeline and the alarms. A fault belongs to one connected part of the plant, so
faults in parts that no edge joins are told apart. While one is open it is updated at each step at first, later every few steps
or when the affected devices change; it closes after a quiet time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from graph.detection.evidence import Step
from graph.detection.table import STALE_STEPS
from graph.faultpath.clues import NEVER, Clues
from graph.faultpath.finder import Finder, Verdict
from graph.faultpath.influence import Influence
from graph.faultpath.origins import origins, unexplained
from graph.faultpath.paths import ways
from graph.faultpath.spread import Spread
from graph.faultpath.state import FaultState, fault_id
from graph.topology import Topology
from schemas.device import DeviceId
from schemas.event import Micros

Floats = NDArray[np.float64]

LOOK_BACK = 6
"""Steps before the opening in which onsets are still part of the fault."""
CLOSE_AFTER = 6
"""Steps below `STAYS_OPEN` times the threshold that close a fault, and at least"""
CLOSE_TIME = 30_000_000
"""micros."""
STAYS_OPEN = 0.8
DENSE_UPDATES = 24
SPARSE_UPDATES = 6
NAMED = 20
LEVEL_PACE = 0.05
"""How fast a device's usual shift is learnt while the plant is quiet."""


class _Open(msgspec.Struct):
    """A fault that goes on in one part of the plant."""

    opened_at: Micros
    part: int
    first: DeviceId
    clues: Clues
    updates: int = 0
    quiet_since: Micros | None = None
    told: int = 0


class FaultTracker:
    """One per site. Without a `finder` a random walk ranks the origins of numeric faults."""

    def __init__(self, finder: Finder | None = None) -> None:
        self._finder = finder
        self._open: dict[int, _Open] = {}
        self._recent: deque[Step] = deque(maxlen=LOOK_BACK)
        self._devices: tuple[DeviceId, ...] = ()
        self._level = np.zeros(0)
        self._influence: Influence | None = None

    def update(self, step: Step, topology: Topology) -> list[FaultState]:
        """Take in the next step; the faults that it opened, changed or closed."""
        self._follow_devices(step)
        self._take_back(step)
        states = self._follow_faults(step, topology) if step.anomalous or self._open else []
        if not self._open:
            self._level += LEVEL_PACE * (step.shift - self._level)
        self._recent.append(step)
        return states

    def _follow_faults(self, step: Step, topology: Topology) -> list[FaultState]:
        influence = self._influence
        if influence is None or influence.version != topology.version or influence.watched != step.devices:
            influence = self._influence = Influence(topology, step.devices)
        if step.anomalous:
            self._open_new(step, influence)
        told = [self._go_on(fault, step, influence) for fault in list(self._open.values())]
        return [state for state in told if state is not None]

    def _follow_devices(self, step: Step) -> None:
        """Keep what is known of each device when the list of devices changes."""
        if step.devices == self._devices:
            return
        known = dict(zip(self._devices, self._level, strict=True))
        self._level = np.array([known.get(device, 0.0) for device in step.devices])
        self._devices = step.devices
        for fault in self._open.values():
            fault.clues = fault.clues.on(step)

    def _take_back(self, step: Step) -> None:
        """When a device turns out to be silent, the steps in which it was thought to stand still are no evidence."""
        before = self._recent[-1] if self._recent else step
        if step.gone <= before.gone or before.devices != step.devices:
            return
        new = np.array([device in step.gone and device not in before.gone for device in step.devices])
        if not (new & before.numeric & ~step.numeric).any():
            return
        doubtful = {self._recent.pop().at for _ in range(min(STALE_STEPS - 1, len(self._recent)))}
        for fault in self._open.values():
            if fault.opened_at in doubtful:
                others = [number for number, device in enumerate(step.devices) if device not in before.gone]
                numeric, fault.clues = fault.clues.numeric, fault.clues.without(others)
                fault.clues.numeric, fault.clues.level = numeric, self._level.copy()
                fault.clues.notice()

    # --- Opening and closing ----------------------------------------------------------------------------------------------

    def _open_new(self, step: Step, influence: Influence) -> None:
        """A fault for each part of the plant with a strange device, or for the part of the strangest."""
        strangest = np.argsort(-step.score / step.threshold, kind="stable")
        part_of = [int(influence.part[influence.place[device]]) for device in step.devices]
        for place in strangest[influence.present[[influence.place[step.devices[place]] for place in strangest]]]:
            over = step.score[place] > step.threshold[place]
            if not over and self._open:
                break
            if part_of[place] not in self._open:
                self._open[part_of[place]] = self._begin(step, part_of[place], step.devices[place])

    def _begin(self, step: Step, part: int, first: DeviceId) -> _Open:
        clues = Clues.begin(step, self._level)
        for earlier in self._recent:
            if earlier.devices == step.devices:
                clues.add(earlier)
        clues.notice()
        return _Open(step.at, part, first, clues)

    def _go_on(self, fault: _Open, step: Step, influence: Influence) -> FaultState | None:
        fault.clues.add(step)
        if step.plant > STAYS_OPEN * step.plant_threshold:
            fault.quiet_since = None
        elif fault.quiet_since is None:
            fault.quiet_since = step.at
        quiet = 0 if fault.quiet_since is None else step.at - fault.quiet_since
        closes = quiet >= max(CLOSE_TIME, CLOSE_AFTER * self._pace(step))
        if closes:
            del self._open[fault.part]
        return self._tell(fault, step, influence, closes=closes)

    def _pace(self, step: Step) -> int:
        """Micros between steps."""
        return step.at - self._recent[-1].at if self._recent else 0

    # --- What is known ----------------------------------------------------------------------------------------------------

    def _tell(self, fault: _Open, step: Step, influence: Influence, *, closes: bool) -> FaultState | None:
        fault.updates += 1
        shown = int((fault.clues.affected() != NEVER).sum())
        due = fault.updates <= DENSE_UPDATES or fault.updates % SPARSE_UPDATES == 0 or closes
        if not due and fault.told == shown:
            return None
        fault.told = shown
        verdict = self._judge(fault, step, influence)
        likely = np.where(influence.present, origins(influence, fault.clues, verdict.origin if verdict else None), 0.0)
        order = np.lexsort((~influence.present, -likely))[: min(NAMED, int(influence.present.sum()))]
        spread = Spread(fault.part, fault.opened_at, fault.clues, influence, verdict)
        origin = int(order[0])
        return FaultState(
            fault_id=fault_id(fault.opened_at, fault.first),
            opened_at=fault.opened_at,
            updated_at=step.at,
            closed_at=step.at if closes else None,
            origins=tuple((influence.names[place], float(likely[place])) for place in order),
            affected=tuple(spread.affected().items()),
            path=ways(influence, origin, spread.reached(), fault.clues, spread.certain()),
            forecast=() if closes else spread.forecast(origin, step.at),
        )

    def _judge(self, fault: _Open, step: Step, influence: Influence) -> Verdict | None:
        if self._finder is None or step.sensing is None:
            return None
        return self._finder.judge(influence, unexplained(influence, fault.clues), step.sensing)

    # --- State ------------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """All that is remembered, bit-exact."""
        faults = [
            (fault.opened_at, fault.part, fault.first, fault.clues.packed(), fault.updates, fault.quiet_since, fault.told)
            for fault in self._open.values()
        ]
        recent = [step.packed() for step in self._recent]
        return msgspec.msgpack.encode(
            {"open": faults, "recent": recent, "devices": self._devices, "level": self._level.tobytes()}
        )

    def restore(self, state: bytes) -> None:
        """Go on where a snapshot was taken."""
        held: Mapping[str, Any] = msgspec.msgpack.decode(state)
        self._open = {}
        for opened_at, part, first, clues, updates, quiet_since, told in held["open"]:
            self._open[part] = _Open(opened_at, part, first, Clues.unpacked(clues), updates, quiet_since, told)
        self._recent = deque((Step.unpacked(step) for step in held["recent"]), maxlen=LOOK_BACK)
        self._devices = tuple(held["devices"])
        self._level = np.frombuffer(held["level"], dtype=np.float64).copy()
        self._influence = None
