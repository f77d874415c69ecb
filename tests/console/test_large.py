"""Plants that are too large to be drawn whole."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from tests.console.conftest import Opened, picture
from tests.console.plant import large_plant, serving

pytestmark = pytest.mark.xdist_group("browser")


def test_ten_thousand_devices_are_opened_zone_by_zone(tmp_path_factory: pytest.TempPathFactory, opened: Opened) -> None:
    with serving(tmp_path_factory.mktemp("console") / "large") as plant:
        plant.publish(large_plant(10_000, zones=20))
        plant.alarm("dev-04321", "dry", severity="critical")
        page = opened(plant.url)
        expect(page.locator(".card")).to_have_count(20)
        expect(page.locator("[data-card='zone:area-08']")).to_contain_class("critical")
        page.reload()
        for _ in range(3):
            began = time.monotonic()
            page.goto(plant.url)
            expect(page.locator(".card")).to_have_count(20)
            print(f"10,000 devices: open after {time.monotonic() - began:.2f} s")
        assert page.evaluate("document.querySelectorAll('.graph .node, .graph .card, .graph line').length") < 200
        picture(page, "zones")
        page.locator("[data-card='zone:area-08']").click()
        expect(page.locator(".node[data-id='dev-04321']")).to_contain_class("critical")
        expect(page.locator(".card")).to_have_count(5)
        picture(page, "zone")
        page.get_by_role("link", name="pump, 100 devices").click()
        expect(page.locator(".graph .node")).to_have_count(100)
        page.keyboard.press("/")
        page.keyboard.type("dev-09999")
        page.get_by_role("button", name="dev-09999").click()
        page.wait_for_url("**around=dev-09999**")
        page.get_by_role("link", name="3 hops").click()
        expect(page.locator(".graph .node")).to_have_count(4)
        picture(page, "around")
        page.close()


def test_thousands_without_a_zone_come_in_parts(tmp_path_factory: pytest.TempPathFactory, opened: Opened) -> None:
    with serving(tmp_path_factory.mktemp("console") / "flat") as plant:
        plant.publish(large_plant(3_000, zones=0))
        page = opened(plant.url)
        expect(page.locator(".card .name")).to_have_text(["No zone"])
        expect(page.locator(".card .many")).to_contain_text("3,000")
        page.locator(".card").click()
        page.get_by_role("link", name="pump, 600 devices").click()
        expect(page.locator(".card")).to_have_count(3)
        page.locator(".card").first.click()
        expect(page.locator(".graph .node")).to_have_count(200)
        page.close()
