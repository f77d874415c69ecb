"""The demo plant, with a model that has learnt it: a leak that is found and drawn, and the device beside its expectation."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from playwright.sync_api import expect

from graph.detection.model import save
from graph.detection.training import train
from schemas.action import moment
from schemas.device import DeviceId
from schemas.event import Micros
from streams.simulator import START, Fault, FaultKind, Simulator, history
from tests.console.conftest import Opened, picture
from tests.console.plant import SITE, Served, serving
from tests.waiting import HUNG

pytestmark = pytest.mark.xdist_group("browser")
LEAK = DeviceId("junction-139")
HOURS = 3600 * 1_000_000


@pytest.fixture(scope="module")
def net3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    pytest.importorskip("wntr")
    folder = tmp_path_factory.mktemp("console")
    save(train([history(72, seed=1, site=SITE), history(72, seed=2, site=SITE)], seed=0), folder / "model")
    with serving(folder / "net3", model=folder / "model", IDLE_SOURCE="900", ALLOWED_LATENESS="0.2") as served:
        plant = Simulator(SITE, served.mqtt, seed=1, speed=9_000)
        plant.inject(Fault(FaultKind.LEAK, LEAK, Micros(START + 7 * HOURS), size=60.0))
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, plant.run(hours=10)).result()
        _looked_at(served, Micros(START + 9 * HOURS))
        yield served


def _looked_at(served: Served, at: Micros) -> None:
    """Until the analysis has come to a time of the plant: what the gateways know to be safe waits for it, perhaps."""
    ends = time.monotonic() + HUNG
    while moment(httpx.get(f"{served.url}/v1/overview", timeout=HUNG).json()["plantTime"] or "1970-01-01T00:00:00Z") < at:
        assert time.monotonic() < ends
        time.sleep(0.2)


def test_a_leak_is_drawn_where_it_is(net3: Served, opened: Opened) -> None:
    page = opened(net3.url)
    expect(page.locator(".graph .node")).to_have_count(220)
    expect(page.locator(".areas text")).to_have_text(["lake", "river", "south"])
    picture(page, "demo-plant")
    page.locator(".faults li.open button").first.click()
    expect(page.locator(f".graph .node.strong[data-id='{LEAK}']")).to_be_visible()
    expect(page.locator(".path .step").first).to_be_attached()
    page.mouse.move(5, 5)
    picture(page, "demo-fault")


def test_a_device_is_shown_beside_what_was_expected(net3: Served, opened: Opened) -> None:
    page = opened(f"{net3.url}/devices/{LEAK}")
    chart = page.locator("[data-chart='pressure']")
    for part in ("band", "value", "surprise"):
        expect(chart.locator(f".{part}")).to_have_attribute("d", re.compile("^M"))
    expect(chart.locator(".strange").first).to_be_visible()
    expect(chart).to_have_attribute("aria-label", re.compile("expected .* strange"))
    expect(page.get_by_role("region", name="Why").locator("li").first).to_contain_text("pressure")
    expect(page.get_by_role("region", name="Impact").get_by_role("link").first).to_be_visible()
    picture(page, "demo-device")
