"""The client of the latency measurement, in a process of its own: fast sensors, alarms among them, and a stopwatch.

Started by `tests.bench.latency`; prints milliseconds as JSON.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from datetime import datetime

import msgspec

from schemas.event import Body, ControlAlarm, Event, Micros, Stamp
from schemas.finding import Alert, AlertState
from streams.mqtt import Address, Connection, connect
from streams.topics import Topics
from tests.bench.plant import SOURCE, readings
from tests.streams.plant import line

SITE = "bench"
ECHO = "openautoglm/bench/echo"
STEP = 10_000
"""Microseconds between two messages; each holds one reading of every sensor."""
STEPS = 1000
WARM = 100
ALARM_EVERY = 5
BREAKS = 600
CONTROL = "control:"


class Times(msgspec.Struct):
    """Milliseconds. `detector`: from the step's own time, which is when its events were published."""

    alarms: list[float] = []
    echo: list[float] = []
    detector: list[float] = []
    sent: int = 0
    seconds: float = 0.0


class Sensors:
    """Publishes at a steady pace whatever the answers, so a slow service cannot hide behind a slow client."""

    def __init__(self, connection: Connection, devices: int) -> None:
        self._connection = connection
        self._topics = Topics(SITE)
        self._readings = [event.body for event in readings(devices, STEPS, seed=4)]
        self._devices = devices
        self._rng = random.Random(1)
        self._number = 0
        self._begun: dict[str, float] = {}
        self.times = Times()

    async def send(self) -> None:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for step in range(STEPS):
                await asyncio.sleep(began + step * STEP / 1e6 - time.perf_counter())
                alarmed = step >= WARM and step % ALARM_EVERY == 0
                message = self._message(step, alarmed=alarmed)
                self._begun[f"{step}"] = time.perf_counter()
                tasks.create_task(self._connection.publish(self._topics.gateway("gw-1"), message))
                if alarmed:
                    tasks.create_task(self._echo(f"echo-{step}"))
        self.times.seconds = time.perf_counter() - began

    async def _echo(self, name: str) -> None:
        self._begun[name] = time.perf_counter()
        await self._connection.publish(ECHO, name.encode())

    def _message(self, step: int, *, alarmed: bool) -> bytes:
        bodies: list[Body] = list(self._readings[step * self._devices : (step + 1) * self._devices])
        if step >= BREAKS:
            bodies = [_broken(body) if place < self._devices // 2 else body for place, body in enumerate(bodies)]
        if alarmed:
            device = bodies[0].device_id  # type: ignore[union-attr]
            bodies.insert(self._rng.randrange(len(bodies)), ControlAlarm(device, f"{step}", active=True))
        now = time.time_ns() // 1000
        lines = [line(self._event(body, now + place)) for place, body in enumerate(bodies)]
        self.times.sent += len(lines)
        return b"[" + b",".join(lines) + b"]"

    def _event(self, body: Body, at: int) -> Event:
        self._number += 1
        return Event(Stamp(Micros(at), SOURCE, 1, self._number, f"{self._number}"), body)

    async def listen(self) -> None:
        async for message in self._connection.messages():
            now = time.perf_counter()
            message.ack()
            if message.topic == ECHO:
                self.times.echo.append((now - self._begun[message.payload.decode()]) * 1000)
            else:
                self._found(msgspec.json.decode(message.payload, type=Alert), now)

    def _found(self, alert: Alert, now: float) -> None:
        if alert.state is not AlertState.RAISED:
            return  # a later state of an alarm that was told already
        if alert.condition.startswith(CONTROL):
            self.times.alarms.append((now - self._begun[alert.condition.removeprefix(CONTROL)]) * 1000)
        else:
            self.times.detector.append((time.time() - datetime.fromisoformat(alert.time).timestamp()) * 1000)


def _broken(body: Body) -> Body:
    return msgspec.structs.replace(body, values={name: value - 8 for name, value in body.values.items()})  # type: ignore[union-attr, operator]


async def main(port: int, devices: int) -> None:
    async with connect(Address("127.0.0.1", port), "bench", [ECHO, Topics(SITE).findings("alerts")]) as connection:
        sensors = Sensors(connection, devices)
        listening = asyncio.create_task(sensors.listen())
        await sensors.send()
        await asyncio.sleep(1)
        listening.cancel()
    sys.stdout.write(msgspec.json.encode(sensors.times).decode())


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
