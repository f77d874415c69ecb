"""Instructions by the API: what was shown is what runs, once, for those who may, and what it makes can be fetched safely."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from agents.run import RunState
from streams.mqtt import connect
from streams.roles import Role
from tests.e2e.service import SITE
from tests.streams.api.serving import PUMP, TANK, Served, event, served
from tests.streams.phrasebook import PHRASES, Phrasebook, permits
from tests.waiting import HUNG

PATH = "/v1/instructions"
CHART, STOP, FIND = "draw the level of tank-1", "stop pump-1 and tell maintenance", "find pumps"


@pytest.fixture
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("api")
    async with served(folder, interpreter=Phrasebook(PHRASES), policy=permits(folder / "policy")) as found:
        yield found


async def ask(api: Served, text: str, role: Role = Role.OPERATOR, **more: Any) -> httpx.Response:
    headers = {"idempotency-key": key} if (key := more.pop("key", "")) else {}
    return await api.clients[role].post(PATH, json={"text": text, **more}, headers=headers)


async def ended(api: Served, run_id: str) -> dict[str, Any]:
    async with asyncio.timeout(HUNG):
        while True:
            run: dict[str, Any] = (await api.client.get(f"{PATH}/{run_id}")).json()
            if RunState(run["state"]).is_final:
                return run
            await asyncio.sleep(0.02)


def outputs(run: dict[str, Any], key: str) -> dict[str, Any]:
    found: dict[str, Any] = next(task for task in run["tasks"] if task["key"] == key)["outputs"]
    return found


@asynccontextmanager
async def device(api: Served, *, status: str = "succeeded") -> AsyncIterator[list[dict[str, Any]]]:
    """Answers every command, and tells which ones it got."""
    got: list[dict[str, Any]] = []

    async def work() -> None:
        async for message in listening.messages():
            action = msgspec.json.decode(message.payload)
            got.append(action)
            message.ack()
            answer = {"actionId": action["actionId"], "deviceId": action["deviceId"], "status": status}
            await api.publish([event("action.result", **answer)])

    async with connect(api.parts.address, "device", [f"openautoglm/{SITE}/commands/#"]) as listening:
        task = asyncio.ensure_future(work())
        try:
            yield got
        finally:
            task.cancel()


async def test_what_was_shown_is_what_runs(api: Served) -> None:
    planned = await ask(api, CHART)
    shown = planned.json()
    run = shown["run"]
    assert (planned.status_code, planned.headers["location"], run["state"]) == (201, f"{PATH}/{run['runId']}", "planned")
    assert shown["dot"].startswith("digraph")
    assert shown["mermaid"].startswith("flowchart")
    assert [(task["tool"], task["why"], task["state"]) for task in run["tasks"]] == [
        ("signal_history", "the level", "pending"),
        ("draw_chart", "draw", "pending"),
        ("write_report", "and report", "pending"),
    ]
    where = f"{PATH}/{run['runId']}"
    operator = api.clients[Role.OPERATOR]
    other = await operator.post(f"{where}/start", json={"digest": "plan-other"})
    assert (other.status_code, "not the one that was shown" in other.json()["detail"]) == (409, True)
    started = await operator.post(f"{where}/start", json={"digest": run["digest"]})
    assert started.status_code == 200
    done = await ended(api, run["runId"])
    assert (done["state"], [task["state"] for task in done["tasks"]]) == ("succeeded", ["succeeded"] * 3)
    assert outputs(done, "read")["latest"] == 2.5
    again = await operator.post(f"{where}/start", json={"digest": run["digest"]})
    assert again.json()["state"] == "succeeded"


async def test_files_are_fetched_and_can_do_nothing(api: Served) -> None:
    run = await ended(api, (await ask(api, CHART, run=True)).json()["run"]["runId"])
    files = f"{PATH}/{run['runId']}/files"
    for key, media, begin in (("chart", "image/svg+xml", b"<?xml"), ("report", "text/markdown", b"# Report")):
        name = outputs(run, key)["file"]["name"]
        got = await api.clients[Role.VIEWER].get(f"{files}/{name}")
        assert (got.status_code, got.headers["content-type"].partition(";")[0]) == (200, media)
        assert got.content.startswith(begin)
        assert got.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    for name in ("other.svg", "..%2F..%2Fruns.db", "chart.svg%00", ".chart.svg.new", "runs.db"):
        assert (await api.client.get(f"{files}/{name}")).status_code in (404, 422)
    assert (await api.clients[None].get(f"{files}/chart.svg")).status_code == 401
    assert (await api.client.get(f"{PATH}/run-0/files/chart.svg")).status_code == 404


async def test_a_viewer_plans_and_tries_dry_and_runs_nothing(api: Served) -> None:
    planned = (await ask(api, STOP, Role.VIEWER)).json()["run"]
    start = await api.clients[Role.VIEWER].post(f"{PATH}/{planned['runId']}/start", json={"digest": planned["digest"]})
    assert (start.status_code, "needs the role operator" in start.json()["detail"]) == (403, True)
    assert (await ask(api, STOP, Role.VIEWER, run=True)).status_code == 403
    dry = (await ask(api, STOP, Role.VIEWER, run=True, dry=True)).json()["run"]
    async with device(api) as got:
        done = await ended(api, dry["runId"])
    assert (done["state"], done["dry"], got) == ("succeeded", True, [])
    assert outputs(done, "look")["count"] == 1
    assert outputs(done, "stop")["action"]["would"] == "be done"
    assert (await api.client.get("/v1/actions")).json()["items"] == []


async def test_others_plans_are_for_operators_alone(api: Served) -> None:
    run = (await ask(api, FIND, Role.OPERATOR, dry=True)).json()["run"]
    for verb, body in (("start", {"digest": run["digest"]}), ("cancel", {})):
        refused = await api.clients[Role.VIEWER].post(f"{PATH}/{run['runId']}/{verb}", json=body)
        assert (refused.status_code, "operator gave this" in refused.json()["detail"]) == (403, True)
    assert (await api.clients[Role.VIEWER].get(f"{PATH}/{run['runId']}")).json()["state"] == "planned"
    cancelled = await api.clients[Role.ENGINEER].post(f"{PATH}/{run['runId']}/cancel")
    assert (cancelled.json()["state"], cancelled.json()["cancelledBy"]) == ("cancelled", "engineer")


async def test_it_acts_once_and_tells(api: Served) -> None:
    async with device(api) as got:
        run = await ended(api, (await ask(api, STOP, run=True)).json()["run"]["runId"])
        assert run["state"] == "succeeded", run
    assert [(action["verb"], action["deviceId"]) for action in got] == [("stop", PUMP)]
    cause = got[0]["cause"]
    assert (cause["instructionId"], cause["task"], cause["principal"], cause["role"]) == (
        run["runId"],
        "stop",
        "operator",
        "operator",
    )
    actions = (await api.client.get("/v1/actions")).json()["items"]
    assert {(one["action"]["verb"], one["stage"]) for one in actions} == {("stop", "succeeded"), ("notify", "succeeded")}
    text = next(one["action"]["arguments"] for one in actions if one["action"]["verb"] == "notify")
    assert text["to"] == "maintenance"
    assert "stop: done" in text["text"]


async def test_a_device_that_fails_fails_the_task_and_people_are_told(api: Served) -> None:
    async with device(api, status="failed"):
        run = await ended(api, (await ask(api, STOP, run=True)).json()["run"]["runId"])
    assert run["state"] == "partial"
    assert [task["state"] for task in run["tasks"]] == ["succeeded", "failed", "succeeded"]


async def test_without_a_permit_nothing_is_done(tmp_path: Any) -> None:
    async with served(tmp_path, interpreter=Phrasebook(PHRASES)) as api:
        async with device(api) as got:
            run = await ended(api, (await ask(api, STOP, run=True)).json()["run"]["runId"])
        assert (run["state"], got) == ("partial", [])
        details = [task["detail"] for task in run["tasks"]]
        assert details[1] == details[2] == "refused: there is no policy, so nothing is allowed"
        dry = await ended(api, (await ask(api, STOP, run=True, dry=True)).json()["run"]["runId"])
        assert outputs(dry, "stop")["action"]["would"] == "be refused"
        order = await ended(api, (await ask(api, "order a repair of pump-1", run=True)).json()["run"]["runId"])
        assert "setting webhooks: none is named work-orders" in order["tasks"][0]["detail"]


async def test_an_action_waits_for_a_second_person(tmp_path: Any) -> None:
    rule = '@id("pairs")\n@approval("second-person")\npermit (principal, action, resource);'
    async with served(tmp_path, interpreter=Phrasebook(PHRASES), policy=permits(tmp_path / "policy", rule)) as api:
        async with device(api) as got:
            name = (await ask(api, STOP, run=True)).json()["run"]["runId"]
            async with asyncio.timeout(HUNG):
                while (await api.client.get(f"{PATH}/{name}")).json()["tasks"][1]["state"] != "waiting":
                    await asyncio.sleep(0.02)
            assert got == []
            (waits,) = (await api.client.get("/v1/actions", params={"stage": "waiting"})).json()["items"]
            action = waits["action"]["actionId"]
            assert (await api.clients[Role.OPERATOR].post(f"/v1/actions/{action}/approve")).status_code == 403
            assert (await api.clients[Role.ENGINEER].post(f"/v1/actions/{action}/approve")).status_code == 200
            async with asyncio.timeout(HUNG):
                while (await api.client.get(f"{PATH}/{name}")).json()["tasks"][1]["state"] != "succeeded":
                    await asyncio.sleep(0.02)
            assert len(got) == 1
            cancelled = await api.clients[Role.OPERATOR].post(f"{PATH}/{name}/cancel")
            assert cancelled.status_code == 200
        done = await ended(api, name)
        assert (done["state"], done["tasks"][2]["state"]) == ("cancelled", "cancelled")


async def test_what_is_not_understood_makes_no_run(api: Served) -> None:
    answered = await ask(api, "sing", run=True)
    assert (answered.status_code, answered.json()["run"]) == (200, None)
    assert answered.json()["questions"] == ["what is to be done?"]
    assert (await api.client.get(PATH)).json()["items"] == []


async def test_sent_again_it_is_the_same_run(api: Served) -> None:
    first, again = await ask(api, FIND, key="k1"), await ask(api, FIND, key="k1")
    assert (again.status_code, again.json()) == (201, first.json())
    assert (await ask(api, CHART, key="k1")).status_code == 422
    assert (await ask(api, FIND)).json()["run"]["runId"] != first.json()["run"]["runId"]
    other = (await ask(api, FIND, Role.ENGINEER, key="k1")).json()["run"]["runId"]
    assert other != first.json()["run"]["runId"]


@pytest.mark.parametrize("body", [{"text": ""}, {"text": "x" * 2001}, {}, {"text": "a", "as": "admin"}, {"text": 1}])
async def test_what_is_no_instruction_is_refused(body: dict[str, Any], api: Served) -> None:
    assert (await api.client.post(PATH, json=body)).status_code == 422


@pytest.mark.parametrize("text", ["\\ud800", "open \\udc00 valve", "\\ud83d"])
async def test_what_is_no_unicode_is_refused(text: str, api: Served) -> None:
    body, headers = f'{{"text": "{text}"}}'.encode(), {"content-type": "application/json"}
    assert (await api.client.post(PATH, content=body, headers=headers)).status_code == 422
    assert (await api.client.get(PATH)).json()["items"] == []


async def test_hostile_sentences_have_no_effect_without_a_permit(tmp_path: Path) -> None:
    """Understood or not, and asked to run at once."""
    written = (Path(__file__).parents[2] / "agents" / "instructions" / "hostile.txt").read_text(encoding="utf-8")
    headers = {"content-type": "application/json"}
    async with served(tmp_path) as api, device(api) as got:
        alarm = await api.alarm()
        for line in written.splitlines()[::12]:
            body = b'{"run": true, "text": ' + line.encode() + b"}"
            answered = await api.client.post(PATH, content=body, headers=headers)
            assert answered.status_code in (200, 201, 422), line
            if answered.status_code == 201 and (run := answered.json()["run"])["state"] != "planned":
                await ended(api, run["runId"])
        stages = {one["stage"] for one in (await api.client.get("/v1/actions", params={"limit": 1000})).json()["items"]}
        assert stages <= {"refused"}
        assert got == []
        assert (await api.client.get(f"/v1/alarms/{alarm}")).json()["alarm"]["state"] == "unacknowledged"


async def test_sentences_become_what_they_say(tmp_path: Path) -> None:
    """By the product's own interpreter, on this plant."""
    async with served(tmp_path, policy=permits(tmp_path / "policy")) as api, device(api) as got:
        drawn = await ended(api, (await ask(api, "draw the level of tank-1 since yesterday", run=True)).json()["run"]["runId"])
        assert [task["tool"] for task in drawn["tasks"]] == ["signal_history", "draw_chart"]
        assert all(task["why"] for task in drawn["tasks"])
        stopped = await ended(api, (await ask(api, "stop pump-1 and tell maintenance", run=True)).json()["run"]["runId"])
        assert (stopped["state"], [action["verb"] for action in got]) == ("succeeded", ["stop"])
        asked = await ask(api, "stop pump-99", run=True)
        assert (asked.status_code, asked.json()["run"]) == (200, None)
        assert asked.json()["questions"]


