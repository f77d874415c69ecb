"""The running analysis as the control room sees it: the live graph in its thread, and who acts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from agents.dispatcher import Outcome
from agents.policy import Approver
from graph.topology import Topology
from schemas.action import Progress
from schemas.event import Micros
from streams.analysis import Analysis
from streams.responder import Responder, progress_of
from streams.roles import Role

Result = TypeVar("Result")


class LivePlant:
    """`streams.plantview.Live` of the analysis in this process."""

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis

    async def read(self, work: Callable[[Topology], Result]) -> Result:
        return await self._analysis.in_model_thread(lambda: work(self._analysis.pipeline.topology))

    @property
    def now(self) -> Micros:
        return self._analysis.pipeline.now

    @property
    def version(self) -> int:
        return self._analysis.pipeline.topology.version


class LiveHands:
    """`streams.controlroom.Hands` of the responder in this process."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder

    async def approve(self, action_id: str, actor: str, role: Role) -> Progress:
        return progress_of(await self._responder.approve(action_id, Approver(actor, role)))

    async def reject(self, action_id: str, actor: str, reason: str) -> Progress:
        return progress_of(await self._responder.reject(action_id, actor, reason))

    async def resolve(self, action_id: str, actor: str, outcome: Outcome, note: str) -> Progress:
        return progress_of(await self._responder.resolve(action_id, actor, outcome, note))

    async def undo(self, action_id: str, actor: str, role: Role) -> Progress:
        return progress_of(await self._responder.undo(action_id, actor, role))
