"""The Sparkplug host on the wire: what it connects with, subscribes to and publishes in each role, and what it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from schemas.event import Disconnected, Event
from schemas.frame import unpack
from schemas.sparkplug.codec import decode
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.model import Held, Metric
from schemas.sparkplug.state import State, decode_state, encode_state
from streams.crashpoints import CrashPoints
from streams.outbox import Outbox
from streams.settings import Settings, SparkplugRole
from streams.sparkplug import Manner, SparkplugHost
from tests.schemas.sparkplug.bench import Edge, bare, number, values, went
from tests.streams.mqttserver import Connect, Disconnect, Packet, Publish, Server, Subscribe, serving
from tests.waiting import HUNG, until

STATE = "spBv1.0/STATE/scada"


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "outbox.db")) as made:
        yield made


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


def manner(role: str, **settings: object) -> Manner:
    return Manner.of(Settings(site="t", sparkplug_role=SparkplugRole(role), sparkplug_host_id="scada", **settings))  # type: ignore[arg-type]


@asynccontextmanager
async def running(
    server: Server, outbox: Outbox, how: Manner, stored: Callable[[], None] = lambda: None
) -> AsyncIterator[SparkplugHost]:
    host = SparkplugHost(how, address=server.address, outbox=outbox, crash=CrashPoints(), stored=stored)
    task = asyncio.create_task(host.run())
    try:
        await asyncio.wait_for(host.connected.wait(), HUNG)
        yield host
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def kept(outbox: Outbox, count: int) -> list[Event]:
    """The events in the outbox, once there are so many. Raises TimeoutError."""
    async with asyncio.timeout(HUNG):
        while True:
            events = [event for _, frame in await outbox.waiting(100) for event in unpack(frame)]
            if len(events) >= count:
                return events
            await asyncio.sleep(0.01)


def state(packet: Packet) -> State:
    assert isinstance(packet, Publish)
    return decode_state(packet.payload)


# --- STATE -----------------------------------------------------------------------------------------------------------------


async def primary_session(server: Server, outbox: Outbox) -> list[Packet]:
    """A primary host that comes and goes."""
    async with running(server, outbox, manner("primary")):
        await server.until(1, Publish)
    await server.until(1, Disconnect)
    return server.packets


def connect(packets: list[Packet]) -> Connect:
    assert isinstance(packets[0], Connect)
    return packets[0]


def will(packets: list[Packet]) -> Publish:
    found = connect(packets).will
    assert found is not None
    return found


def births(packets: list[Packet]) -> list[Publish]:
    return [packet for packet in packets if isinstance(packet, Publish) and state(packet).online]


def deaths(packets: list[Packet]) -> list[Publish]:
    return [packet for packet in packets if isinstance(packet, Publish) and not state(packet).online]


def order(packets: list[Packet]) -> list[type[Packet]]:
    return [type(packet) for packet in packets]


RULES: dict[str, Callable[[list[Packet]], bool]] = {
    "tck-id-message-flow-phid-sparkplug-clean-session-311": lambda all_: connect(all_).clean,
    "tck-id-message-flow-phid-sparkplug-subscription": lambda all_: order(all_)[:3] == [Connect, Subscribe, Publish],
    "tck-id-message-flow-phid-sparkplug-state-publish": lambda all_: state(all_[2]).online,
    "tck-id-message-flow-phid-sparkplug-state-publish-payload-timestamp": (
        lambda all_: state(births(all_)[0]).timestamp == state(will(all_)).timestamp
    ),
    "tck-id-host-topic-phid-birth-message": lambda all_: next(p for p in all_ if isinstance(p, Publish)) in births(all_),
    "tck-id-host-topic-phid-birth-qos": lambda all_: births(all_)[0].qos == 1,
    "tck-id-host-topic-phid-birth-retain": lambda all_: births(all_)[0].retain,
    "tck-id-host-topic-phid-birth-required": lambda all_: order(all_).index(Subscribe) < all_.index(births(all_)[0]),
    "tck-id-host-topic-phid-birth-payload-timestamp": (
        lambda all_: state(births(all_)[0]).timestamp == state(will(all_)).timestamp
    ),
    "tck-id-host-topic-phid-death-qos": lambda all_: will(all_).qos == 1,
    "tck-id-host-topic-phid-death-retain": lambda all_: will(all_).retain,
    "tck-id-host-topic-phid-death-required": lambda all_: not state(will(all_)).online,
    "tck-id-host-topic-phid-death-payload-timestamp-connect": (
        lambda all_: 0 <= state(deaths(all_)[0]).timestamp - state(will(all_)).timestamp < 60_000
    ),
    "tck-id-host-topic-phid-death-payload-timestamp-disconnect-clean": lambda all_: all_[-2] == deaths(all_)[-1],
    "tck-id-operational-behavior-host-application-connect-will": lambda all_: connect(all_).will is not None,
    "tck-id-operational-behavior-host-application-connect-will-topic": lambda all_: will(all_).topic == STATE,
    "tck-id-operational-behavior-host-application-connect-will-qos": lambda all_: will(all_).qos == 1,
    "tck-id-operational-behavior-host-application-connect-will-retained": lambda all_: will(all_).retain,
    "tck-id-operational-behavior-host-application-connect-birth": lambda all_: len(births(all_)) == 1,
    "tck-id-operational-behavior-host-application-connect-birth-topic": lambda all_: births(all_)[0].topic == STATE,
    "tck-id-operational-behavior-host-application-connect-birth-qos": lambda all_: births(all_)[0].qos == 1,
    "tck-id-operational-behavior-host-application-connect-birth-retained": lambda all_: births(all_)[0].retain,
    "tck-id-operational-behavior-host-application-termination": lambda all_: len(deaths(all_)) == 1,
    "tck-id-operational-behavior-host-application-death-topic": lambda all_: deaths(all_)[0].topic == STATE,
    "tck-id-operational-behavior-host-application-death-qos": lambda all_: deaths(all_)[0].qos == 1,
    "tck-id-operational-behavior-host-application-death-retained": lambda all_: deaths(all_)[0].retain,
    "tck-id-operational-behavior-host-application-disconnect-intentional": lambda all_: (
        order(all_)[-2:] == [Publish, Disconnect]
    ),
    "tck-id-payloads-state-will-message": lambda all_: (will(all_).topic, state(will(all_)).online) == (STATE, False),
    "tck-id-payloads-state-will-message-qos": lambda all_: will(all_).qos == 1,
    "tck-id-payloads-state-will-message-retain": lambda all_: will(all_).retain,
    "tck-id-payloads-state-subscribe": lambda all_: Subscribe("spBv1.0/#", 1) in all_,
    "tck-id-payloads-state-birth": lambda all_: (
        (births(all_)[0].topic, births(all_)[0].qos, births(all_)[0].retain) == (STATE, 1, True)
    ),
    "tck-id-principles-birth-certificates-order": lambda all_: (
        next(p for p in all_ if isinstance(p, Publish)) == births(all_)[0]
    ),
    "tck-id-components-ph-state": lambda all_: [state(p).online for p in all_ if isinstance(p, Publish)] == [True, False],
    "tck-id-conformance-primary-host": lambda all_: {p.topic for p in all_ if isinstance(p, Publish)} == {STATE},
    "tck-id-intro-sparkplug-host-state": lambda all_: len(births(all_)) == len(deaths(all_)) == 1,
}


@pytest.mark.parametrize("tck_id", RULES)
async def test_a_primary_host_comes_and_goes_by_the_book(tck_id: str, server: Server, outbox: Outbox) -> None:
    assert RULES[tck_id](await primary_session(server, outbox))


async def test_tck_id_message_flow_hid_sparkplug_state_message_delivered(server: Server, outbox: Outbox) -> None:
    """Whoever says that this host is gone is contradicted at once, with the timestamp of its connection."""
    async with running(server, outbox, manner("primary")):
        first = state((await server.until(1, Publish))[-1])
        await server.send(STATE, encode_state(State(online=False, timestamp=first.timestamp - 1)), retain=True)
        assert state((await server.until(2, Publish))[-1]) == first
        await server.send(STATE, encode_state(first))
        await server.send("spBv1.0/STATE/other", encode_state(State(online=False, timestamp=1)))
        await server.send(STATE, encode_state(State(online=False, timestamp=2)))
        packets = await server.until(3, Publish)
    assert len([packet for packet in packets if isinstance(packet, Publish)]) == 3


async def test_tck_id_operational_behavior_primary_application_state_with_multiple_servers_state(
    server: Server, outbox: Outbox
) -> None:
    """Each connection has a will and a birth of its own, with a timestamp of its own, before anything else."""
    async with running(server, outbox, manner("primary")):
        await server.until(1, Publish)
        await asyncio.sleep(0.01)
        server.drop()
        packets = await server.until(2, Publish)
    wills = [packet.will for packet in packets if isinstance(packet, Connect)]
    stamps = [state(one).timestamp for one in wills if one is not None]
    assert [state(packet).timestamp for packet in births(packets)] == stamps
    assert stamps[0] < stamps[1]


async def test_tck_id_operational_behavior_host_application_multi_server_timestamp(outbox: Outbox) -> None:
    """A host on each of two servers: each goes by its own connection's time."""
    async with serving() as one, serving() as two, running(one, outbox, manner("primary")):
        await asyncio.sleep(0.01)
        async with running(two, outbox, manner("primary")):
            first, second = one.packets, two.packets
            assert state(births(first)[0]).timestamp == state(will(first)).timestamp
            assert state(births(second)[0]).timestamp == state(will(second)).timestamp
            assert state(will(first)).timestamp < state(will(second)).timestamp


