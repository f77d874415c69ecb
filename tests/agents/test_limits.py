"""What a device announces that it takes holds for whoever sets it, whenever it is decided on."""

from __future__ import annotations

import pytest

from agents.dispatcher import Dispatcher
from agents.entry import Stage
from agents.fakes import FakeOutlet, MemoryLedger
from agents.policy import Approver
from graph.topology import Topology
from schemas.action import Action
from schemas.device import Signal, SignalKind, SignalName
from schemas.event import Connected
from tests.agents.plant import PUMP, action, event, plant, second
from tests.agents.test_policy import HEAD, policy

BOB = Approver("bob", "operator")


def turning(highest: float, kind: SignalKind = SignalKind.NUMERIC) -> Topology:
    """The plant, whose pump turns no faster than that."""
    speed = Signal(SignalName("speed"), kind, min=0, max=highest)
    return plant().merge([event(Connected(PUMP, "pump", signals=(speed,)), -1)])


def setting(signal: object, value: object) -> Action:
    return action(PUMP, "set", arguments={"signal": signal, "value": value})


async def test_it_is_looked_at_again_at_the_approval() -> None:
    outlet, ledger = FakeOutlet(), MemoryLedger()
    acting = Dispatcher(engine=policy(f'@approval("person") {HEAD}'), ledger=ledger, outlets={"mqtt": outlet})
    asked = setting("speed", 1400)
    waiting = await acting.dispatch(asked, topology=turning(1500), now=second(0))
    assert waiting.stage is Stage.WAITING
    entry = await acting.approve(asked.action_id, BOB, topology=turning(1200), now=second(1))
    assert (entry.stage, outlet.sent) == (Stage.REFUSED, [])
    assert entry.detail == "1400 is beyond what speed of pump-1 takes: 0 to 1200; approved by bob"


@pytest.mark.parametrize("value", [1501, -1, 1e300, float("nan"), float("inf")])
def test_a_number_that_it_does_not_take(value: float) -> None:
    decision = policy(HEAD).decide(setting("speed", value), turning(1500), second(0))
    assert (decision.allowed, decision.reason) == (False, f"{value:g} is beyond what speed of pump-1 takes: 0 to 1500")


@pytest.mark.parametrize("value", ["1400", None, [1], {}, True])
def test_what_is_no_number(value: object) -> None:
    decision = policy(HEAD).decide(setting("speed", value), turning(1500), second(0))
    assert (decision.allowed, decision.reason.startswith("what is asked for is beyond what speed")) == (False, True)


def test_a_number_for_what_has_none() -> None:
    decision = policy(HEAD).decide(setting("speed", 1), turning(1500, SignalKind.CATEGORICAL), second(0))
    assert (decision.allowed, decision.reason) == (False, "speed of pump-1 has no numbers, so it cannot be set to one")


@pytest.mark.parametrize(("signal", "value"), [("speed", 0), ("speed", 1500), ("unheard-of", 9_999), (None, 9_999), (7, 9_999)])
def test_what_it_takes_and_what_it_never_announced_is_for_the_policy(signal: object, value: float) -> None:
    assert policy(HEAD).decide(setting(signal, value), turning(1500), second(0)).allowed


@pytest.mark.parametrize("signal", [["speed"], {"speed": 1}])
def test_a_name_that_is_none_breaks_nothing(signal: object) -> None:
    assert policy(HEAD).decide(setting(signal, 9_999), turning(1500), second(0)).allowed
