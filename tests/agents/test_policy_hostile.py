"""Whatever somebody writes where a name belongs: it is data. It permits nothing, breaks nothing, and is at most refused."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from agents.cedar import Source
from agents.dispatcher import Dispatcher
from agents.entry import Stage
from agents.fakes import FakeEngine, FakeOutlet, MemoryLedger
from agents.plantfile import PlantFile
from agents.policy import Decision, decided
from agents.policyfolder import Policy
from agents.rulefile import RuleFileError, parse
from graph.topology import Topology
from schemas.action import Action, Cause
from schemas.device import DeviceId
from schemas.event import Connected
from streams.ledger import SqliteLedger, audit_trail
from tests.agents.hostile import HOSTILE
from tests.agents.plant import PIPE, action, event, plant, second
from tests.agents.test_policy import PLANT

NOW = second(0)
NARROW = """
@id("person") permit (principal == User::"ann", action == Action::"isolate", resource);
@id("role") permit (principal in Role::"engineer", action == Action::"isolate", resource);
@id("runbook") permit (principal == Runbook::"test", action == Action::"isolate", resource);
@id("device") permit (principal == User::"bob", action, resource == Device::"pipe-9");
@id("type") permit (principal == User::"eve", action, resource is Device) when { resource.type == "tank" };
@id("zone") permit (principal == User::"joe", action, resource is Device) when { resource in Zone::"north" };
@id("text") permit (principal == User::"kim", action, resource)
when { context.texts.hasTag("mode") && context.texts.getTag("mode") == "safe" };
@id("number") permit (principal == User::"lea", action, resource)
when { context.numbers.hasTag("mode") && context.numbers.getTag("mode") == decimal("1.0") };
@id("way") permit (principal == User::"max", action, resource) when { context.via == "orders" };
@id("site") permit (principal == User::"ned", action, resource == Site::"main");
"""
WIDE = '@id("all") permit (principal, action, resource);'


def engine(text: str, said: str = PLANT) -> Policy:
    return Policy(parse(said.encode(), PlantFile, name="plant.yaml"), [Source("test.cedar", text)], MemoryLedger())


def by(principal: str, role: str = "operator") -> Cause:
    return Cause(instruction_id="in-1", task="t", principal=principal, role=role)


def asked(policy: Policy, what: Action, topology: Topology | None = None) -> Decision:
    return decided(policy, what, topology=plant() if topology is None else topology, now=NOW)


def test_there_are_many() -> None:
    assert len(set(HOSTILE)) >= 130


@pytest.fixture(scope="module")
def narrow() -> Policy:
    return engine(NARROW)


@pytest.fixture(scope="module")
def wide() -> Policy:
    return engine(WIDE)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:40])
def test_it_permits_nothing_wherever_it_stands(narrow: Policy, wide: Policy, text: str) -> None:
    odd = DeviceId(text)
    requests = {
        "principal": action(cause=by(text)),
        "role": action(cause=by("zed", text)),
        "runbook": action(cause=by(f"runbook:{text}", "runbook")),
        "device": action(odd, cause=by("bob")),
        "device at hand": action(PIPE, cause=by("bob"), site=text),
        "argument": action(cause=by("kim"), arguments={"mode": text}),
        "argument's name": action(cause=by("kim"), arguments={text: "safe"}),
        "argument's depth": action(cause=by("kim"), arguments={text: {"mode": "safe"}}),
        "number": action(cause=by("lea"), arguments={"mode": text}),
        "way": action(cause=by("max"), via=text),
        "site": msgspec.structs.replace(action(cause=by("ned")), device_id=None, site=text),
    }
    allowed = [name for name, request in requests.items() if asked(narrow, request).allowed]
    assert allowed == (["role"] if text == "admin" else [])
    verb = asked(wide, action(cause=by("ann"), verb=text))
    assert (verb.allowed, verb.policies) == (False, ())


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:40])
def test_what_a_device_says_of_itself_is_data(narrow: Policy, text: str) -> None:
    for cause, zone, kind in ((by("joe"), text, "pipe"), (by("eve"), "north", text), (by("eve"), text, text)):
        topology = plant().merge([event(Connected(PIPE, kind, zone=zone, properties={text: text}), 0)])
        allowed = asked(narrow, action(cause=cause), topology).allowed
        assert not allowed
    assert (
        not engine(WIDE.replace(";", " when { resource is Device && resource.known };"))
        .decide(action(cause=by("ann")), plant().merge([event(Connected(PIPE, text, zone="east"), 0)]), NOW)
        .allowed
    )


def test_the_narrow_policies_do_permit_what_they_name(narrow: Policy) -> None:
    permitted = [
        action(cause=by("ann")),
        action(cause=by("zed", "admin")),
        action(cause=by("runbook:test", "runbook")),
        action(DeviceId("pipe-9"), cause=by("bob")),
        action(cause=by("kim"), arguments={"mode": "safe"}),
        action(cause=by("lea"), arguments={"mode": 1}),
        action(cause=by("max"), via="orders"),
        msgspec.structs.replace(action(cause=by("ned")), device_id=None, site="main"),
    ]
    assert [asked(narrow, one).allowed for one in permitted] == [True] * len(permitted)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:40])
def test_a_plant_file_takes_it_as_a_name_or_not_at_all(text: str) -> None:
    said = {"version": 1, "verbs": [text], "types": {text: [text]}, "zones": {text: [text]}, "timezone": "UTC"}
    try:
        raw = msgspec.json.encode(said)
        policy = engine(WIDE, raw.decode())
    except (RuleFileError, UnicodeEncodeError):
        return
    assert policy.verbs >= {text}
    assert text.replace(".", "").replace("-", "").replace("_", "").isalnum()


async def test_it_is_kept_as_it_was_and_chained(tmp_path: Path) -> None:
    path, outlet = tmp_path / "ledger.db", FakeOutlet()
    texts = [
        text for text in HOSTILE if text.encode(errors="replace") == text.encode(errors="surrogatepass") and len(text) < 20_000
    ]
    with closing(SqliteLedger(path)) as ledger:
        acting = Dispatcher(engine=FakeEngine(allowed=True, approval=True), ledger=ledger, outlets={"mqtt": outlet})
        for number, text in enumerate(texts):
            one = action(DeviceId(text), text, action_id=f"{number} {text}", cause=by(text, text), arguments={text: text})
            assert (await acting.dispatch(one, topology=plant(), now=NOW)).stage is Stage.WAITING
            assert acting.reject(one.action_id, text, text, now=NOW).stage is Stage.REFUSED
            held = ledger.entry(one.action_id)
            assert held is not None
            assert held.action == one
    with audit_trail(path) as trail:
        assert trail.verify().number == 2 * len(texts)