@pytest.mark.parametrize("role", ["passive", "active"])
async def test_other_hosts_have_neither_will_nor_state(role: str, server: Server, outbox: Outbox) -> None:
    async with running(server, outbox, manner(role)):
        await server.send(STATE, encode_state(State(online=False, timestamp=1)))
        await asyncio.sleep(0.1)
    packets = await server.until(1, Disconnect)
    assert connect(packets).will is None
    assert connect(packets).clean
    assert server.of(Publish) == []


async def test_a_passive_host_publishes_nothing_whatever_happens(
    server: Server, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    edge = Edge()
    async with running(server, outbox, manner("passive", sparkplug_reorder_timeout=0.05)) as host:
        for message in (edge.ndata(number("t", 1)), edge.nbirth(number("t", 1)), edge.ndata(bare(9, Datatype.DOUBLE, 1))):
            await server.send(*message)
        edge.seq += 1
        await server.send(*edge.ndata(number("t", 2)))
        await until(lambda: host.host.counts.gaps == 1)
    assert server.of(Publish) == []
    assert caplog.text.count("a passive host waits for their next ones") == 1


async def test_groups_narrow_what_is_listened_to(server: Server, outbox: Outbox) -> None:
    async with running(server, outbox, manner("primary", sparkplug_groups=("a", "b"))):
        assert [one.topic for one in server.of(Subscribe) if isinstance(one, Subscribe)] == [
            STATE,
            "spBv1.0/a/#",
            "spBv1.0/b/#",
        ]


# --- Messages --------------------------------------------------------------------------------------------------------------


async def test_events_are_kept_and_the_gateway_is_told(server: Server, outbox: Outbox) -> None:
    edge, told = Edge(), asyncio.Event()
    async with running(server, outbox, manner("active"), stored=told.set):
        await server.send(*edge.nbirth(number("t", 1)))
        await server.send(*edge.ndata(number("t", 2)))
        events = await kept(outbox, 3)
        await asyncio.wait_for(told.wait(), HUNG)
    assert values(events) == [{"t": 1}, {"t": 2}]
    assert outbox.totals() == {"valid": 3, "invalid": 0}
    assert outbox.watermarks.all() == [], "edge nodes keep nothing for a host, so nothing is promised to them"


COMMAND: dict[str, Callable[[Publish], bool]] = {
    "tck-id-topics-ncmd-mqtt": lambda packet: (packet.qos, packet.retain) == (0, False),
    "tck-id-payloads-ncmd-qos": lambda packet: packet.qos == 0,
    "tck-id-payloads-ncmd-retain": lambda packet: not packet.retain,
}


@pytest.mark.parametrize("tck_id", COMMAND)
async def test_a_rebirth_is_asked_for_on_the_nodes_command_topic(tck_id: str, server: Server, outbox: Outbox) -> None:
    edge = Edge()
    async with running(server, outbox, manner("active")):
        await server.send(*edge.ndata(number("t", 1)))
        packets = await server.until(1, Publish)
    request = packets[-1]
    assert isinstance(request, Publish)
    assert request.topic == "spBv1.0/plant/NCMD/line"
    payload = decode(request.payload)
    assert [(one.name, one.value) for one in payload.metrics] == [("Node Control/Rebirth", True)]
    assert payload.seq is None
    assert COMMAND[tck_id](request)


async def test_the_reorder_timeout_of_the_settings_is_kept(server: Server, outbox: Outbox) -> None:
    edge = Edge()
    async with running(server, outbox, manner("primary", sparkplug_reorder_timeout=0.2)):
        await server.send(*edge.nbirth(number("t", 1)))
        edge.seq += 1
        began = asyncio.get_running_loop().time()
        await server.send(*edge.ndata(number("t", 2)))
        await kept(outbox, 3)
        assert asyncio.get_running_loop().time() - began >= 0.19
        packets = await server.until(2, Publish)
    assert isinstance(packets[-1], Publish | Disconnect)
    assert "spBv1.0/plant/NCMD/line" in [packet.topic for packet in packets if isinstance(packet, Publish)]


async def test_a_refused_message_is_a_dead_letter_with_its_topic(server: Server, outbox: Outbox) -> None:
    edge = Edge()
    bad = Metric(name="odd", datatype=99, held=Held.INT, value=1)
    async with running(server, outbox, manner("active")):
        await server.send("spBv1.0/plant/NDATA/line", b"\x08")
        await server.send(*edge.nbirth(bad, number("t", 1)))
        await kept(outbox, 2)
    broken, odd = outbox.deadletters()
    assert (broken.topic, broken.reason, broken.raw) == ("spBv1.0/plant/NDATA/line", "the payload is cut short", "\x08")
    assert (odd.topic, odd.reason) == ("spBv1.0/plant/NBIRTH/line", "metric 'odd': unknown data type 99")


async def test_a_lost_connection_makes_all_stale_and_the_next_one_asks(server: Server, outbox: Outbox) -> None:
    edge = Edge()
    async with running(server, outbox, manner("primary")) as host:
        await server.send(*edge.nbirth(number("t", 1)))
        await server.send(*edge.dbirth(number("t", 1)))
        await kept(outbox, 4)
        server.drop()
        events = await kept(outbox, 6)
        assert set(went(events)) == {"plant/line", "plant/line/pump"}
        assert {event.body.reason for event in events if isinstance(event.body, Disconnected)} == {
            "the connection to the broker is lost"
        }
        await until(lambda: "spBv1.0/plant/NCMD/line" in [one.topic for one in server.of(Publish) if isinstance(one, Publish)])
        await until(host.connected.is_set)  # it asks first


async def test_when_more_comes_than_may_wait_everything_is_asked_for_anew(
    server: Server, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A death may be among what was let go of, and would never show as a gap."""
    monkeypatch.setattr("streams.sparkplug.MOST_WAITING", 5)
    edge, store, begun, free = Edge(), outbox.store, asyncio.Event(), asyncio.Event()

    async def slow(*given: Any, **more: Any) -> Any:
        begun.set()
        await free.wait()
        return await store(*given, **more)

    monkeypatch.setattr(outbox, "store", slow)
    async with running(server, outbox, manner("primary")) as host:
        await server.send(*edge.nbirth(number("t", 0)))
        await asyncio.wait_for(begun.wait(), HUNG)
        for at in range(20):
            await server.send(*edge.ndata(number("t", at)))
        await server.send(*edge.ndeath())
        await until(lambda: caplog.text.count("queue is full") == 21 - 5)
        free.set()
        await until(lambda: "spBv1.0/plant/NCMD/line" in [one.topic for one in server.of(Publish) if isinstance(one, Publish)])
        assert host.host.counts.received < 22
        assert went(await kept(outbox, 8)) == ["plant/line"]


async def test_what_cannot_be_kept_ends_the_host(server: Server, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error is handled or it stops the process; messages that nobody keeps would be lost in silence."""

    async def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outbox, "store", full)
    host = SparkplugHost(manner("active"), address=server.address, outbox=outbox, crash=CrashPoints())
    task = asyncio.create_task(host.run())
    await asyncio.wait_for(host.connected.wait(), HUNG)
    await server.send(*Edge().nbirth(number("t", 1)))
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(task, HUNG)
    assert caught.group_contains(OSError, match="No space")


def test_hosts_of_different_names_do_not_ask_at_the_same_moment() -> None:
    settings = [Settings(sparkplug_role=SparkplugRole.ACTIVE, sparkplug_host_id=name) for name in ("a", "b")]
    waits = [Manner.of(one).rules.stagger for one in settings]
    assert waits[0] != waits[1]
    assert all(50_000 <= wait < 500_000 for wait in waits)
    assert manner("primary").rules.stagger == 0
    assert not manner("passive").rules.asks
