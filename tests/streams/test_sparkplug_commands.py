"""Actions to devices that came by Sparkplug: which metric is written, what is not sent and why, and what counts as done."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.dispatcher import NotSentError
from agents.entry import Entry, Stage
from agents.rulefile import RuleFileError
from graph.topology import Topology
from schemas.action import Action, Cause
from schemas.device import DeviceId
from schemas.event import ActionResult, Micros, rfc3339
from schemas.sparkplug.codec import decode, encode
from schemas.sparkplug.command import Write, fitting, same
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.host import Host
from schemas.sparkplug.model import Payload, SparkplugError
from schemas.sparkplug.topic import EdgeNode
from schemas.sparkplug.values import metric
from streams.commandfile import Commands, UnsaidError, Wanted
from streams.outlets import SparkplugOutlet, SparkplugPlace, place_of
from streams.responder import Responder
from streams.settings import SparkplugRole
from streams.sparkplug import now
from tests.e2e.service import SITE, running
from tests.streams.phrasebook import permits
from tests.waiting import until

NODE = EdgeNode("hall", "press")
PRESS, PUMP = DeviceId("hall/press"), DeviceId("hall/press/pump")
LATER = Micros(10**15)
FILE = """\
version: 1
commands:
  - {verb: start, devices: ["hall/*"], metric: Control/Run, value: true}
  - {verb: stop, types: [pump], metric: Control/Run, value: false}
  - {verb: restart, devices: [hall/press], metric: Node Control/Reboot, value: true}
  - {verb: set, signals: [speed, share]}
