"""The plant's page in a real browser: the live graph, a fault over it, and both as of a time."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import PHONE, Opened, fits, picture
from tests.console.plant import FAULT, LINE, Served, connected, linked

EARLY = 15
"""Minutes after the plant began: it and the fault are known, the fault's way is not yet."""

pytestmark = pytest.mark.xdist_group("browser")


def places(page: Page) -> dict[str, str]:
    """Where each device is drawn."""
    found: dict[str, str] = page.locator(".graph .node").evaluate_all(
        "nodes => Object.fromEntries(nodes.map(node => [node.dataset.id, node.getAttribute('transform')]))"
    )
    return found


def test_the_plant_is_drawn_by_zones(plant: Served, opened: Opened) -> None:
    page = opened(plant.url)
    expect(page).to_have_title("Plant · console")
    expect(page.locator(".graph .node")).to_have_count(len(LINE) + 1)
    expect(page.locator(".areas text")).to_have_text(["north", "south"])
    expect(page.locator(".edges .CONTROLS")).to_have_count(1)
    assert len(set(places(page).values())) == len(LINE) + 1
    expect(page.get_by_role("link", name="plc-1, controller, normal")).to_be_attached()
    assert fits(page)


def test_an_alarm_colours_a_device_and_moves_none(plant: Served, opened: Opened) -> None:
    page = opened(plant.url)
    node = page.locator(".node[data-id='valve-2']")
    expect(node).not_to_have_class("high")
    before = places(page)
    plant.alarm("valve-2", "stuck")
    expect(node).to_contain_class("high")
    expect(node).to_contain_class("unacknowledged")
    expect(node.locator(".mark text")).to_have_text("H")
    expect(page.get_by_role("link", name="valve-2, valve, high alarm, not acknowledged")).to_be_attached()
    assert places(page) == before
    plant.publish([connected("meter-9", "flow meter"), linked("pump-1", "meter-9")])
    expect(page.locator(".node[data-id='meter-9']")).to_be_attached()
    after = places(page)
    assert {name: after[name] for name in before} == before
    plant.alarm("valve-2", "stuck", active=False)
    picture(page, "plant")


def test_a_fault_shows_its_origins_its_way_and_what_is_next(plant: Served, opened: Opened) -> None:
    page = opened(f"{plant.url}/faults/{FAULT}")
    expect(page.locator(".node[data-id='pump-1']")).to_contain_class("is-origin")
    expect(page.locator(".graph .node.strong")).to_have_count(3)
    expect(page.locator(".node[data-id='pump-1'] .chance")).to_have_text("70 %")
    steps = page.locator(".path .step")
    expect(steps).to_have_count(2)
    assert [step.get_attribute("data-step") for step in steps.all()] == ["pump-1 valve-1", "valve-1 tank-1"]
    expect(page.locator(".lags text")).to_have_text(["+5 min", "+5 min"])
    expect(page.locator(".way li").first).to_contain_text("pump-1 → valve-1 +5 min")
    expect(page.locator(".next li")).to_contain_text("expected")
    expect(page.locator(".node[data-id='valve-2']")).to_contain_class("dim")
    picture(page, "fault")
    page.keyboard.press("Escape")
    expect(page.locator(".path .step")).to_have_count(0)
    page.locator(f"[data-fault='{FAULT}']").click()
    expect(page.locator(".path .step")).to_have_count(2)


def test_the_plant_as_of_a_time(plant: Served, opened: Opened) -> None:
    plant.publish([connected("late-1", "motor"), linked("late-1", "pump-2")], minutes=60)
    page = opened(f"{plant.url}/faults/{FAULT}")
    late = page.locator(".node[data-id='late-1']")
    expect(late).to_be_attached()
    before = places(page)
    slider = page.get_by_label("As of")
    slider.fill(str(24 * 60 - (plant.clock.minutes - EARLY)))
    expect(page.locator(".past-mark")).to_contain_text("as of")
    expect(late).to_have_count(0)
    expect(page.locator(".path .step")).to_have_count(0)
    expect(page.locator(".node[data-id='pump-1']")).to_contain_class("is-origin")
    after = places(page)
    assert after == {name: before[name] for name in after}
    picture(page, "as-of")
    slider.fill("0")
    expect(page.locator(".empty")).to_be_visible()
    page.get_by_role("button", name="Live").click()
    expect(late).to_be_attached()
    expect(page.locator(".past-mark")).to_have_count(0)


def test_a_device_is_found_and_opened_by_the_keyboard(plant: Served, opened: Opened) -> None:
    page = opened(plant.url)
    expect(page.locator(".graph .node").first).to_be_attached()
    page.keyboard.press("/")
    page.keyboard.type("TANK-2")
    expect(page.locator(".found button")).to_have_text(["tank-2"])
    page.keyboard.press("Enter")
    expect(page.locator(".node[data-id='tank-2']")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/devices/tank-2")
    expect(page.get_by_role("heading", name="tank-2", level=1)).to_be_visible()
    expect(page.get_by_role("region", name="Neighbours").get_by_role("link", name="valve-2")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(plant: Served, opened: Opened, scheme: str) -> None:
    for path in ("/", f"/faults/{FAULT}", "/alarms", "/devices/pump-1", "/figures", "/actions"):
        page = opened(f"{plant.url}{path}", size=PHONE, color_scheme=scheme, has_touch=True)
        expect(page.locator("main h1").first).to_be_visible()
        assert fits(page), path
        picture(page, f"phone-{path.strip('/').replace('/', '-') or 'plant'}-{scheme}")


def test_the_theme_stays(plant: Served, opened: Opened) -> None:
    page = opened(plant.url, color_scheme="light")
    page.get_by_role("button", name="Dark theme").click()
    page.reload()
    expect(page.get_by_role("button", name="Light theme")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    picture(page, "plant-dark")


def test_what_is_not_known_is_said_in_words(plant: Served, opened: Opened) -> None:
    page = opened(f"{plant.url}/devices/nobody")
    expect(page.get_by_role("alert")).to_contain_text("No device nobody.")
    page = opened(f"{plant.url}/faults/none")
    expect(page.get_by_role("alert")).to_contain_text("This fault is not known.")
