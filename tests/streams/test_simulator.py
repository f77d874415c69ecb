"""The demo plant: its water, its sensors, its faults, and that nothing it sends is lost on the way."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from io import RawIOBase
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest

from schemas.action import Action, Cause
from schemas.decode import decode, decode_lines
from schemas.device import DeviceId, Relation, SignalName
from schemas.event import ActionResult, ActionStatus, Connected, Event, Linked, Micros, Severity, Telemetry, rfc3339
from streams.mqtt import Address, Connection, EmbeddedBroker, Message, connect
from streams.simulator import START, STEP, Fault, FaultKind, Plant, Simulator, draw, events, history, write_recording
from streams.simulator.equipment import ZONES, Equipment
from streams.simulator.network import load_network
from streams.simulator.process import HOUR
from streams.simulator.spool import Spools
from streams.simulator.wire import Batch
from streams.topics import Topics, gateway_name
from streams.watermark import Watermarks
from tests.services import free_port
from tests.waiting import until

pytestmark = pytest.mark.skipif(find_spec("wntr") is None, reason="extra `demo`")

TWO = Micros(START + 2 * HOUR)
THREE = Micros(START + 3 * HOUR)
Series = dict[tuple[DeviceId, SignalName], list[object]]


def series(stream: Iterable[Event]) -> Series:
    """Each signal's values in the order of time."""
    found: Series = {}
    for event in stream:
        if isinstance(event.body, Telemetry):
            for signal, value in event.body.values.items():
                found.setdefault((event.body.device_id, signal), []).append(value)
    return found


def key(device: str, signal: str) -> tuple[DeviceId, SignalName]:
    return DeviceId(device), SignalName(signal)


