"""A conversation with an edge node by others (pysparkplug) over a real broker (Mosquitto), and protobuf as the oracle."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from deploy.local.services import Local
from graph.topology import DeviceState, Topology
from schemas.device import DeviceId, SignalName
from schemas.event import ActionResult, ActionStatus, Micros
from schemas.frame import unpack
from schemas.sparkplug.codec import decode, encode
from schemas.sparkplug.command import Write
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.model import DataSet, MetaData, Metric, Payload, Property, PropertySet, Row, SparkplugError, Template
from schemas.sparkplug.topic import EdgeNode as EdgeNodeId
from schemas.sparkplug.values import metric
from streams.crashpoints import CrashPoints
from streams.mqtt import Address
from streams.outbox import Outbox
from streams.settings import Settings, SparkplugRole
from streams.sparkplug import Manner, SparkplugHost, now
from tests.services import missing
from tests.waiting import HUNG

pytestmark = pytest.mark.xdist_group("mosquitto")
ROOT = Path(__file__).parents[2]
PEER = ROOT / ".peers" / "bin" / "python"
PRESS, PUMP = DeviceId("Halle:201/press"), DeviceId("Halle:201/press/pump")


@pytest.fixture
def peer() -> Path:
    if not PEER.exists():
        missing("the peers' environment .peers is not there: make dev")
    return PEER


class EdgeNode:
    """The other process. `told` is what it said."""

    def __init__(self, python: Path, port: int, host: str) -> None:
        command = [str(python), str(Path(__file__).with_name("edgenode.py")), str(port), host]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.told: list[dict[str, Any]] = []

    async def listen(self) -> None:
        assert self._process.stdout is not None
        while line := await asyncio.to_thread(self._process.stdout.readline):
            self.told.append(json.loads(line))

    def what(self, what: str) -> list[dict[str, Any]]:
        return [one for one in self.told if one["what"] == what]

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def close(self) -> None:
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


@asynccontextmanager
async def edge_node(python: Path, port: int, host: str) -> AsyncIterator[EdgeNode]:
    node = EdgeNode(python, port, host)
    listening = asyncio.create_task(node.listen())
    try:
        yield node
    finally:
        node.kill()
        await listening
        node.close()


class Plant:
    """The host's outbox, and the graph that its events make."""

    def __init__(self, outbox: Outbox, host: SparkplugHost) -> None:
        self._outbox = outbox
        self.host = host

    async def graph(self) -> Topology:
        frames = await self._outbox.waiting(10_000)
        return Topology().merge(event for _, frame in frames for event in unpack(frame))

    async def until(self, true: Callable[[Topology], bool]) -> Topology:
        """Raises TimeoutError."""
        async with asyncio.timeout(HUNG):
            while not true(graph := await self.graph()):
                await asyncio.sleep(0.02)
            return graph


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "outbox.db")) as made:
        yield made


@asynccontextmanager
async def hosting(port: int, outbox: Outbox, name: str, role: SparkplugRole) -> AsyncIterator[Plant]:
    settings = Settings(site=name, sparkplug_role=role, sparkplug_host_id=name, sparkplug_reorder_timeout=0.3)
    manner = Manner.of(settings.model_copy(update={"sparkplug_rebirth_throttle": 0.2}))
    host = SparkplugHost(manner, address=Address("127.0.0.1", port), outbox=outbox, crash=CrashPoints())
    task = asyncio.create_task(host.run())
    await asyncio.wait_for(host.connected.wait(), HUNG)
    try:
        yield Plant(outbox, host)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def value(graph: Topology, device: DeviceId, signal_: str) -> Any:
    reading = graph.readings(device).get(SignalName(signal_))
    return None if reading is None else reading.value


def state(graph: Topology, device: DeviceId) -> DeviceState | None:
    known = graph.device(device)
    return None if known is None else known.state


async def told(node: EdgeNode, what: str, count: int = 1) -> list[dict[str, Any]]:
    async with asyncio.timeout(HUNG):
        while len(node.what(what)) < count:
            await asyncio.sleep(0.02)
    return node.what(what)


BORN = {
    "heat": -12.0,
    "small": -3.0,
    "large": float(2**40),
    "share": 0.25,
    "on": True,
    "mode": "auto",
    "row[0]": -30000.0,
    "row[1]": 30000.0,
}


