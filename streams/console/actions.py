"""The actions' page: what waits for approval first, what nobody can say the end of next, then the newest."""

from __future__ import annotations

from typing import Any

import msgspec

from agents.dispatcher import Outcome
from agents.undo import INVERSES
from schemas.event import rfc3339
from streams.console.frame import Console, View, Visit
from streams.roles import Role


class ActionsView(View, component="static/actions.js"):
    """See `actions.js`."""


class ActionsPage:
    """One browser's list of actions."""

    def __init__(self, console: Console) -> None:
        self.visit = Visit(console, here="actions")
        self._console = console
        with self.visit.shell:
            self._view = ActionsView(actions=[], undoable=sorted(INVERSES))
        self.visit.on(self._view, "approve", self._approve)
        self.visit.on(self._view, "reject", self._reject)
        self.visit.on(self._view, "resolve", self._resolve)
        self.visit.on(self._view, "undo", self._undo)
        self.visit.on(self._view, "history", self._tell)

    async def begin(self) -> None:
        self.visit.refresh = self._refresh
        await self.visit.begin()

    async def _refresh(self) -> None:
        now = self._console.watch.now
        self._view.show(
            actions=(await self._console.watch.look()).actions,
            may=self.visit.may(Role.OPERATOR),
            now=None if now is None else rfc3339(now),
        )

    async def _approve(self, asked: dict[str, Any]) -> None:
        who = self.visit.acting(Role.OPERATOR)
        done = await self.visit.room.approve(str(asked["id"]), who.name, who.role)
        self.visit.say(f"{done.action.verb} {done.action.target}: {done.stage}.")

    async def _reject(self, asked: dict[str, Any]) -> None:
        reason = str(asked.get("reason", ""))[:1000]
        done = await self.visit.room.reject(str(asked["id"]), self.visit.named(Role.OPERATOR), reason)
        self.visit.say(f"{done.action.verb} {done.action.target}: {done.stage}.")

    async def _resolve(self, asked: dict[str, Any]) -> None:
        outcome, note = Outcome(asked["outcome"]), str(asked.get("note", ""))[:1000]
        done = await self.visit.room.resolve(str(asked["id"]), self.visit.named(Role.OPERATOR), outcome, note)
        self.visit.say(f"{done.action.verb} {done.action.target}: {done.stage}.")

    async def _undo(self, asked: dict[str, Any]) -> None:
        who = self.visit.acting(Role.OPERATOR)
        done = await self.visit.room.undo(str(asked["id"]), who.name, who.role)
        self.visit.say(f"{done.action.verb} {done.action.target}: {done.stage}. {done.detail}")

    async def _tell(self, asked: dict[str, Any]) -> None:
        name = asked.get("id")
        steps = [] if name is None else await self.visit.room.action_history(str(name))
        self._view.show(history=None if name is None else {"id": name, "steps": [msgspec.to_builtins(step) for step in steps]})