def numbers(found: Series, device: str, signal: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(found[key(device, signal)], dtype=np.float64)


def fault(kind: FaultKind, device: str, size: float = 0.0, *, end: Micros | None = None) -> Fault:
    return Fault(kind, DeviceId(device), TWO, end, size)


def faulty(*faults: Fault, hours: float = 4) -> Series:
    return series(events(hours, faults, seed=3))


@pytest.fixture(scope="module")
def normal() -> Series:
    return series(events(4, seed=3))


def action(device: str, verb: str, *, identifier: str = "a-1", hours: float = 24) -> Action:
    return Action(
        action_id=identifier,
        site="water",
        verb=verb,
        device_id=DeviceId(device),
        cause=Cause(alert_id="alert", condition="anomaly", severity=Severity.HIGH),
        requested_at=rfc3339(START),
        expires_at=rfc3339(Micros(START + round(hours * HOUR))),
    )


def steps(plant: Plant, count: int) -> list[Event]:
    return [wire.event() for _ in range(count) for batch in plant.step() for wire in batch.events]


def results(stream: Iterable[Event]) -> list[ActionResult]:
    return [event.body for event in stream if isinstance(event.body, ActionResult)]


# --- The plant --------------------------------------------------------------------------------------------------------------


def test_what_the_gateways_send_is_valid_and_numbered() -> None:
    plant = Plant(seed=3, epoch=7)
    for batch in [*plant.step(), *plant.step()]:
        decoded = decode(batch.payload())
        assert not decoded.invalid
        assert decoded.events == [wire.event() for wire in batch.events]
        assert {event.stamp.epoch for event in decoded.events} == {7}
        assert decoded.events[-1].stamp.sequence == batch.sequence
        assert gateway_name(decoded.events[0].stamp.source) == batch.gateway


def test_every_device_is_announced_once_and_the_edges_join_them() -> None:
    stream = steps(Plant(), 1)
    devices = [event.body.device_id for event in stream if isinstance(event.body, Connected)]
    links = [event.body for event in stream if isinstance(event.body, Linked)]
    assert len(devices) == len(set(devices)) == 92 + 3 + 2 + 117 + 2 + 1 + len(ZONES)
    assert {end for link in links for end in (link.source, link.target)} == set(devices)
    assert {link.directed for link in links if link.relation is Relation.FEEDS} == {False}
    assert {link.target for link in links if link.relation is Relation.CONTROLS} == {"pump-10", "pump-335", "valve-330"}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_day(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.ndjson", "b.ndjson", "c.ndjson.gz")]
    counts = [write_recording(path, hours=1, seed=seed) for path, seed in zip(paths, (3, 3, 4), strict=True)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    decoded = decode_lines(paths[0].read_bytes().splitlines())
    assert not decoded.invalid
    assert len(decoded.events) == counts[0] == counts[2]
    assert decoded.events == list(events(1, seed=3)) != list(events(1, seed=4))


def test_history_ends_before_the_live_plant_begins() -> None:
    times = [event.stamp.at for event in history(1, seed=3)]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (START - HOUR, START - STEP * 1_000_000)


# --- Faults of the process --------------------------------------------------------------------------------------------------


def test_a_leak_lowers_the_pressure_nearby_while_it_lasts(normal: Series) -> None:
    leaking = faulty(fault(FaultKind.LEAK, "junction-101", 60.0, end=THREE))
    drop = numbers(normal, "junction-101", "pressure") - numbers(leaking, "junction-101", "pressure")
    far = numbers(normal, "junction-219", "pressure") - numbers(leaking, "junction-219", "pressure")
    assert np.abs(drop[:24]).max() == 0
    assert drop[24:36].min() > 1
    assert np.abs(far[24:36]).mean() < drop[24:36].mean() / 2
    assert np.abs(drop[38:]).mean() < 0.5


def test_a_leak_takes_its_water_from_the_plant() -> None:
    plant, whole = Plant(seed=3), Plant(seed=3)
    plant.inject(Fault(FaultKind.LEAK, DeviceId("pipe-109"), START, None, 60.0))
    steps(plant, 3)
    steps(whole, 3)
    pressure = np.mean([plant._process.state.pressure[DeviceId(end)] for end in ("junction-105", "junction-107")])
    assert inflow(plant) - inflow(whole) == pytest.approx(60 * np.sqrt(pressure / 50), rel=0.1)


def inflow(plant: Plant) -> float:
    """L/s out of all tanks and reservoirs."""
    process = plant._process
    sources = [name for name, node in process.network.nodes.items() if node.type != "junction"]
    links = [(name, link) for name in sources for link in process.network.at(name)]
    return sum(process.state.flow[link.device] * (1 if link.start == name else -1) for name, link in links)


def test_a_closed_pipe_carries_nothing() -> None:
    flow = numbers(faulty(fault(FaultKind.PIPE_CLOSED, "pipe-109")), "pipe-109", "flow")
    assert flow[12:24].min() > 50
    assert np.abs(flow[24:]).max() < 2


def test_a_tripped_pump_stands_though_it_is_wanted() -> None:
    found = faulty(fault(FaultKind.PUMP_TRIP, "pump-10", end=THREE))
    assert found[key("pump-10", "running")][23:37] == [True, *[False] * 12, True]
    assert all(found[key("plc-1", "pump-10-on")][23:37])
    assert np.abs(numbers(found, "pump-10", "flow")[24:36]).max() < 2


# --- Faults of sensors and gateways -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "size"), [(FaultKind.STUCK, 0.0), (FaultKind.BIAS, 4.0), (FaultKind.DRIFT, -3.0)])
def test_a_sensors_fault_is_in_that_sensor_alone(normal: Series, kind: FaultKind, size: float) -> None:
    found = faulty(fault(kind, "junction-101", size, end=THREE))
    place = key("junction-101", "pressure")
    assert {name for name in normal if normal[name] != found[name]} == {place}
    wrong, right = numbers(found, *place), numbers(normal, *place)
    assert np.array_equal(np.delete(wrong, np.s_[24:36]), np.delete(right, np.s_[24:36]))
    hours = np.arange(12) / 12
    expected = {FaultKind.STUCK: np.full(12, right[23]), FaultKind.BIAS: right[24:36] + size}
    assert wrong[24:36] == pytest.approx(expected.get(kind, right[24:36] + size * hours), abs=0.011)


def test_a_dark_gateway_silences_what_is_behind_it_and_announces_all_when_it_boots(normal: Series) -> None:
    stream = list(events(4, [fault(FaultKind.GATEWAY_DARK, "gw-3", end=THREE)], seed=3))
    found = series(stream)
    behind = {*Equipment(load_network()).gateways[DeviceId("gw-3")], "gw-3"}
    assert {len(values) for (device, _), values in found.items() if device in behind} == {36}
    assert all(found[name] == normal[name] for name in normal if name[0] not in behind)
    births = [(event.stamp.epoch, event.stamp.at) for event in stream if isinstance(event.body, Connected)]
    assert set(births) == {(1, START), (2, THREE)}


@pytest.mark.parametrize("kind", FaultKind)
def test_a_drawn_fault_can_be_injected(kind: FaultKind) -> None:
    plant, equipment = Plant(), Equipment(load_network())
    for seed in range(20):
        drawn = draw(kind, np.random.default_rng(seed), start=TWO, end=THREE, equipment=equipment)
        assert drawn == draw(kind, np.random.default_rng(seed), start=TWO, end=THREE, equipment=equipment)
        plant.inject(drawn)


@pytest.mark.parametrize("device", ["pump-10", "pipe-4711"])
def test_a_fault_at_the_wrong_device_is_refused(device: str) -> None:
    with pytest.raises(ValueError, match=device):
        Plant().inject(fault(FaultKind.PIPE_CLOSED, device))


# --- Actions ----------------------------------------------------------------------------------------------------------------


def test_an_isolated_pipe_leaks_no_more() -> None:
    plant, whole = Plant(seed=3), Plant(seed=3)
    plant.inject(Fault(FaultKind.LEAK, DeviceId("pipe-105"), START, None, 60.0))
    for each in (plant, whole):
        steps(each, 3)
    leaking = inflow(plant) - inflow(whole)
    plant.act(action("pipe-105", "isolate"))
    answered = results(steps(plant, 3))
    steps(whole, 3)
    assert answered == [ActionResult("a-1", DeviceId("pipe-105"), ActionStatus.SUCCEEDED, "shut: pipe-105")]
    assert plant._process.state.flow[DeviceId("pipe-105")] == pytest.approx(0, abs=0.1)
    assert leaking > 30
    assert inflow(plant) - inflow(whole) == pytest.approx(0, abs=1)


@pytest.mark.parametrize(
    ("device", "verb", "status"),
    [
        ("pump-10", "stop", ActionStatus.SUCCEEDED),
        ("pump-10", "start", ActionStatus.FAILED),
        ("junction-101", "inspect", ActionStatus.SUCCEEDED),
        ("tank-1", "isolate", ActionStatus.REFUSED),
        ("pipe-109", "paint", ActionStatus.REFUSED),
    ],
)
def test_what_an_action_comes_to(device: str, verb: str, status: ActionStatus) -> None:
    plant = Plant()
    plant.inject(Fault(FaultKind.PUMP_TRIP, DeviceId("pump-10"), START))
    plant.act(action(device, verb))
    assert [answer.status for answer in results(steps(plant, 1))] == [status]


def test_an_action_is_done_once_and_not_after_its_time() -> None:
    plant = Plant()
    steps(plant, 12)
    for identifier, hours in (("a", 2), ("a", 2), ("b", 0.5)):
        plant.act(action("pump-10", "stop", identifier=identifier, hours=hours))
    statuses = [(answer.action_id, answer.status) for answer in results(steps(plant, 2))]
    assert statuses == [("a", ActionStatus.SUCCEEDED), ("b", ActionStatus.EXPIRED)]


def test_a_tank_is_emptied_by_what_flows_out() -> None:
    plant = Plant(seed=3)
    tank, area = DeviceId("tank-2"), np.pi * 15.24**2 / 4
    for _ in range(12):
        plant.step()
        before, flows = plant._process.state.pressure[tank], plant._process.state.flow
        (link,) = plant._process.network.at(tank)
        into = flows[link.device] * (1 if link.end == tank else -1) / 1000
        assert plant._process._hydraulics.level(tank) - before == pytest.approx(into * STEP / area, abs=1e-3)


# --- On MQTT ----------------------------------------------------------------------------------------------------------------


class Service:
    """What the real one does at its door: keep what comes, in a file, then say how far it is safe."""

    def __init__(self, address: Address, kept: Path) -> None:
        self._address = address
        self._topics = Topics("water")
        self._marks = Watermarks()
        self._kept = kept

    async def run(self) -> None:
        with self._kept.open("ab", buffering=0) as file:
            file.write(b"\n")  # ends what was torn
            async with connect(self._address, "service", [self._topics.events]) as connection:
                async for message in connection.messages():
                    await self._take(message, connection, file)

    async def _take(self, message: Message, connection: Connection, file: RawIOBase) -> None:
        decoded = decode(message.payload)
        assert not decoded.invalid
        file.write(msgspec.json.encode(msgspec.json.decode(message.payload)) + b"\n")
        for mark in self._marks.advance(event.stamp for event in decoded.events):
            topic = self._topics.watermark(gateway_name(mark.source))
            await connection.publish(topic, msgspec.json.encode(mark), retain=True)
        message.ack()


def kept(path: Path) -> list[Event]:
    """All that the service has kept, repeats too, in the order of its coming; the last line may be torn."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [event for line in lines for event in decode(line).events]


async def serve(port: int, path: Path) -> None:
    """A broker and a service in one process, as the embedded default has them."""
    async with EmbeddedBroker("127.0.0.1", port):
        await Service(Address("127.0.0.1", port), path).run()


@pytest.fixture
def port() -> int:
    """Free a moment ago. It must be known before the broker is, which comes and goes."""
    return free_port()


@asynccontextmanager
async def service(port: int, path: Path) -> AsyncIterator[None]:
    """The process; at the end it is killed as by a loss of power."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.streams.test_simulator", str(port), str(path))
    try:
        yield
    finally:
        process.kill()
        await process.wait()


def names(stream: Iterable[Event]) -> set[tuple[str, str]]:
    return {(event.stamp.source, event.stamp.id) for event in stream}


async def test_nothing_is_lost_when_broker_and_service_are_killed(port: int, tmp_path: Path) -> None:
    path = tmp_path / "kept.ndjson"
    simulator = Simulator(address=Address("127.0.0.1", port), seed=3, speed=6_000, epoch=1, spool=2_000)
    async with service(port, path):
        running = asyncio.create_task(simulator.run(hours=4))
        await until(lambda: len(kept(path)) > 1200)
    assert not running.done()
    async with service(port, path):
        await until(running.done)
    await running
    stream = kept(path)
    assert names(stream) == names(events(4, seed=3))
    news = list({(event.stamp.source, event.stamp.id): event for event in reversed(stream)}.values())[::-1]
    assert all(later.stamp.at >= earlier.stamp.at - STEP * 1_000_000 for earlier, later in pairwise(news))


async def test_a_command_closes_the_pipe_and_is_answered_once(port: int, tmp_path: Path) -> None:
    address, path = Address("127.0.0.1", port), tmp_path / "kept.ndjson"
    simulator = Simulator(address=address, seed=3, speed=30_000)
    async with service(port, path):
        running = asyncio.create_task(simulator.run())
        gateways = len(simulator.plant.equipment.gateways)
        await until(lambda: len({event.stamp.source for event in kept(path)}) == gateways)  # each of which listens by then
        async with connect(address, "dispatcher") as connection:
            for _ in range(2):
                order = msgspec.json.encode(action("pipe-109", "isolate", hours=1000))
                await connection.publish(Topics("water").commands("pipe-109"), order)
        await until(lambda: bool(results(kept(path))))
        seen = simulator.time
        await until(lambda: simulator.time > seen + HOUR)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    told = {event.stamp.id: event for event in kept(path) if isinstance(event.body, ActionResult)}
    assert [answer.status for answer in results(told.values())] == [ActionStatus.SUCCEEDED]
    assert abs(simulator.plant._process.state.flow[DeviceId("pipe-109")]) < 0.1


async def test_the_plant_stands_still_while_a_spool_is_full() -> None:
    async with EmbeddedBroker("127.0.0.1", 0) as broker:
        simulator = Simulator(address=Address("127.0.0.1", broker.port), seed=3, speed=1e9, spool=500)
        running = asyncio.create_task(simulator.run())
        await until(lambda: max(map(len, simulator._spools.of.values())) >= 500)
        stood, waiting = simulator.time, simulator.waiting
        await asyncio.sleep(0.2)
        assert simulator.time == stood
        assert waiting < 1500
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_no_gateway_runs_ahead_of_the_others() -> None:
    spools = Spools([DeviceId("a"), DeviceId("b")], most=10)
    spools.put(Batch(DeviceId(name), step, 1, step, ()) for step in (1, 2) for name in "ab")
    spools.of[DeviceId("a")].sent(await spools.turn(DeviceId("a")))
    ahead = asyncio.create_task(spools.turn(DeviceId("a")))
    await asyncio.sleep(0)
    assert not ahead.done()
    spools.of[DeviceId("b")].sent(await spools.turn(DeviceId("b")))
    spools.change()
    assert (await ahead).step == 2


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
