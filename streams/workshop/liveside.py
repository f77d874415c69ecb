"""The responder of this process as the acting tools see it."""

from __future__ import annotations

import asyncio

from agents.entry import FINAL, Entry
from agents.policy import Decision
from schemas.action import Action
from streams.responder import Responder


class LiveSide:
    """`streams.workshop.acting.ActingSide`."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder

    def has_way(self, via: str) -> bool:
        return self._responder.has_way(via)

    def entry(self, action_id: str) -> Entry | None:
        return self._responder.entry(action_id)

    async def request(self, action: Action) -> Entry:
        return await self._responder.request(action)

    async def preview(self, action: Action) -> Decision:
        return await self._responder.preview(action)

    async def later(self, seen: Entry, patience: float) -> Entry:
        name = seen.action.action_id
        if seen.stage in FINAL:  # it may be closed by an answer, of which nobody tells
            await asyncio.sleep(patience)
            return self._responder.entry(name) or seen
        return await self._responder.outcome(name, patience)

    async def reject(self, action_id: str, actor: str, reason: str) -> Entry:
        return await self._responder.reject(action_id, actor, reason)
