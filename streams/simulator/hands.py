"""Who does what the service asks for: turns valves, switches pumps, goes and looks."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.action import Action
from schemas.device import DeviceId
from schemas.event import ActionStatus, Micros
from streams.simulator.equipment import Equipment
from streams.simulator.faults import Fault, FaultKind
from streams.simulator.process import Process

REMEMBERED = 10_000
"""Action ids that are known as done before; a repeat of one is not done again."""


@dataclass(frozen=True)
class Answer:
    """What became of an action, for an `action.result`."""

    action_id: str
    device: DeviceId
    status: ActionStatus
    detail: str


class Hands:
    """Actions wait here for the next step. `shut` and `stopped` of the process are theirs."""

    def __init__(self, process: Process, equipment: Equipment) -> None:
        self._process = process
        self._equipment = equipment
        self._waiting: list[tuple[DeviceId, Action]] = []
        self._known: deque[str] = deque(maxlen=REMEMBERED)

    def take(self, device: DeviceId, action: Action) -> None:
        if action.action_id not in self._known:
            self._known.append(action.action_id)
            self._waiting.append((device, action))

    def work(self, at: Micros, faults: Sequence[Fault]) -> list[Answer]:
        """Do what waits, in the order of its coming. Whose time has passed at `at` is not done."""
        waiting, self._waiting = self._waiting, []
        return [Answer(action.action_id, device, *self._one(device, action, at, faults)) for device, action in waiting]

    def _one(self, device: DeviceId, action: Action, at: Micros, faults: Sequence[Fault]) -> tuple[ActionStatus, str]:
        if at >= action.expiry:
            return ActionStatus.EXPIRED, f"asked for until {action.expires_at}"
        match action.verb, self._equipment.type(device):
            case "inspect", _:
                return ActionStatus.SUCCEEDED, _sight(device, faults)
            case "isolate" | "open", "pipe" | "valve" | "junction":
                return self._turn(device, shut=action.verb == "isolate")
            case "isolate" | "stop", "pump":
                self._process.stopped.add(device)
                return ActionStatus.SUCCEEDED, "stopped by hand"
            case "start", "pump":
                return self._start(device, faults)
        return ActionStatus.REFUSED, f"{device} knows no {action.verb}"

    def _turn(self, device: DeviceId, *, shut: bool) -> tuple[ActionStatus, str]:
        """A junction is isolated by all the links that meet there."""
        network = self._process.network
        links = [link.device for link in network.at(device)] if device in network.nodes else [device]
        if shut:
            self._process.shut.update(links)
        else:
            self._process.shut.difference_update(links)
        return ActionStatus.SUCCEEDED, f"{'shut' if shut else 'opened'}: {', '.join(links)}"

    def _start(self, pump: DeviceId, faults: Sequence[Fault]) -> tuple[ActionStatus, str]:
        self._process.stopped.discard(pump)
        if any(fault.device == pump and fault.kind is FaultKind.PUMP_TRIP for fault in faults):
            return ActionStatus.FAILED, "tripped, does not start"
        return ActionStatus.SUCCEEDED, "left to the controller"


def _sight(device: DeviceId, faults: Sequence[Fault]) -> str:
    found = [fault.kind for fault in faults if fault.device == device]
    return f"found on site: {', '.join(found)}" if found else "nothing found on site"