async def test_runs_are_listed_traced_and_told(api: Served) -> None:
    names = [(await ask(api, FIND, run=True)).json()["run"]["runId"] for _ in range(3)]
    for name in names:
        await ended(api, name)
    page = (await api.client.get(PATH, params={"limit": 2})).json()
    rest = (await api.client.get(PATH, params={"limit": 2, "cursor": page["next"]})).json()
    assert {run["runId"] for run in page["items"] + rest["items"]} == set(names)
    assert (page["items"][0]["tasks"], page["items"][0]["ended"], rest["next"]) == (1, 1, None)
    steps = (await api.client.get(f"{PATH}/{names[0]}/trace")).json()["items"]
    assert [(step["key"], step["state"]) for step in steps] == [("find", "running"), ("find", "succeeded")]
    task = (await api.client.get(f"{PATH}/{names[0]}/tasks/find")).json()
    assert task["outputs"]["count"] == 1
    for path in ("/run-1", "/run-1/trace", f"/{names[0]}/tasks/other"):
        assert (await api.client.get(f"{PATH}{path}")).status_code == 404
    rows = [row async for row in _told(api, names[0])]
    assert rows == [
        ("planned", None),
        ("running", None),
        ("running", "find"),
        ("succeeded", "find"),
        ("succeeded", None),
    ]


