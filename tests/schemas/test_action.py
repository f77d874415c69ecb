"""Every action says what it is for: an alarm, a task of an instruction, or another action that it undoes."""

from __future__ import annotations

import msgspec
import pytest

from agents.identity import derived, instructed
from schemas.action import RUNBOOK, Action, Cause
from schemas.event import Severity

ALARM = {"alert_id": "al-1", "condition": "fault", "severity": Severity.HIGH}
TASK = {"instruction_id": "in-1", "task": "close-1"}
WHO = {"principal": "ann", "role": "operator"}
RUN = {"run_id": "run-1", "task": "close-1"}


@pytest.mark.parametrize("given", [ALARM, TASK, ALARM | RUN, {"undoes": "action-1"}])
def test_one_reason(given: dict[str, str]) -> None:
    cause = Cause(**given, **WHO)  # type: ignore[arg-type]
    assert msgspec.json.decode(msgspec.json.encode(cause), type=Cause) == cause


@pytest.mark.parametrize(
    "given",
    [
        {},
        ALARM | TASK,
        TASK | {"undoes": "action-1"},
        {"alert_id": "al-1"},
        ALARM | {"severity": None},
        {"instruction_id": "in-1"},
        {"task": "close-1", "undoes": "action-1"},
        {"condition": "fault", "undoes": "action-1"},
        RUN,
        TASK | {"run_id": "run-1"},
        ALARM | {"run_id": "run-1"},
        ALARM | {"task": "close-1"},
    ],
)
def test_not_none_and_not_two(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"alertId|instructionId"):
        Cause(**given, **WHO)  # type: ignore[arg-type]


def test_what_was_kept_before_principals_were() -> None:
    cause = msgspec.json.decode(b'{"alertId": "al-1", "condition": "fault", "severity": "high"}', type=Cause)
    assert (cause.principal, cause.role) == ("", "")


def test_the_plant_as_a_whole_is_left_out_on_the_wire() -> None:
    action = Action(
        action_id=instructed("demo", "in-1", "tell", verb="notify", device_id=None),
        site="demo",
        verb="notify",
        cause=Cause(alert_id="al-1", condition="fault", severity=Severity.HIGH, principal="runbook:tell", role=RUNBOOK),
        requested_at="2026-01-05T08:30:00Z",
        expires_at="2026-01-05T08:31:00Z",
    )
    assert "deviceId" not in msgspec.to_builtins(action)
    assert (action.target, action.action_id) == ("the plant", derived("action", "demo", "in-1", "tell", "notify", ""))
