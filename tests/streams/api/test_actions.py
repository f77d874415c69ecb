"""Actions by HTTP: approved by a second person, resolved, undone; each once, and refused in words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.entry import Stage
from agents.identity import instructed
from schemas.action import Action, Cause
from schemas.device import DeviceId
from schemas.event import Micros, rfc3339
from streams.roles import Role
from tests.e2e.service import SITE
from tests.streams.api.serving import PIPE, PUMP, Served, event, served
from tests.waiting import until

POLICIES = """
@id("in pairs") @approval("second-person")
permit (principal in Role::"operator", action in [Action::"stop", Action::"start"], resource is Device);
@id("engineers approve starts")
forbid (principal, action == Action::"start", resource)
when { context has approver && !context.approver.roles.contains(Role::"engineer") };
@id("pipes")
permit (principal in Role::"operator", action in [Action::"isolate", Action::"reconnect"], resource is Device)
when { resource.type == "pipe" && context.blast.complete };
"""
PLANT = """
version: 1
types: {pump: ["pump-*"], pipe: ["pipe-*"], tank: ["tank-*"]}
blast: {verbs: [isolate, stop]}
"""


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "all.cedar").write_text(POLICIES)
    (policy / "plant.yaml").write_text(PLANT)
    async with served(tmp_path / "data", policy=policy) as found:
        yield found


async def request(api: Served, verb: str, device: DeviceId, *, principal: str = Role.OPERATOR) -> tuple[str, Stage]:
    """As an instruction's task asks; id and stage."""
    now = api.parts.clock.now
    action = Action(
        action_id=instructed(SITE, "in-1", verb, verb=verb, device_id=device),
        site=SITE,
        verb=verb,
        device_id=device,
        cause=Cause(instruction_id="in-1", task=verb, principal=principal, role=Role.OPERATOR),
        requested_at=rfc3339(now),
        expires_at=rfc3339(Micros(now + 600_000_000)),
    )
    return action.action_id, (await api.parts.responder.request(action)).stage


async def posted(
    api: Served, role: Role, path: str, body: dict[str, Any] | None = None, *, key: str | None = None
) -> httpx.Response:
    headers = {} if key is None else {"idempotency-key": key}
    return await api.clients[role].post(f"/v1/actions/{path}", json=body, headers=headers)


async def test_who_asked_does_not_approve_and_somebody_else_does(api: Served) -> None:
    name, stage = await request(api, "stop", PUMP)
    assert stage is Stage.WAITING
    refused = await posted(api, Role.OPERATOR, f"{name}/approve")
    assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
    assert "second person" in refused.json()["detail"]
    approved = await posted(api, Role.ENGINEER, f"{name}/approve")
    assert (approved.status_code, approved.json()["stage"], approved.json()["rule"]) == (200, "sent", "in pairs")
    assert (await posted(api, Role.ENGINEER, f"{name}/approve")).status_code == 409


async def test_an_operator_who_may_not_approve_it_leaves_it_to_an_engineer(api: Served) -> None:
    name, stage = await request(api, "start", PUMP, principal="somebody")
    assert stage is Stage.WAITING
    refused = await posted(api, Role.OPERATOR, f"{name}/approve")
    assert (refused.status_code, "forbidden by engineers approve starts" in refused.json()["detail"]) == (403, True)
    assert "is not approved: with the word of operator (operator) it would be refused" in refused.json()["detail"]
    approved = await posted(api, Role.ENGINEER, f"{name}/approve")
    assert (approved.status_code, approved.json()["stage"]) == (200, "sent")


async def test_what_was_sent_is_undone_once_whoever_repeats_it(api: Served) -> None:
    name, stage = await request(api, "isolate", PIPE)
    assert stage is Stage.SENT
    answers = [await posted(api, Role.OPERATOR, f"{name}/undo", key="once") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    undone = answers[0].json()
    assert (undone["action"]["verb"], undone["stage"]) == ("reconnect", "sent")
    assert undone["action"]["cause"] == {"undoes": name, "principal": "operator", "role": "operator"}
    assert (await posted(api, Role.OPERATOR, f"{name}/undo")).status_code == 409
    stopped, _ = await request(api, "stop", PUMP, principal="somebody")
    assert "only what was sent" in (await posted(api, Role.OPERATOR, f"{stopped}/undo")).json()["detail"]


async def test_an_end_that_nobody_knew_is_told(api: Served) -> None:
    name, _ = await request(api, "isolate", PIPE)
    early = await posted(api, Role.OPERATOR, f"{name}/resolve", {"outcome": "succeeded", "note": "seen"})
    assert (early.status_code, "not in doubt" in early.json()["detail"]) == (409, True)
    api.parts.clock.noticed(Micros(api.parts.clock.now + 700_000_000))
    await until(lambda: (entry := api.parts.responder.entry(name)) is not None and entry.stage is Stage.EXPIRED)
    for wrong in ({"outcome": "maybe", "note": "x"}, {"outcome": "failed", "note": ""}, {"outcome": "failed"}):
        assert (await posted(api, Role.OPERATOR, f"{name}/resolve", wrong)).status_code == 422
    told = await posted(api, Role.OPERATOR, f"{name}/resolve", {"outcome": "never-sent", "note": "the cable is out"})
    assert (told.status_code, told.json()["stage"]) == (200, "failed")
    assert told.json()["detail"] == "never-sent, says operator: the cable is out"


async def test_the_graph_as_it_is_now_decides(api: Served) -> None:
    await api.publish([event("device.connected", deviceId=PIPE, type="valve", zone="north")])
    _, stage = await request(api, "isolate", PIPE)
    assert stage is Stage.SENT  # a type comes from the plant's file, not from the device
    _, unknown = await request(api, "isolate", DeviceId("pipe-404"))
    assert unknown is Stage.REFUSED
