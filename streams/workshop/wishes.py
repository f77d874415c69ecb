"""What each acting tool wants done, of whom and by which way, checked against the plant as it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from agents.limits import SET
from agents.workshop import Call, ToolError
from schemas.action import MQTT
from schemas.alarm import Alarm, Verb
from schemas.device import DeviceId
from schemas.event import Micros, rfc3339
from streams.controlroom import ControlRoom
from streams.journal import wall_clock
from streams.workshop.asking import asked
from streams.workshop.errands import seen
from streams.workshop.periods import Calendar
from streams.workshop.reporting import told
from streams.workshop.surveying import named

ALARMS, NOTIFY, WORK_ORDERS, TRAINING = "alarms", "notify", "work-orders", "training"
"""Ways by which actions go that are no device's."""
SECONDS = 60.0
"""That a device has to answer."""
TRAINING_SECONDS = 3_600.0
MOST_ALARMS = 20
"""Of one device, that one action is about."""
SECOND = 1_000_000


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """An action but for who asks and when. `seconds`: after which it is not to be sent any more."""

    verb: str
    device: DeviceId | None = None
    via: str = MQTT
    arguments: dict[str, Any] = {}
    seconds: float = SECONDS


class Wishes:
    """By tool."""

    def __init__(self, room: ControlRoom, calendar: Calendar) -> None:
        self._room = room
        self._calendar = calendar

    def by_tool(self) -> Mapping[str, Callable[[Call], Awaitable[Wish]]]:
        return {
            "acknowledge_alarm": self._acknowledge,
            "shelve_alarm": self._shelve,
            "notify": self._notify,
            "open_work_order": self._work_order,
            "command_device": self._command,
            "set_point": self._set,
            "isolate_device": self._isolate,
            "reconnect_device": self._reconnect,
            "retrain_model": self._retrain,
        }

    async def _acknowledge(self, call: Call) -> Wish:
        device = await self._device(call)
        return Wish(verb="acknowledge", device=device, via=ALARMS, arguments=self._alarms(device, Verb.ACKNOWLEDGE))

    async def _shelve(self, call: Call) -> Wish:
        device = await self._device(call)
        arguments = self._alarms(device, Verb.SHELVE)
        arguments["reason"] = call.arguments.get("reason") or f"instruction: {call.order.text}"[:1_000]
        if (duration := call.arguments.get("duration")) is not None:
            arguments["until"] = _later(duration)
        return Wish(verb="shelve", device=device, via=ALARMS, arguments=arguments)

    def _alarms(self, device: DeviceId, verb: Verb) -> dict[str, Any]:
        """Those that ask for an operator; if none does, the worst with which the verb is possible.

        As they are now: nothing comes of it for one that is worse, or raised again, by the time that somebody approves.
        """
        possible = [alarm for alarm in self._room.alarms_of(device) if self._is_possible(alarm, verb)]
        asking = [alarm for alarm in possible if alarm.annunciated]
        if not possible:
            raise ToolError(f"no alarm of {device} to {verb}")
        meant = asking[:MOST_ALARMS] or possible[:1]
        return {"alarms": [alarm.alarm_id for alarm in meant], "seen": [seen(alarm) for alarm in meant]}

    def _is_possible(self, alarm: Alarm, verb: Verb) -> bool:
        return verb in self._room.verbs(alarm)

    async def _notify(self, call: Call) -> Wish:
        text = call.arguments.get("text") or told(call)
        return Wish(verb="notify", via=NOTIFY, arguments={"to": call.arguments["to"], "text": text})

    async def _work_order(self, call: Call) -> Wish:
        arguments = {"text": call.arguments.get("text") or call.order.text, "priority": call.arguments.get("priority")}
        kept = {name: value for name, value in arguments.items() if value is not None}
        return Wish(verb="work-order", device=await self._device(call), via=WORK_ORDERS, arguments=kept)

    async def _command(self, call: Call) -> Wish:
        return Wish(verb=call.arguments["verb"], device=await self._device(call))

    async def _set(self, call: Call) -> Wish:
        device, name = await self._device(call), call.arguments["signal"]
        with asked():
            signals = await self._room.plant.signals(device)
        known = {signal.name: signal for signal in signals}
        if name not in known:
            raise ToolError(f"{device} has no signal {name}: {named(sorted(known)) or 'none'}")
        return Wish(verb=SET, device=device, arguments={"signal": name, "value": call.arguments["value"]})

    async def _isolate(self, call: Call) -> Wish:
        reason = call.arguments.get("reason")
        return Wish(verb="isolate", device=await self._device(call), arguments={} if reason is None else {"reason": reason})

    async def _reconnect(self, call: Call) -> Wish:
        return Wish(verb="reconnect", device=await self._device(call))

    async def _retrain(self, call: Call) -> Wish:
        within = self._calendar.span(call.arguments["period"])
        arguments = {"from": rfc3339(within.start), "until": rfc3339(within.end)}
        return Wish(verb="retrain", via=TRAINING, arguments=arguments, seconds=TRAINING_SECONDS)

    async def _device(self, call: Call) -> DeviceId:
        """It must be there. Raises ToolError."""
        with asked():
            return (await self._room.plant.device(DeviceId(call.arguments["device"]))).device_id


def _later(seconds: float) -> str:
    """Shelves go by the wall's clock."""
    try:
        return rfc3339(Micros(wall_clock() + round(seconds * SECOND)))
    except (OverflowError, ValueError):
        raise ToolError(f"{seconds:g} s is too long") from None
