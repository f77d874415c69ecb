"""One alarm while it stands, and what its transitions say."""

from __future__ import annotations

import msgspec

from graph.detection.evidence import Step
from graph.faultpath.state import FaultState
from graph.topology import Topology
from schemas.device import DeviceId
from schemas.event import Micros, Severity, rfc3339
from schemas.finding import Alert, AlertState, Explanation, NeighbourShare

ANOMALY = "anomaly"
FAULT = "fault"
DISCONNECTED = "disconnected"
CONTROL = "control:"
"""What the name of a control system's own alarm is put behind."""

MOST_SHARES = 10


class Standing(msgspec.Struct):
    """An alarm that is open: what was last said of it, and how long it has been quiet."""

    alert: Alert
    quiet_since: Micros | None = None
    quiet_steps: int = 0
    told_origin: DeviceId | None = None

    @property
    def severity(self) -> Severity:
        return self.alert.severity

    def change(self, at: Micros, **changed: object) -> Alert:
        """The next transition, which is then what was last said."""
        self.alert = msgspec.structs.replace(self.alert, time=rfc3339(at), state=AlertState.UPDATED, **changed)
        return self.alert

    def clear(self, at: Micros, *, score: float, explanation: Explanation) -> Alert:
        """The last transition."""
        return msgspec.structs.replace(
            self.alert, time=rfc3339(at), state=AlertState.CLEARED, score=score, explanation=explanation
        )


def members(fault: FaultState) -> set[DeviceId]:
    """The devices that belong to a fault: those affected, those on its path, and where it most probably began."""
    ends = {end for way in fault.path for end in (way.source, way.target)}
    return ends | {device for device, _ in fault.affected} | {device for device, _ in fault.origins[:1]}


def likeliest(fault: FaultState) -> DeviceId | None:
    """Where the fault most probably began; without any origin, what it affected first."""
    named = fault.origins or fault.affected
    return named[0][0] if named else None


def fault_explanation(fault: FaultState, step: Step, device: DeviceId, topology: Topology) -> Explanation:
    """Why the alarm of this device is the fault's parent.

    While the device is the likeliest origin, its own evidence; if it shows none, the affected devices next to it (or all of
    them). Once another is likelier, the origins with their probabilities. Shares sum to 1.
    """
    if likeliest(fault) != device:
        return _shares(dict(fault.origins))
    own = step.explain(device)
    if own.signals or own.neighbours:
        return own
    affected = {other: 1.0 for other, _ in fault.affected if other != device}
    beside = {end for edge in topology.edges_of(device) for end in (edge.source, edge.target)}
    return _shares({other: part for other, part in affected.items() if other in beside} or affected)


def _shares(parts: dict[DeviceId, float]) -> Explanation:
    most = sorted(parts.items(), key=lambda item: (-item[1], item[0]))[:MOST_SHARES]
    total = sum(part for _, part in most)
    if total <= 0:
        return Explanation()
    return Explanation(neighbours=tuple(NeighbourShare(device, part / total) for device, part in most if part > 0))