async def _told(api: Served, run_id: str) -> AsyncIterator[tuple[str, str | None]]:
    """What a subscriber hears of a run, up to its end."""
    async with asyncio.timeout(HUNG), api.client.stream("GET", "/v1/events", params={"kind": "runs", "since": 0}) as stream:
        async for line in stream.aiter_lines():
            if not line.startswith("data: "):
                continue
            row = msgspec.json.decode(line.removeprefix("data: "))
            if row["runId"] == run_id:
                yield row["state"], row.get("task")
                if "task" not in row and RunState(row["state"]).is_final:
                    return


async def test_it_goes_on_after_a_restart(tmp_path: Any) -> None:
    book, policy = Phrasebook(PHRASES), permits(tmp_path / "policy")
    async with served(tmp_path, interpreter=book, policy=policy) as api:
        planned = (await ask(api, FIND)).json()["run"]
        name = (await ask(api, STOP, run=True)).json()["run"]["runId"]
        async with asyncio.timeout(HUNG):
            while [one["stage"] for one in (await api.client.get("/v1/actions")).json()["items"]] != ["sent"]:
                await asyncio.sleep(0.02)
    async with served(tmp_path, interpreter=book, policy=policy) as api:
        async with device(api) as got:
            run = (await api.client.get(f"{PATH}/{name}")).json()
            assert run["tasks"][0]["state"] == "succeeded"
            action = (await api.client.get("/v1/actions")).json()["items"][0]["action"]
            answer = {"actionId": action["actionId"], "deviceId": PUMP, "status": "succeeded"}
            await api.publish([event("action.result", **answer)])
            done = await ended(api, name)
            assert (done["state"], got) == ("succeeded", [])
        assert (await api.client.get(f"{PATH}/{planned['runId']}")).json()["state"] == "planned"


def test_the_tank_is_in_the_plant() -> None:
    assert TANK == "tank-1"
