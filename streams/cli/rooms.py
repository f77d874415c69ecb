"""Where the answers of a command come from: a running service, a data folder at rest, or the output of a replay.

All of them are a `Room` and answer with the types of the control room, so that a command does not know which one it asks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from agents.dispatcher import Outcome
from agents.rulefile import RuleFileError
from agents.severity import at_least
from graph.questions import Changed
from graph.store import StoreError
from schemas.action import Progress
from schemas.alarm import Alarm, AlarmState, Kpis, Transition, Verb
from schemas.device import DeviceId, Relation
from schemas.event import Micros, Severity
from schemas.finding import Fault
from streams.answers import AlarmDetail, ReachNow, Route, TopologyNow
from streams.checkpoint import DamagedError
from streams.cli.running import settings_of
from streams.cli.terminal import Exit, fail
from streams.folder import Folder, InUseError
from streams.recordings import UnreadableError
from streams.settings import Settings


class RoomError(Exception):
    """What was asked for is not to be had; the message is for people."""

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.code = code


class AwayError(RoomError):
    """The service cannot be reached, or is not ready; it may be soon."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Exit.UNREADABLE)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which alarms: what asks for an operator, if not `every` one or those in some `states`."""

    device: str | None = None
    severity: Severity | None = None
    states: tuple[AlarmState, ...] = ()
    every: bool = False

    @property
    def annunciated(self) -> bool | None:
        return None if self.every or self.states else True

    def wants(self, alarm: Alarm) -> bool:
        return (
            self.device in (None, alarm.device_id)
            and (not self.states or alarm.state in self.states)
            and (self.severity is None or at_least(alarm.severity, self.severity))
            and self.annunciated in (None, alarm.annunciated)
        )


class Room(Protocol):
    """Every method raises RoomError, and may raise what `opened` knows."""

    def alarms(self, wanted: Wanted) -> list[AlarmDetail]:
        """What asks for an operator first, then the worst, then the newest."""
        ...

    def alarm(self, name: str) -> AlarmDetail: ...

    def transitions(self, name: str) -> list[Transition]: ...

    def act(self, verb: Verb, name: str, *, reason: str, until: str | None) -> AlarmDetail: ...

    def kpis(self, start: Micros | None, end: Micros | None) -> Kpis: ...

    def faults(self) -> list[Fault]: ...

    def fault(self, fault_id: str, at: Micros | None) -> Fault: ...

    def actions(self) -> list[Progress]: ...

    def approve(self, action_id: str) -> Progress: ...

    def reject(self, action_id: str, reason: str) -> Progress: ...

    def resolve(self, action_id: str, outcome: Outcome, note: str) -> Progress: ...

    def undo(self, action_id: str) -> Progress: ...

    def topology(self, around: DeviceId | None, *, hops: int, at: Micros | None, limit: int) -> TopologyNow: ...

    def neighbours(
        self, device: DeviceId, *, hops: int, relations: Collection[Relation], at: Micros | None, limit: int
    ) -> ReachNow: ...

    def impact(self, device: DeviceId, *, hops: int | None, at: Micros | None, limit: int) -> ReachNow: ...

    def route(self, source: DeviceId, target: DeviceId, *, onward: bool, at: Micros | None) -> Route: ...

    def changed(self, after: Micros, until: Micros, *, limit: int) -> Changed: ...


class Where(NamedTuple):
    """What the command line says of where to ask."""

    url: str | None = None
    data: Path | None = None
    site: str | None = None
    out: Path | None = None
    events: Sequence[Path] = ()
    at: Micros | None = None
    """Of `events`, up to when."""

    @property
    def settings(self) -> Settings:
        """A folder on the command line is stronger than a URL from elsewhere. Ends the command if one is wrong."""
        settings = settings_of(api_url=self.url, data=self.data, site=self.site)
        elsewhere = self.data is not None and self.url is None
        return settings.model_copy(update={"api_url": None}) if elsewhere else settings


@contextmanager
def opened(where: Where, *, acting: bool = False) -> Iterator[Room]:
    """The first room that there is. `acting`: a folder at rest is then held, so that no service starts in it meanwhile.

    Ends the command with what is wrong.
    """
    with telling(), _room(where, acting=acting) as room:
        yield room


@contextmanager
def telling() -> Iterator[None]:
    """Ends the command with what is wrong."""
    try:
        yield
    except RoomError as error:
        fail(str(error), error.code)
    except (InUseError, RuleFileError, ValueError) as error:
        fail(str(error), Exit.USAGE)
    except BrokenPipeError:
        raise
    except (StoreError, DamagedError, UnreadableError, OSError) as error:
        fail(str(error), Exit.UNREADABLE)


def _room(where: Where, *, acting: bool) -> AbstractContextManager[Room]:
    address = None if where.out is not None or where.events else address_of(where.settings)
    if address is not None:
        from streams.cli import remote  # noqa: PLC0415 - only one of the two is needed, and the other takes a second to load

        return remote.opened(address, where.settings)
    from streams.cli import still  # noqa: PLC0415

    if where.out is not None:
        return still.replayed(where.out, site=where.site)
    if where.events:
        return still.recorded(where.events, at=where.at)
    return still.at_rest(where.settings, acting=acting)


def address_of(settings: Settings, *, probing: bool = True) -> str | None:
    """Of the service that is set, or of the one that works in the data folder and says where; None if there is none.

    `probing` asks whether one works there still, as a service that was killed leaves its address. Who asks again and again must
    not, since that takes the folder's lock for a moment, in which no service can start.
    """
    if settings.api_url is not None:
        return settings.api_url
    folder = Folder(settings.data)
    with suppress(FileNotFoundError):
        # Empty where the service is just writing it.
        written = folder.address.read_text(encoding="ascii") or None
        return written if not probing or folder.in_use else None
    return None