async def test_a_whole_life_of_an_independent_edge_node(peer: Path, mosquitto: Local, outbox: Outbox) -> None:
    """STATE is awaited; birth, data, a gap and the rebirth that mends it, the device's death, and the node's by its will."""
    async with edge_node(peer, mosquitto.port, "life") as node:
        await told(node, "waiting")
        await asyncio.sleep(0.3)
        assert not node.what("born"), "it waits for its primary host"
        async with hosting(mosquitto.port, outbox, "life", SparkplugRole.PRIMARY) as plant:
            (seen, *_) = await told(node, "state")
            assert seen["online"] is True
            await told(node, "born")
            graph = await plant.until(lambda graph: value(graph, PUMP, "flow") == 4.5)
            assert {name: one.value for name, one in graph.readings(PRESS).items()} == BORN
            press = graph.device(PRESS)
            assert press is not None
            assert press.properties["Maker"] == "Acme"
            assert "empty" in press.signals

            node.tell("heat -40")
            node.tell("pump 7.5")
            await plant.until(lambda graph: (value(graph, PRESS, "heat"), value(graph, PUMP, "flow")) == (-40, 7.5))
            assert not node.what("commanded")

            node.tell("gap")
            node.tell("heat -41")
            (command, *_) = await told(node, "commanded")
            assert command == {"what": "commanded", "metrics": {"Node Control/Rebirth": True}, "qos": 0, "retain": False}
            await plant.until(lambda graph: value(graph, PRESS, "heat") == -41 and state(graph, PUMP) is DeviceState.CONNECTED)
            node.tell("heat -42")
            graph = await plant.until(lambda graph: value(graph, PRESS, "heat") == -42)
            assert state(graph, PUMP) == state(graph, PRESS) == DeviceState.CONNECTED

            node.tell("pump-dies")
            graph = await plant.until(lambda graph: state(graph, PUMP) is DeviceState.DISCONNECTED)
            assert state(graph, PRESS) is DeviceState.CONNECTED

            node.kill()
            graph = await plant.until(lambda graph: state(graph, PRESS) is DeviceState.DISCONNECTED)
            assert value(graph, PRESS, "heat") == -42
            assert plant.host.host.counts.refused == 0


async def test_an_independent_edge_node_does_what_it_is_told(peer: Path, mosquitto: Local, outbox: Outbox) -> None:
    """Its device's metric is written, and its report is the answer."""
    node_id = EdgeNodeId("Halle 1", "press")
    async with (
        edge_node(peer, mosquitto.port, "telling") as node,
        hosting(mosquitto.port, outbox, "telling", SparkplugRole.PRIMARY) as plant,
    ):
        await plant.until(lambda graph: value(graph, PUMP, "flow") == 4.5)
        for name, wanted in (("Control/Run", True), ("flow", 7)):
            until = Micros(now() + 60_000_000)
            write = Write(action_id=f"action-{name}", device_id=PUMP, device="pump", metric=name, value=wanted, until=until)
            await plant.host.write(node_id, write)
        seen = await told(node, "pump commanded", 2)
        assert [one["metrics"] for one in seen] == [{"Control/Run": True}, {"flow": 7.0}]
        assert {(one["qos"], one["retain"]) for one in seen} == {(0, False)}
        await plant.until(lambda graph: (value(graph, PUMP, "Control/Run"), value(graph, PUMP, "flow")) == (True, 7.0))
        events = [event for _, frame in await outbox.waiting(10_000) for event in unpack(frame)]
        answers = [event.body for event in events if isinstance(event.body, ActionResult)]
        assert [(one.action_id, one.device_id, one.status) for one in answers] == [
            ("action-Control/Run", PUMP, ActionStatus.SUCCEEDED),
            ("action-flow", PUMP, ActionStatus.SUCCEEDED),
        ]
        write = Write(action_id="a", device_id=PUMP, device="pump", metric="none", value=1, until=Micros(0))
        with pytest.raises(SparkplugError, match="announced no metric"):
            await plant.host.write(node_id, write)
    with pytest.raises(SparkplugError, match="the MQTT broker is away"):
        await plant.host.write(node_id, write)


async def test_a_host_that_comes_late_asks_and_its_own_end_is_seen(peer: Path, mosquitto: Local, outbox: Outbox) -> None:
    async with edge_node(peer, mosquitto.port, "late") as node:
        async with hosting(mosquitto.port, outbox, "late", SparkplugRole.PRIMARY):
            await told(node, "born")
        (_, gone) = await told(node, "state", 2)
        assert gone["online"] is False
        async with hosting(mosquitto.port, outbox, "second", SparkplugRole.ACTIVE) as plant:
            node.tell("heat 5")
            await told(node, "commanded")
            node.tell("heat 6")
            graph = await plant.until(lambda graph: value(graph, PRESS, "heat") == 6)
            assert value(graph, PUMP, "flow") == 4.5
            assert plant.host.host.counts.early >= 1


