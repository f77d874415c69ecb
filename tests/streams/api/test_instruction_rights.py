"""Whose instructions are whose: who may begin a plan, as whom it acts, and for how long."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest

from agents.names import Names
from agents.run import Order, RunState
from schemas.event import Micros, rfc3339
from streams.access import Keys
from streams.folder import Folder
from streams.instructions import LONGEST_PLANNED
from streams.journal import wall_clock
from streams.roles import Role
from tests.streams.api.serving import Served, served
from tests.streams.api.test_instructions import FIND, PATH, STOP, ask, device, ended
from tests.streams.phrasebook import PHRASES, Phrasebook, permits
from tests.waiting import HUNG

ENGINEERS = '@id("engineers")\npermit (principal in Role::"engineer", action, resource);'


async def order_of(api: Served, run_id: str) -> Order:
    run = await api.parts.workroom.scheduler.get(run_id)
    assert run is not None
    return run.order


async def test_nobody_begins_anothers_plan(tmp_path: Path) -> None:
    """Its actions would carry another's name and role."""
    async with served(tmp_path, interpreter=Phrasebook(PHRASES), policy=permits(tmp_path / "policy", ENGINEERS)) as api:
        plan = (await ask(api, STOP, Role.ENGINEER)).json()["run"]
        start, digest = f"{PATH}/{plan['runId']}/start", {"digest": plan["digest"]}
        async with device(api) as got:
            for role in (Role.OPERATOR, Role.ADMIN):
                refused = await api.clients[role].post(start, json=digest)
                assert (refused.status_code, "plan it yourself" in refused.json()["detail"]) == (403, True)
            with closing(Keys(Folder(tmp_path).access)) as keys:
                for key in keys.every():
                    if key.role is Role.ENGINEER:
                        keys.revoke(key.id)
            assert (await api.clients[Role.ENGINEER].post(start, json=digest)).status_code == 401
            assert (await api.client.get(f"{PATH}/{plan['runId']}")).json()["state"] == "planned"
            own = (await ask(api, STOP, Role.OPERATOR, run=True)).json()["run"]["runId"]
            assert (await ended(api, own))["tasks"][1]["state"] == "failed"
            assert got == []


async def test_a_dry_one_is_begun_by_its_owner_or_an_operator(tmp_path: Path) -> None:
    async with served(tmp_path, interpreter=Phrasebook(PHRASES)) as api:
        plan = (await ask(api, FIND, Role.VIEWER, dry=True)).json()["run"]
        start = await api.clients[Role.OPERATOR].post(f"{PATH}/{plan['runId']}/start", json={"digest": plan["digest"]})
        assert start.status_code == 200
        assert (await ended(api, plan["runId"]))["state"] == "succeeded"


@pytest.mark.parametrize(
    ("planned", "seconds", "status", "said"),
    [
        ("engineer", 60, 403, "planned this as engineer, and is operator now"),
        ("viewer", 60, 200, None),
        ("runbook", 60, 403, "plan it yourself"),
        ("operator", LONGEST_PLANNED - 60, 200, None),
        ("operator", LONGEST_PLANNED + 60, 409, "more than 30 minutes ago: plan it again"),
    ],
)
async def test_the_role_of_now_must_do_and_plans_grow_old(
    tmp_path: Path, planned: str, seconds: int, status: int, said: str | None
) -> None:
    async with served(tmp_path, interpreter=Phrasebook(PHRASES)) as api:
        order = await order_of(api, (await ask(api, FIND)).json()["run"]["runId"])
        asked_at = rfc3339(Micros(wall_clock() - seconds * 1_000_000))
        old = msgspec.structs.replace(order, run_id="run-old", role=planned, asked_at=asked_at)
        await api.parts.workroom.scheduler.plan(old)
        operator = api.clients[Role.OPERATOR]
        started = await operator.post(f"{PATH}/run-old/start", json={"digest": order.graph.digest})
        assert started.status_code == status
        if said is not None:
            assert said in started.json()["detail"]
            assert (await api.client.get(f"{PATH}/run-old")).json()["state"] == RunState.PLANNED
        else:
            assert (await ended(api, "run-old"))["state"] == "succeeded"
            assert (await order_of(api, "run-old")).role == planned


class Bewildered:
    """An interpreter that cannot reckon with a number."""

    def understand(self, text: str, names: Names) -> NoReturn:
        raise OverflowError(f"{text}: int too large to convert to float, of {len(names.devices)} devices")


async def test_a_number_that_is_too_large_is_asked_about(tmp_path: Path) -> None:
    async with served(tmp_path, interpreter=Bewildered()) as api:
        answered = await ask(api, "set pump-1 to " + "9" * 400)
        assert (answered.status_code, answered.json()["run"]) == (200, None)
        assert answered.json()["questions"] == ["a number in this is too large"]


async def test_leaving_the_key_out_makes_no_second_person(tmp_path: Path) -> None:
    rule = '@id("pairs")\n@approval("second-person")\npermit (principal, action, resource);'
    policy = permits(tmp_path / "policy", rule)
    async with served(tmp_path, interpreter=Phrasebook(PHRASES), policy=policy, api_auth="auto") as api, device(api) as got:
        run_id = (await ask(api, STOP, Role.ENGINEER, run=True)).json()["run"]["runId"]
        async with asyncio.timeout(HUNG):
            while not (waiting := (await api.client.get("/v1/actions", params={"stage": "waiting"})).json()["items"]):
                await asyncio.sleep(0.02)
        approve = f"/v1/actions/{waiting[0]['action']['actionId']}/approve"
        refused = await api.clients[None].post(approve)
        assert (refused.status_code, "openautoglm key add" in refused.json()["detail"]) == (403, True)
        assert got == []
        assert (await api.clients[Role.OPERATOR].post(approve)).status_code == 200
        async with asyncio.timeout(HUNG):
            while not got:
                await asyncio.sleep(0.02)
        assert (await api.clients[Role.ENGINEER].post(f"{PATH}/{run_id}/cancel")).status_code == 200
