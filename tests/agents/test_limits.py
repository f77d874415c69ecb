"""What a device announces that it takes holds for whoever sets it, whenever it is decided on."""

from __future__ import annotations

import pytest

from agents.dispatcher import Dispatcher
from agents.entry import Stage
from agents.fakes import FakeOutlet, MemoryLedger
from agents.limits import misfit
from agents.policy import Approver
from graph.topology import Topology
from schemas.action import Action
from schemas.device import Signal, SignalKind, SignalName
from schemas.event import Connected
from tests.agents.plant import PUMP, action, event, plant, second
from tests.agents.test_policy import HEAD, policy

BOB = Approver("bob", "operator")


def turning(highest: float) -> Topology:
    """The plant, whose pump turns no faster than that."""
    speed = Signal(SignalName("speed"), SignalKind.NUMERIC, min=0, max=highest)
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


HUGE = 10**400


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1501, "1501"),
        (-1, "-1"),
        (1500.00000001, "1500.00000001"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (HUGE, "so large a number"),
    ],
)
def test_a_number_that_it_does_not_take(value: float, shown: str) -> None:
    decision = policy(HEAD).decide(setting("speed", value), turning(1500), second(0))
    assert (decision.allowed, decision.reason) == (False, f"{shown} is beyond what speed of pump-1 takes: 0 to 1500")


NONE_OF_THEM: list[object] = [None, [1], {}, "1" * 99]
TAKEN: dict[SignalKind, list[object]] = {
    SignalKind.NUMERIC: [0, 1, 2.5],
    SignalKind.COUNTER: [0, 1, 2.5],
    SignalKind.BINARY: [True, False, 0, 1],
    SignalKind.CATEGORICAL: ["on", ""],
}
REFUSED: dict[SignalKind, list[object]] = {
    SignalKind.NUMERIC: [*NONE_OF_THEM, True, "1"],
    SignalKind.COUNTER: [*NONE_OF_THEM, True, "1"],
    SignalKind.BINARY: [*NONE_OF_THEM, 2, 0.5, "true", float("nan")],
    SignalKind.CATEGORICAL: [None, [1], {}, 1, True],
}


@pytest.mark.parametrize("kind", SignalKind)
def test_what_kind_of_value(kind: SignalKind) -> None:
    """With limits and without."""
    for low, high in ((None, None), (0, 1500)):
        signal = Signal(SignalName("mode"), kind, min=low, max=high)
        assert [value for value in TAKEN[kind] if misfit("pump-1", signal, value)] == []
        reasons = [misfit("pump-1", signal, value) for value in REFUSED[kind]]
        assert all("is not what mode of pump-1 takes: " in reason and len(reason) < 100 for reason in reasons)


@pytest.mark.parametrize(("signal", "value"), [("speed", 0), ("speed", 1500), ("unheard-of", 9_999), (None, 9_999), (7, 9_999)])
def test_what_it_takes_and_what_it_never_announced_is_for_the_policy(signal: object, value: float) -> None:
    assert policy(HEAD).decide(setting(signal, value), turning(1500), second(0)).allowed


@pytest.mark.parametrize("signal", [["speed"], {"speed": 1}])
def test_a_name_that_is_none_breaks_nothing(signal: object) -> None:
    assert policy(HEAD).decide(setting(signal, 9_999), turning(1500), second(0)).allowed