async def test_the_will_of_a_primary_host_is_kept_by_the_broker(mosquitto: Local, outbox: Outbox, tmp_path: Path) -> None:
    """The process dies: the broker says offline for it, retained, with the timestamp of the connection."""
    script = (
        "import asyncio, sys, pathlib\n"
        "from streams.crashpoints import CrashPoints\nfrom streams.mqtt import Address\nfrom streams.outbox import Outbox\n"
        "from streams.settings import Settings\nfrom streams.sparkplug import Manner, SparkplugHost\n"
        "s = Settings(site='w', sparkplug_role='primary', sparkplug_host_id='willing')\n"
        f"h = SparkplugHost(Manner.of(s), address=Address('127.0.0.1', {mosquitto.port}),\n"
        f"    outbox=Outbox(pathlib.Path({str(tmp_path / 'w.db')!r})), crash=CrashPoints())\n"
        "asyncio.run(h.run())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)  # noqa: ASYNC220 - it is quick
    states: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(HUNG), aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            await client.subscribe("spBv1.0/STATE/willing", qos=1)
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                states.append({**json.loads(message.payload), "qos": message.qos})
                if len(states) == 1:
                    process.kill()
                else:
                    break
    finally:
        process.kill()
        process.wait(10)
    born, died = states
    assert (born["online"], died["online"]) == (True, False)
    assert born["timestamp"] == died["timestamp"]
    assert died["qos"] == 1


# --- Protobuf as the oracle ------------------------------------------------------------------------------------------------

ORACLE = """
import sys
from pysparkplug._protobuf import Payload
for line in sys.stdin:
    payload = Payload.FromString(bytes.fromhex(line))
    print(payload.SerializeToString().hex(), [m.WhichOneof("value") for m in payload.metrics], flush=True)
"""


def payloads() -> list[Payload]:
    table = DataSet(2, ("a", "b"), (3, 12), (Row(),))
    inner = PropertySet(("k",), (Property(12, held=15, value="v"),))
    template = Template("1", (metric(Datatype.INT8, -3, name="m"),), template_ref="t", is_definition=False)
    metrics = [
        Metric(name="", alias=0, timestamp=0, datatype=0),
        Metric(is_null=True, is_historical=True, is_transient=True, metadata=MetaData(size=2**63, file_name="ä")),
        Metric(properties=PropertySet(("q", "s"), (Property(3, held=10, value=192), Property(20, held=20, value=inner)))),
        *(metric(kind, 1, name="n") for kind in range(Datatype.INT8, Datatype.FLOAT)),  # type: ignore[arg-type]
        metric(Datatype.FLOAT, 1.5),
        metric(Datatype.DOUBLE, -0.1),
        metric(Datatype.BOOLEAN, False),
        metric(Datatype.STRING, ""),
        metric(Datatype.BYTES, b"\x00\xff"),
        metric(Datatype.DATASET, table),
        metric(Datatype.TEMPLATE, template),
        metric(Datatype.INT64, -(2**63)),
    ]
    single = [Payload(timestamp=2**64 - 1, seq=255, metrics=(one,)) for one in metrics]
    return [Payload(), Payload(uuid="u", body=b"b"), Payload(metrics=tuple(metrics)), *single]


def test_protobuf_reads_what_we_write_and_we_read_what_it_writes(peer: Path) -> None:
    ours = payloads()
    asked = "".join(encode(one).hex() + "\n" for one in ours)
    done = subprocess.run([str(peer), "-c", ORACLE], input=asked, capture_output=True, text=True, timeout=HUNG, check=True)
    answers = [line.partition(" ")[0] for line in done.stdout.splitlines()]
    members = [line.partition(" ")[2] for line in done.stdout.splitlines()]
    assert [decode(bytes.fromhex(answer)) for answer in answers] == ours
    assert [bytes.fromhex(answer) for answer in answers] == [encode(one) for one in ours]
    assert "boolean_value" in members[2]
    assert "template_value" in members[2]


def test_the_time_of_day_is_in_microseconds() -> None:
    assert isinstance(now(), int)
    assert abs(now() - Micros(int(time.time() * 1_000_000))) < 5_000_000