"""
PLANT = 'version: 1\ntypes:\n  pump: ["*/pump"]\n'


def asked(verb: str, device: str = PUMP, *, seconds: int = 60, **arguments: Any) -> Action:
    at = now()
    return Action(
        action_id=f"action-{verb}-{device}-{len(arguments)}",
        site=SITE,
        verb=verb,
        device_id=DeviceId(device),
        arguments=arguments,
        cause=Cause(instruction_id="run-1", task="t1", principal="ann", role="operator"),
        requested_at=rfc3339(at),
        expires_at=rfc3339(Micros(at + seconds * 1_000_000)),
    )


def write(name: str, value: Any, *, device: str | None = "pump", until_: int = LATER) -> Write:
    action, target = f"action-{name}", PUMP if device else PRESS
    return Write(action_id=action, device_id=target, device=device, metric=name, value=value, until=Micros(until_))


class Edge:
    """An edge node with a pump, as a host hears it. Times in milliseconds."""

    def __init__(self) -> None:
        self.host = Host()
        self.seq = -1
        bd_seq = metric(Datatype.INT64, 0, name="bdSeq")
        reboot = metric(Datatype.BOOLEAN, False, name="Node Control/Reboot")
        self.say("NBIRTH", bd_seq, reboot, metric(Datatype.INT8, 1, name="heat"))
        run = metric(Datatype.BOOLEAN, False, name="Control/Run", alias=7)
        self.say("DBIRTH", run, metric(Datatype.FLOAT, 0.5, name="share"), metric(Datatype.INT16_ARRAY, (1, 2), name="row"))

    def say(self, kind: str, *metrics: Any, at: int = 1_000_000) -> list[Any]:
        """The bodies of the events that come of it."""
        self.seq += 1
        topic = f"spBv1.0/hall/{kind}/press" + ("/pump" if kind.startswith("D") else "")
        raw = encode(Payload(timestamp=at, seq=self.seq, metrics=metrics))
        return [event.body for event in self.host.take(topic, raw, Micros(at * 1000)).events]

    def write(self, name: str, value: Any, **more: Any) -> tuple[str, Any]:
        topic, raw = self.host.write(NODE, write(name, value, **more), Micros(1_000_000_000))
        payload = decode(raw)
        assert payload.seq is None
        assert payload.timestamp == 1_000_000
        (sent,) = payload.metrics
        return topic, sent


def test_a_command_names_the_metric_as_its_birth_did() -> None:
    edge = Edge()
    topic, sent = edge.write("Control/Run", True)
    assert (topic, sent.name, sent.alias, sent.value, sent.datatype) == ("spBv1.0/hall/DCMD/press/pump", None, 7, True, 11)
    topic, sent = edge.write("share", 1)
    assert (topic, sent.name, sent.alias, sent.value) == ("spBv1.0/hall/DCMD/press/pump", "share", None, 1.0)
    topic, sent = edge.write("Node Control/Reboot", True, device=None)
    assert (topic, sent.name, sent.value) == ("spBv1.0/hall/NCMD/press", "Node Control/Reboot", True)


@pytest.mark.parametrize(
    ("name", "value", "device", "words"),
    [
        ("speed", 1, "pump", "announced no metric 'speed'"),
        ("row[0]", 1, "pump", "announced no metric"),
        ("row", 1, "pump", "no value of data type INT16_ARRAY"),
        ("bdSeq", 1, None, "announced no metric"),
        ("Control/Run", 1, "pump", "1 is no value of data type BOOLEAN"),
        ("Control/Run", "true", "pump", "no value of data type BOOLEAN"),
        ("share", True, "pump", "True is no value of data type FLOAT"),
        ("share", 1e300, "pump", "no value of data type FLOAT"),
        ("heat", 1.5, None, "no value of data type INT8"),
        ("heat", 128, None, "out of range"),
        ("heat", float("nan"), None, "no value of data type INT8"),
        ("heat", 1, "valve", "no birth of it stands"),
    ],
)
def test_what_no_birth_announced_or_does_not_fit_is_not_sent(name: str, value: Any, device: str | None, words: str) -> None:
    with pytest.raises(SparkplugError, match=words.replace("[", r"\[")):
        Edge().write(name, value, device=device)


def test_nothing_is_sent_to_what_is_not_there() -> None:
    edge = Edge()
    edge.say("DDEATH")
    with pytest.raises(SparkplugError, match="no birth of it stands"):
        edge.write("share", 1)
    with pytest.raises(SparkplugError, match="no birth of it stands"):
        Host().write(NODE, write("share", 1), Micros(0))


def results(bodies: list[Any]) -> list[ActionResult]:
    return [body for body in bodies if isinstance(body, ActionResult)]


def test_a_report_of_the_written_value_is_the_answer_once() -> None:
    edge = Edge()
    edge.write("share", 0.1)
    assert results(edge.say("DDATA", metric(Datatype.FLOAT, 0.2, name="share"))) == []
    assert results(edge.say("DDATA", metric(Datatype.FLOAT, 0.1, name="share", is_historical=True))) == []
    assert results(edge.say("DDATA", metric(Datatype.FLOAT, None, name="share"))) == []
    (done,) = results(edge.say("DDATA", metric(Datatype.FLOAT, 0.1, name="share")))
    assert (done.action_id, done.device_id, done.status) == ("action-share", PUMP, "succeeded")
    assert done.detail is not None
    assert done.detail.startswith("share is reported as 0.1")
    assert results(edge.say("DDATA", metric(Datatype.FLOAT, 0.1, name="share"))) == []


def test_a_report_by_alias_and_of_a_control_counts() -> None:
    edge = Edge()
    edge.write("Control/Run", True)
    assert len(results(edge.say("DDATA", metric(Datatype.BOOLEAN, True, alias=7)))) == 1
    edge.write("Node Control/Reboot", True, device=None)
    assert len(results(edge.say("NDATA", metric(Datatype.BOOLEAN, True, name="Node Control/Reboot")))) == 1


def test_a_report_after_its_time_or_of_another_session_is_none() -> None:
    edge = Edge()
    edge.write("share", 0.25, until_=1_000_000_000)
    assert results(edge.say("DDATA", metric(Datatype.FLOAT, 0.25, name="share"), at=1_000_001)) == []
    edge.write("share", 0.25)
    edge.write("share", 0.75)
    assert results(edge.say("DDATA", metric(Datatype.FLOAT, 0.25, name="share"))) == []
    assert len(results(edge.say("DDATA", metric(Datatype.FLOAT, 0.75, name="share")))) == 1


def test_values_as_their_types_hold_them() -> None:
    assert (fitting(Datatype.UINT64, 2**63), fitting(Datatype.TEXT, "x")) == (2**63, "x")
    assert not same(Datatype.INT8, 1, True)
    assert not same(Datatype.DOUBLE, 0.1, 0.1000001)
    assert not same(Datatype.FLOAT, 1.0, 1e300)


# --- The file --------------------------------------------------------------------------------------------------------------


def commands(folder: Path, text: str = FILE) -> Commands:
    policy = permits(folder / "policy")
    (policy / "plant.yaml").write_text(PLANT, encoding="utf-8")
    (folder / "commands.yaml").write_text(text, encoding="utf-8")
    return Commands.load(folder / "commands.yaml", policy)


def test_what_a_verb_writes_is_what_the_file_says(tmp_path: Path) -> None:
    said = commands(tmp_path)
    assert said.wanted(asked("start")) == Wanted("Control/Run", True)
    assert said.wanted(asked("stop")) == Wanted("Control/Run", False)
    assert said.wanted(asked("set", signal="speed", value=3)) == Wanted("speed", 3)
    for action in (asked("stop", PRESS), asked("open"), asked("start", "other/press"), asked("set", signal="flow", value=1)):
        with pytest.raises(UnsaidError, match="sparkplug_commands does not say what"):
            said.wanted(action)
    with pytest.raises(UnsaidError, match="no value to write"):
        said.wanted(asked("set", signal="speed", value=[1]))


def test_a_signal_spelled_otherwise_is_none(tmp_path: Path) -> None:
    """What its device takes is known under its own name alone."""
    everything = commands(tmp_path, "version: 1\ncommands:\n- {verb: set}\n")
    assert everything.wanted(asked("set", signal="t%5B0]", value=3)) == Wanted("t[0]", 3)
    for name in ("%73peed", "t%5b0]", ""):
        with pytest.raises(UnsaidError, match="no metric can be told"):
            everything.wanted(asked("set", signal=name, value=3))


@pytest.mark.parametrize(
    "rule",
    [
        "{verb: start}",
        "{verb: start, metric: x}",
        "{verb: set, metric: x, value: 1}",
        "{verb: start, metric: x, value: 1, signals: [a]}",
        "{verb: start, metric: x, value: [1]}",
        "{verb: start, metric: x, value: 1, colour: red}",
        "{verb: Start now, metric: x, value: 1}",
    ],
)
def test_a_file_that_says_something_else_is_refused(rule: str, tmp_path: Path) -> None:
    with pytest.raises(RuleFileError):
        commands(tmp_path, f"version: 1\ncommands: [{rule}]\n")


# --- The whole way ---------------------------------------------------------------------------------------------------------


async def test_without_a_host_nothing_is_sent() -> None:
    async def place(_: DeviceId) -> SparkplugPlace:
        return SparkplugPlace(NODE, "pump")

    outlet = SparkplugOutlet(None, Commands(), place)
    with pytest.raises(NotSentError, match="sparkplug_role is off"):
        await outlet.send(asked("start"), await place(PUMP))


def test_a_device_that_only_says_so_did_not_come_by_sparkplug() -> None:
    edge = Edge()
    edge.seq = -1
    born = edge.host.take("spBv1.0/hall/NBIRTH/other", encode(Payload(timestamp=1, seq=0)), Micros(1000)).events
    graph = Topology().merge(born)
    assert place_of(graph, DeviceId("hall/other")) == SparkplugPlace(EdgeNode("hall", "other"), None)
    fake = msgspec.structs.replace(born[0].body, device_id=DeviceId("pump-1"))
    graph = Topology().merge([msgspec.structs.replace(born[0], body=fake)])
    assert place_of(graph, DeviceId("pump-1")) is None


async def settled(responder: Responder, action: Action, true: Callable[[Entry], bool]) -> Entry:
    def there() -> bool:
        entry = responder.entry(action.action_id)
        return entry is not None and true(entry)

    await until(there)
    entry = responder.entry(action.action_id)
    assert entry is not None
    return entry


@pytest.mark.parametrize("role", [SparkplugRole.ACTIVE, SparkplugRole.PASSIVE])
async def test_an_action_is_written_and_its_report_ends_it(role: SparkplugRole, tmp_path: Path) -> None:
    """Through the embedded broker, the policy, the ledger and the log."""
    commands(tmp_path)
    told: dict[str, Any] = {
        "sparkplug_role": role,
        "sparkplug_commands": tmp_path / "commands.yaml",
        "policy": tmp_path / "policy",
    }
    async with running(tmp_path / "data", allowed_lateness=0, **told) as (parts, client):
        assert parts.sparkplug is not None
        await parts.sparkplug.connected.wait()
        birth = metric(Datatype.BOOLEAN, False, name="Control/Run")
        seq, times = itertools.count(), itertools.count(now() // 1000 - 10_000, 1_000)

        async def say(kind: str, *metrics: Any) -> None:
            raw = encode(Payload(timestamp=next(times), seq=next(seq), metrics=metrics))
            await client.publish(f"spBv1.0/hall/{kind}/press" + ("/pump" if kind[0] == "D" else ""), raw, qos=0)

        await say("NBIRTH", metric(Datatype.INT64, 0, name="bdSeq"))
        await say("DBIRTH", birth)
        await say("DDATA", birth)  # so that the plant's time goes on
        await until(lambda: parts.analysis.pipeline.topology.knows(PUMP))
        action, unsaid = asked("start"), asked("set", signal="flow", value=1)
        entry = await parts.responder.request(unsaid)
        assert (entry.stage, "not sent:" in entry.detail) == (Stage.FAILED, True)
        entry = await parts.responder.request(action)
        if role is SparkplugRole.PASSIVE:
            assert (entry.stage, "publishes no commands" in entry.detail) == (Stage.FAILED, True)
            return
        assert entry.stage is Stage.SENT
        await say("DDATA", metric(Datatype.BOOLEAN, True, name="Control/Run"))
        await say("DDATA", metric(Datatype.BOOLEAN, True, name="Control/Run"))
        entry = await settled(parts.responder, action, lambda entry: entry.stage is Stage.SUCCEEDED)
        assert entry.detail == "Control/Run is reported as True"
        assert (await parts.responder.request(action)).stage is Stage.SUCCEEDED
