"""What every page has: the header with its counts, who looks at it, how it learns of changes, and errors in words."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from nicegui import events, ui
from nicegui.element import Element

from agents.dispatcher import NotParkedError, NotWaitingError
from agents.entry import Stage
from agents.roster import UnknownAlarmError
from agents.scheduler import BusyError, NoSuchRunError
from agents.undo import NotUndoableError
from agents.verbs import RefusedError
from graph.store import StoreError
from schemas.event import rfc3339
from streams.access import Principal
from streams.api.gate import Gate
from streams.console.door import visitor
from streams.console.scenes import Scenes
from streams.console.watch import Watch
from streams.controlroom import ControlRoom
from streams.instructions import ChangedPlanError, NotYoursError
from streams.plantview import NotHereError, UnknownDeviceError
from streams.roles import Role

logger = logging.getLogger(__name__)
PACE = 0.5
"""Seconds between two looks of a page at what is new."""


class NotTakenError(Exception):
    """What somebody has written is not taken as it is."""


WORDS = (
    RefusedError,
    UnknownAlarmError,
    UnknownDeviceError,
    NotHereError,
    NotWaitingError,
    NotParkedError,
    NotUndoableError,
    BusyError,
    NoSuchRunError,
    ChangedPlanError,
    NotYoursError,
    NotTakenError,
    StoreError,
    NotAllowed := PermissionError,
)
"""Errors whose message is meant for people."""
MINUTE = 60_000_000
SORRY = "This did not work. What went wrong stands in the service's log."


@dataclass(frozen=True)
class Console:
    """What the pages need."""

    room: ControlRoom
    gate: Gate
    watch: Watch
    scenes: Scenes


class Shell(Element, component="static/shell.js", esm={"console": "static"}):
    """The frame around a page's own element."""


class View(Element):
    """A page's own element: `data` is all that it shows."""

    def __init__(self, **props: object) -> None:
        super().__init__()
        for name, value in props.items():
            self._props[name] = plain(value)

    def show(self, **props: object) -> None:
        """Send what differs from what is shown."""
        sent = {name: plain(value) for name, value in props.items()}
        if any(self._props.get(name) != value for name, value in sent.items()):
            for name, value in sent.items():
                self._props[name] = value
            self.update()


def plain(value: object) -> Any:
    """As JSON knows it, in the names of the wire."""
    return msgspec.to_builtins(value, str_keys=True)


class Visit:
    """One page in one browser. `refresh` is called when the feed or the plant has grown."""

    def __init__(self, console: Console, *, here: str, lively: bool = False) -> None:
        self.console = console
        self.room = console.room
        self._client = ui.context.client
        self._request = self._client.request
        self._lively = lively
        self._seen: tuple[object, ...] = ()
        self.refresh: Callable[[], Awaitable[None]] | None = None
        self.shell = Shell()
        self.shell.props["here"] = here
        self.shell.props["site"] = self.room.site
        self.shell.props["closed"] = not console.gate.open

    @property
    def who(self) -> Principal | None:
        return visitor(self.console.gate, self._request)

    def may(self, role: Role) -> bool:
        return self.who is not None and self.who.role.may(role)

    def named(self, role: Role) -> str:
        """Who acts, for the record. Raises PermissionError."""
        return self.acting(role).name

    def acting(self, role: Role) -> Principal:
        """Who acts, if they have this role. Raises PermissionError."""
        who = self.who
        if who is None:
            raise PermissionError("Your session has ended: log in again.")
        if not who.role.may(role):
            raise PermissionError(f"This needs the role {role}; {who.name} is {who.role}.")
        return who

    def say(self, words: str, *, bad: bool = False) -> None:
        self.shell.run_method("say", words, bad)

    async def told(self, work: Awaitable[None]) -> bool:
        """Do something, and say in words what goes wrong with it; whether it went well."""
        try:
            await work
        except WORDS as error:
            self.say(_sentence(error), bad=True)
            return False
        except Exception:
            logger.exception("console: %s", self._request.url.path)
            self.say(SORRY, bad=True)
            return False
        return True

    def on(self, element: Element, name: str, handler: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        """What people ask for on this page."""

        async def handle(event: events.GenericEventArguments) -> None:
            await self.told(handler(event.args if isinstance(event.args, dict) else {}))

        element.on(name, handle)

    # --- Live -------------------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Fill the page, and keep it up to date until it is left."""
        await self._tick()
        ui.timer(PACE, self._tick, immediate=False)

    async def _tick(self) -> None:
        await self.told(self._look())

    async def _look(self) -> None:
        who = self.who
        if who is None:
            ui.navigate.to("/login")
            return
        seen = await self._version()
        if seen != self._seen:
            self._seen = seen
            if self.refresh is not None:
                await self.told(self.refresh())
        await self._head(who)

    async def _version(self) -> tuple[object, ...]:
        """What a page depends on; of the plant's time the minute, for `lively` pages every step."""
        try:
            census = (await self.room.plant.census()).version
        except (NotHereError, StoreError):
            census = -1
        now = self.room.plant.now or 0
        return (await self.console.watch.look()).number, census, now if self._lively else now // MINUTE

    async def _head(self, who: Principal) -> None:
        look, now = await self.console.watch.look(), self.room.plant.now
        head = {
            "who": f"{who.name} · {who.role}",
            "alarms": sum(alarm.annunciated for alarm in look.alarms),
            "unacknowledged": sum(alarm.annunciated and not alarm.acknowledged for alarm in look.alarms),
            "waiting": sum(progress.stage == Stage.WAITING for progress in look.actions),
            "now": None if now is None else rfc3339(now),
            "flood": self.room.flood,
        }
        if self.shell.props.get("head") != (sent := plain(head)):
            self.shell.props["head"] = sent
            self.shell.update()


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
