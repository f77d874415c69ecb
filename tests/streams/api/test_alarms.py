"""Alarms by the API: the verbs, once each however often they are sent, and refused where they make no sense."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agents.annunciator import Request
from schemas.alarm import Alarm, Verb
from streams.controlroom import ControlRoom
from streams.roles import Role
from tests.streams.api.serving import PIPE, PUMP, Served, served


@pytest.fixture
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with served(tmp_path_factory.mktemp("api")) as found:
        yield found


async def state(api: Served, name: str) -> str:
    found: dict[str, Any] = (await api.client.get(f"/v1/alarms/{name}")).json()
    return str(found["alarm"]["state"])


async def test_the_life_of_an_alarm(api: Served) -> None:
    name = await api.alarm()
    assert await state(api, name) == "unacknowledged"
    operator = api.clients[Role.OPERATOR]
    done = await operator.post(f"/v1/alarms/{name}/acknowledge", json={"reason": "seen"})
    assert (done.status_code, done.json()["alarm"]["state"], done.json()["verbs"]) == (
        200,
        "acknowledged",
        ["shelve", "suppress", "take-out-of-service"],
    )
    again = await operator.post(f"/v1/alarms/{name}/acknowledge")
    assert again.status_code == 409
    assert "already acknowledged" in again.json()["detail"]
    await api.alarm(active=False)
    assert await state(api, name) == "normal"
    steps = (await api.client.get(f"/v1/alarms/{name}/transitions")).json()["items"]
    assert [(step["verb"], step["actor"], step.get("reason", "")) for step in steps] == [
        ("raise", "plant", ""),
        ("acknowledge", "operator", "seen"),
        ("clear", "plant", ""),
    ]


async def test_an_alarm_is_known_by_its_occurrence_too(api: Served) -> None:
    name = await api.alarm()
    alert = (await api.client.get(f"/v1/alarms/{name}")).json()["alarm"]["alert"]["alertId"]
    assert (await api.client.get(f"/v1/alarms/{alert}")).json()["alarm"]["alarmId"] == name


async def test_the_list_is_filtered(api: Served) -> None:
    dry, hot = await api.alarm(), await api.alarm(PIPE, "hot")
    await api.client.post(f"/v1/alarms/{hot}/shelve", json={"reason": "known"})

    async def names(**query: Any) -> list[str]:
        items = (await api.client.get("/v1/alarms", params=query)).json()["items"]
        # The detector finds alarms strange that it has not seen before, and raises its own.
        return [item["alarm"]["alarmId"] for item in items if item["alarm"]["condition"] != "anomaly"]

    assert await names() == [dry, hot]
    assert await names(annunciated=True) == [dry]
    assert await names(device=PIPE) == [hot]
    assert await names(state="shelved") == [hot]
    assert await names(severity="critical") == []


async def test_a_verb_that_is_sent_again_is_done_once(api: Served) -> None:
    name = await api.alarm()
    path, headers = f"/v1/alarms/{name}/acknowledge", {"idempotency-key": "k1"}
    first, again = [await api.client.post(path, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code, again.content) == (200, 200, first.content)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = await api.client.post(path, headers=headers, json={"reason": "another"})
    assert other.status_code == 422
    steps = (await api.client.get(f"/v1/alarms/{name}/transitions")).json()["items"]
    assert [step["verb"] for step in steps] == ["raise", "acknowledge"]


async def test_of_many_who_acknowledge_at_once_one_does(api: Served) -> None:
    name = await api.alarm()
    answers = await asyncio.gather(*(api.client.post(f"/v1/alarms/{name}/acknowledge") for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19


async def test_a_verb_can_be_tied_to_what_was_seen(api: Served) -> None:
    name = await api.alarm()
    tag = (await api.client.get(f"/v1/alarms/{name}")).headers["etag"]
    await api.client.post(f"/v1/alarms/{name}/acknowledge")
    late = await api.client.post(f"/v1/alarms/{name}/shelve", json={"reason": "x"}, headers={"if-match": tag})
    assert late.status_code == 412


async def test_of_many_who_saw_the_same_one_does_what_it_asks(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, act = asyncio.Barrier(4), ControlRoom.act

    async def together(room: ControlRoom, request: Request) -> Alarm:
        await at_once.wait()
        return await act(room, request)

    monkeypatch.setattr(ControlRoom, "act", together)
    name = await api.alarm()
    headers = {"if-match": (await api.client.get(f"/v1/alarms/{name}")).headers["etag"]}
    verbs = ("acknowledge", "shelve", "suppress", "take-out-of-service")
    asked = (api.client.post(f"/v1/alarms/{name}/{verb}", json={"reason": "x"}, headers=headers) for verb in verbs)
    answers = await asyncio.gather(*asked)
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    assert (await api.client.get(f"/v1/alarms/{name}")).json()["alarm"]["version"] == 2


async def test_an_alarm_that_is_known_is_not_sent_again(api: Served) -> None:
    name = await api.alarm()
    first = await api.client.get(f"/v1/alarms/{name}")
    headers = {"if-none-match": first.headers["etag"]}
    again = await api.client.get(f"/v1/alarms/{name}", headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    await api.client.post(f"/v1/alarms/{name}/acknowledge")
    assert (await api.client.get(f"/v1/alarms/{name}", headers=headers)).status_code == 200


async def test_pages_go_on_behind_an_alarm_that_has_gone(api: Served) -> None:
    for name in "abcdef":
        await api.alarm(PUMP, name)
    every = [item["alarm"] for item in (await api.client.get("/v1/alarms")).json()["items"]]
    first = await api.client.get("/v1/alarms", params={"limit": 2})
    last = first.json()["items"][-1]["alarm"]
    assert last["condition"].startswith("control:")
    await api.client.post(f"/v1/alarms/{last['alarmId']}/acknowledge")
    await api.alarm(PUMP, last["condition"].removeprefix("control:"), active=False)
    assert await state(api, last["alarmId"]) == "normal"
    rest = (await api.client.get("/v1/alarms", params={"cursor": first.json()["next"]})).json()["items"]
    assert [item["alarm"]["alarmId"] for item in rest] == [alarm["alarmId"] for alarm in every[2:]]


async def test_a_cursor_of_another_list_is_refused(api: Served) -> None:
    for name in "abc":
        await api.alarm(PUMP, name)
    of_alarms = (await api.client.get("/v1/alarms", params={"limit": 1})).json()["next"]
    of_signals = base64.urlsafe_b64encode(b'["flow"]').decode().rstrip("=")
    for path, cursor in (("/v1/signals", of_alarms), ("/v1/alarms", of_signals), ("/v1/alarms", "WyJ4Il0x")):
        found = await api.client.get(path, params={"device": PUMP, "cursor": cursor})
        assert (found.status_code, found.json()["detail"][:7]) == (404, "cursor:"), path


async def test_verbs_are_tried_for_the_alarms_of_the_page_alone(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abcd":
        await api.alarm(PUMP, name)
    tried, verbs = list[str](), ControlRoom.verbs

    def counting(room: ControlRoom, alarm: Alarm) -> list[Verb]:
        tried.append(alarm.alarm_id)
        return verbs(room, alarm)

    monkeypatch.setattr(ControlRoom, "verbs", counting)
    items = (await api.client.get("/v1/alarms", params={"limit": 2})).json()["items"]
    assert tried == [item["alarm"]["alarmId"] for item in items]


async def test_conditions_are_counted_when_an_alarm_has_changed(api: Served) -> None:
    name = await api.alarm()
    room = api.parts.room
    before = room.conditions()
    assert room.conditions() is before
    alarms = before[PUMP].alarms
    await api.client.post(f"/v1/alarms/{name}/shelve", json={"reason": "known"})
    assert (room.conditions()[PUMP].alarms, room.conditions()[PUMP].hidden) == (alarms - 1, 1)


async def test_shelving(api: Served) -> None:
    name = await api.alarm()
    shelve = f"/v1/alarms/{name}/shelve"
    assert (await api.client.post(shelve)).status_code == 409
    for until in ("2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z"):
        assert (await api.client.post(shelve, json={"reason": "x", "until": until})).status_code == 409, until
    assert (await api.client.post(shelve, json={"reason": "x", "until": "tomorrow"})).status_code == 422
    assert (await api.client.post(f"/v1/alarms/{name}/acknowledge", json={"until": "2999-01-01T00:00:00Z"})).status_code == 422
    assert (await api.client.post(shelve, json={"reason": "cleaning"})).json()["alarm"]["state"] == "shelved"
    assert (await api.client.post(f"/v1/alarms/{name}/unshelve")).json()["alarm"]["state"] == "unacknowledged"


async def test_alarms_survive_the_service(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("api")
    async with served(data) as api:
        name = await api.alarm(PUMP, "twice")
        await api.client.post(f"/v1/alarms/{name}/shelve", json={"reason": "known"})
    async with served(data) as api:
        found = (await api.client.get(f"/v1/alarms/{name}")).json()["alarm"]
        assert (found["state"], found["shelf"]["actor"]) == ("shelved", "admin")
        assert (await api.client.post(f"/v1/alarms/{name}/unshelve")).status_code == 200


async def test_key_figures(api: Served) -> None:
    for name in ("dry", "hot", "loud"):
        await api.alarm(PUMP, name)
    figures = (await api.client.get("/v1/kpis")).json()
    standing = (await api.client.get("/v1/alarms")).json()["items"]
    assert {item["alarm"]["condition"] for item in standing} >= {"control:dry", "control:hot", "control:loud"}
    assert (figures["raised"], figures["annunciated"], figures["standing"]) == (len(standing),) * 3
    assert (await api.client.get("/v1/flood")).json() is None
    wrong = {"start": "2026-01-06T00:00:00Z", "end": "2026-01-05T00:00:00Z"}
    assert (await api.client.get("/v1/kpis", params=wrong)).status_code == 422
    month = {"start": "2026-01-05T00:00:00Z", "end": "2026-02-05T00:00:00Z"}
    assert (await api.client.get("/v1/kpis", params=month)).json()["raised"] == len(standing)
    longer = await api.client.get("/v1/kpis", params=month | {"end": "2026-02-05T00:00:01Z"})
    assert (longer.status_code, longer.json()["detail"]) == (422, "start: at most 31 days before end")
