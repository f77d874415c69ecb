"""What the API says of a plant of three devices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import pytest

from graph import questions
from graph.live import LiveGraph
from schemas.device import DeviceId, Edge
from schemas.event import Micros
from tests.streams.api.serving import PIPE, PUMP, TANK, Served, event, served
from tests.waiting import until


@pytest.fixture
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with served(tmp_path_factory.mktemp("api")) as found:
        yield found


async def got(api: Served, path: str, **query: Any) -> Any:
    response = await api.client.get(path, params=query)
    assert response.status_code == 200, response.text
    return response.json()


async def test_the_plant(api: Served) -> None:
    overview = await got(api, "/v1/overview")
    assert (overview["devices"], overview["edges"]) == (3, 2)
    assert [(zone["name"], zone["devices"]) for zone in overview["zones"]] == [("north", 2), ("south", 1)]
    assert overview["links"] == [{"source": "north", "target": "south", "edges": 1}]
    assert [device["deviceId"] for device in (await got(api, "/v1/devices", zone="north"))["items"]] == [PIPE, PUMP]
    assert [device["deviceId"] for device in (await got(api, "/v1/devices", type="tank"))["items"]] == [TANK]
    assert (await got(api, f"/v1/devices/{TANK}"))["zone"] == "south"
    (signal,) = (await got(api, "/v1/signals", device=TANK))["items"]
    assert (signal["name"], signal["value"], signal["unit"]) == ("level", 2.5, "m")
    assert (await got(api, "/v1/trace", device=TANK, signal="level"))["points"] == []


async def test_around_behind_and_between(api: Served) -> None:
    around = await got(api, "/v1/topology", device=PIPE, hops=1)
    assert [device["deviceId"] for device in around["devices"]] == [PIPE, PUMP, TANK]
    assert len(around["edges"]) == 2
    near = (await got(api, "/v1/impact", device=PUMP))["near"]
    assert [(step["deviceId"], step["hops"]) for step in near] == [(PIPE, 1), (TANK, 2)]
    assert (await got(api, "/v1/impact", device=TANK))["near"] == []
    way = await got(api, "/v1/route", source=PUMP, target=TANK)
    assert [(edge["source"], edge["target"]) for edge in way["edges"]] == [(PUMP, PIPE), (PIPE, TANK)]
    back = await api.client.get("/v1/route", params={"source": TANK, "target": PUMP})
    assert (back.status_code, back.json()["detail"]) == (404, "no way leads from tank-1 to pump-1")
    assert len((await got(api, "/v1/route", source=TANK, target=PUMP, any_edge=True))["edges"]) == 2


async def test_the_first_devices_are_shown_without_asking_for_the_others(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await got(api, "/v1/overview"))["devices"] == 3
    asked, edges = [], LiveGraph.edges

    def noting(graph: LiveGraph, site: str, ends: Sequence[DeviceId] | None, at: Micros, *, limit: int) -> list[Edge]:
        asked.append(ends)
        return edges(graph, site, ends, at, limit=limit)

    monkeypatch.setattr(LiveGraph, "edges", noting)
    found = await got(api, "/v1/topology", limit=2)
    assert [device["deviceId"] for device in found["devices"]] == [PIPE, PUMP]
    assert [(edge["source"], edge["target"]) for edge in found["edges"]] == [(PUMP, PIPE)]
    assert (found["cutShort"], asked) == (True, [[PIPE, PUMP]])
    assert (await got(api, "/v1/topology"))["cutShort"] is False


async def test_a_way_that_is_too_long_to_be_found_is_not_said_to_be_none(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.plantview.questions.route", partial(questions.route, limit=1))
    found = await api.client.get("/v1/route", params={"source": PUMP, "target": TANK})
    assert (found.status_code, "there may be a longer one" in found.json()["detail"]) == (404, True)


async def test_as_of_a_time_and_what_changed(api: Served) -> None:
    before = await api.publish([])
    after = await api.publish([event("device.connected", deviceId="valve-9", type="valve")])
    await until(lambda: api.parts.projection.waiting == 0)
    for at, there in ((before, False), (after, True)):
        devices = (await got(api, "/v1/topology", at=at))["devices"]
        assert ("valve-9" in {device["deviceId"] for device in devices}) is there
    changed = await got(api, "/v1/changes", after=before, until=after)
    assert [(change["kind"], change["after"]["deviceId"]) for change in changed["devices"]] == [("appeared", "valve-9")]


async def test_pages_follow_one_another_without_gap_or_repeat(api: Served) -> None:
    await api.publish([event("device.connected", deviceId=f"sensor-{number:03}", type="sensor") for number in range(25)])
    seen: list[str] = []
    url: str | None = "/v1/devices?type=sensor&limit=7"
    while url is not None:
        response = await api.client.get(url)
        body = response.json()
        seen += [device["deviceId"] for device in body["items"]]
        url = response.links["next"]["url"] if "next" in response.links else None
        assert (url is None) is (body["next"] is None)
    assert seen == [f"sensor-{number:03}" for number in range(25)]


async def test_what_has_not_changed_is_not_sent_again(api: Served) -> None:
    first = await api.client.get("/v1/overview")
    again = await api.client.get("/v1/overview", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_gateway_that_is_refused_shows_in_the_dead_letters_and_can_be_tried_again(api: Served) -> None:
    await api.mqtt.publish("openautoglm/e2e/events/gw-1", b'{"specversion": "1.0"}')
    await until(lambda: api.parts.gateway.invalid == 1)
    (letter,) = (await got(api, "/v1/deadletters"))["items"]
    again = await api.client.post(f"/v1/deadletters/{letter['number']}/replay")
    assert again.json()["accepted"] is False
    assert again.json()["reason"] == letter["reason"]


async def test_health_readiness_and_figures(api: Served) -> None:
    assert (await got(api, "/health")) == {"status": "alive"}
    ready = await got(api, "/ready")
    assert ready["ready"] is True
    await api.alarm()
    figures = (await api.client.get("/metrics")).text
    assert 'openautoglm_alarms{severity="high",state="unacknowledged"} 1.0' in figures
    assert 'openautoglm_events_total{outcome="accepted"}' in figures
    assert 'route="/v1/overview"' not in figures
    assert 'route="/ready"' in figures
