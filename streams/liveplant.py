"""The running analysis as the control room sees it: the live graph in its thread, and who acts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from agents.dispatcher import NotWaitingError
from graph.topology import Topology
from schemas.action import Progress
from schemas.event import Micros
from streams.analysis import Analysis
from streams.responder import Responder, progress_of

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

    def __init__(self, analysis: Analysis, responder: Responder) -> None:
        self._analysis = analysis
        self._responder = responder

    async def approve(self, action_id: str, actor: str) -> Progress:
        device, analysis = self._responder.device_of(action_id), self._analysis
        if device is None:
            raise NotWaitingError(f"action {action_id} is not known, it does not wait for approval")
        topology = await analysis.in_model_thread(lambda: analysis.pipeline.topology.excerpt(device))
        return progress_of(await self._responder.approve(action_id, actor, topology))

    async def reject(self, action_id: str, actor: str, reason: str) -> Progress:
        return progress_of(await self._responder.reject(action_id, actor, reason))
