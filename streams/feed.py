"""The feed of one site: every row of the record as it is made, for any number of subscribers at their own pace.

One reader follows the store and keeps the newest rows, ready to send; a subscriber is no more than the number of the last row
that it has got. One that is slow falls behind what is kept here and is served from the store, so it costs no memory and loses
nothing. Used by server-sent events and webhooks.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from itertools import islice
from operator import attrgetter

import msgspec

from agents.severity import at_least
from schemas.action import Progress
from schemas.alarm import Flood, Transition
from schemas.device import DeviceId
from schemas.event import Severity
from schemas.finding import Alert, Fault
from schemas.instruction import RunProgress
from streams.findings import Finding, FindingStore, Kind, Row

TYPES: dict[Kind, type[Finding]] = {
    Kind.ALERTS: Alert,
    Kind.FAULTS: Fault,
    Kind.ALARMS: Transition,
    Kind.FLOODS: Flood,
    Kind.ACTIONS: Progress,
    Kind.RUNS: RunProgress,
}

KEPT = 4_096
AT_ONCE = 256
ZoneOf = Callable[[DeviceId], str | None]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A row with what filters ask about. `annunciated`: an alarm that asks for an operator, or did until now."""

    number: int
    kind: Kind
    body: bytes
    frame: bytes
    """As a server-sent event."""
    devices: tuple[DeviceId, ...] = ()
    zones: tuple[str, ...] = ()
    severity: Severity | None = None
    fault_id: str | None = None
    annunciated: bool | None = None


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """What a subscriber wants; all that is given must hold, and what a row does not have does not hold."""

    kinds: tuple[Kind, ...] = ()
    devices: tuple[DeviceId, ...] = ()
    zones: tuple[str, ...] = ()
    fault_id: str | None = None
    severity: Severity | None = None
    annunciated: bool | None = None

    def wants(self, told: Told) -> bool:
        return (
            (not self.kinds or told.kind in self.kinds)
            and _meets(self.devices, told.devices)
            and _meets(self.zones, told.zones)
            and (self.fault_id is None or told.fault_id == self.fault_id)
            and (self.severity is None or (told.severity is not None and at_least(told.severity, self.severity)))
            and (self.annunciated is None or told.annunciated is self.annunciated)
        )


def _meets(wanted: Collection[str], held: Collection[str]) -> bool:
    return not wanted or any(name in wanted for name in held)


class Feed:
    """`run` must be running. `zone_of` says where a device is."""

    def __init__(self, store: FindingStore, *, zone_of: ZoneOf = lambda _: None, kept: int = KEPT) -> None:
        self._store = store
        self._zone_of = zone_of
        self._recent: deque[Told] = deque(maxlen=kept)
        self._newest = store.last()
        self._grown = asyncio.Event()
        self.ended = False

    def is_beyond(self, number: int) -> bool:
        """Whether a number is none that was ever given here."""
        return number > self._newest and number > self._store.last()

    def end(self) -> None:
        """Those who wait are let go."""
        self.ended = True
        self._grown.set()

    @property
    def newest(self) -> int:
        """The number of the newest row."""
        return self._newest

    async def run(self) -> None:
        """Until cancelled."""
        with self._store.listening() as event:
            while True:
                await event.wait()
                event.clear()
                while rows := await self._store.after(self._newest, AT_ONCE):
                    self._recent.extend(self._told(row) for row in rows)
                    self._newest = rows[-1].number
                    grown, self._grown = self._grown, asyncio.Event()
                    grown.set()

    async def follow(self, after: int) -> AsyncIterator[list[Told]]:
        """Rows behind a number in their order, some at a time, until the end; each bulk when the last was dealt with."""
        while bulk := await self.behind(after):
            after = bulk[-1].number
            yield bulk

    async def behind(self, after: int, *, patience: float | None = None) -> list[Told]:
        """The oldest rows behind a number, as soon as there are any; none after so many seconds, or at the end."""
        while after >= self._newest:
            if self.ended:
                return []
            try:
                async with asyncio.timeout(patience):
                    await self._grown.wait()
            except TimeoutError:
                return []
        recent = self._recent
        if recent and recent[0].number <= after + 1:
            return list(islice(recent, bisect_right(recent, after, key=attrgetter("number")), None))[:AT_ONCE]
        return [self._told(row) for row in await self._store.after(after, AT_ONCE)]

    def _told(self, row: Row) -> Told:
        frame = b"id: %d\nevent: %s\ndata: %s\n\n" % (row.number, row.kind.encode(), row.body)
        plain = Told(number=row.number, kind=row.kind, body=row.body, frame=frame)
        match msgspec.json.decode(row.body, type=TYPES[row.kind]):
            case Alert() as alert:
                return self._about(plain, [alert.device_id], alert.severity, alert.fault_id)
            case Transition(alarm=alarm, annunciated_before=before):
                told = self._about(plain, [alarm.device_id], alarm.severity, alarm.alert.fault_id)
                return msgspec.structs.replace(told, annunciated=alarm.annunciated or before)
            case Fault() as fault:
                devices = [origin.device_id for origin in fault.origins[:1]] + [part.device_id for part in fault.affected]
                return self._about(plain, devices, None, fault.fault_id)
            case Progress(action=action):
                devices = [] if action.device_id is None else [action.device_id]
                return self._about(plain, devices, action.cause.severity, action.cause.fault_id)
        return plain

    def _about(self, told: Told, devices: Sequence[DeviceId], severity: Severity | None, fault_id: str | None) -> Told:
        zones = dict.fromkeys(zone for device in devices if (zone := self._zone_of(device)) is not None)
        return msgspec.structs.replace(told, devices=tuple(devices), zones=tuple(zones), severity=severity, fault_id=fault_id)
