"""Stand-ins for the ports of `agents`, for tests here and in programs that use it: no patching."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.dispatcher import Answered
from agents.entry import Entry, Stage, Step
from agents.policy import Approver, Decision, Rates
from graph.topology import Topology
from schemas.action import Action
from schemas.device import DeviceId
from schemas.event import Micros


class FakeOutlet:
    """Keeps what it was given; with an `error`, raises it afterwards; else says what it was told to `answer`."""

    def __init__(self, error: BaseException | None = None, answer: Answered | None = None) -> None:
        self.sent: list[Action] = []
        self.error = error
        self.answer = answer

    async def send(self, action: Action) -> Answered | None:
        self.sent.append(action)
        if self.error is not None:
            raise self.error
        return self.answer


class FakeEngine:
    """Says the same to every action; with an `error`, raises it instead. `role`: the only one whose approval it takes."""

    def __init__(
        self,
        *,
        allowed: bool,
        approval: bool = False,
        second: bool = False,
        role: str | None = None,
        error: Exception | None = None,
    ) -> None:
        self.allowed = allowed
        self.role = role
        self.second = second
        self.approval = approval
        self.error = error

    def decide(self, action: Action, topology: Topology, now: Micros, *, approver: Approver | None = None) -> Decision:
        del topology
        if self.error is not None:
            raise self.error
        return Decision(
            action.action_id,
            allowed=self.allowed and (approver is None or self.role in (None, approver.role)),
            rule="fake",
            reason="always",
            at=now,
            approval=self.approval or self.second,
            second=self.second,
            policies=("fake",),
        )


class MemoryLedger:
    """A `Ledger` that is gone with its process."""

    def __init__(self) -> None:
        self._newest: dict[str, Entry] = {}
        self._lines: list[Entry] = []

    def claim(self, action_id: str, at: Micros) -> bool:
        held = self.entry(action_id)
        if held is None or held.stage is not Stage.ALLOWED:
            return False
        claimed = held.then(Stage.CLAIMED, at, held.detail, step=Step.CLAIM)
        self.record(msgspec.structs.replace(claimed, claimed_at=at))
        return True

    def record(self, entry: Entry) -> None:
        self._lines.append(entry)
        held = self.entry(entry.action.action_id)
        if held is None or held.claimed_at is None or entry.claimed_at is not None:
            self._newest[entry.action.action_id] = entry

    def entry(self, action_id: str) -> Entry | None:
        return self._newest.get(action_id)

    def history(self, action_id: str) -> list[Entry]:
        return [line for line in self._lines if line.action.action_id == action_id]

    def at_stage(self, stage: Stage) -> list[Entry]:
        return [entry for entry in self._newest.values() if entry.stage is stage]

    def last_claimed(self, verb: str, device_id: DeviceId | None) -> Micros | None:
        same = [held for held in self._newest.values() if (held.action.verb, held.action.device_id) == (verb, device_id)]
        return max((held.claimed_at for held in same if held.claimed_at is not None), default=None)

    def rates(self, action: Action, since: Micros) -> Rates:
        lines = [line for line in self._lines if line.stage is Stage.ALLOWED and line.decision is not None]
        recent = {line.action.action_id: line.action for line in lines if line.decision and line.decision.at > since}
        others = [other for other in recent.values() if other.action_id != action.action_id]
        return Rates(
            sum(other.verb == action.verb for other in others),
            sum(other.device_id == action.device_id for other in others),
            sum(other.cause.principal == action.cause.principal for other in others),
        )


class FakeEncoder:
    """Counts letters in groups of three: alike where the spelling is. Tells of no tokens."""

    name = "fake"
    dimensions = 64

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        found = np.full((len(texts), self.dimensions), 1e-3, np.float32)
        for row, text in zip(found, texts, strict=True):
            for at in range(len(text) - 2):
                row[zlib.crc32(text[at : at + 3].lower().encode("utf-8", "replace")) % self.dimensions] += 1
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return found
