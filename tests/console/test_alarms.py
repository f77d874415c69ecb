"""The alarms' page in a real browser: verbs by the keyboard and the mouse, histories, roles, and hostile texts."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from streams.roles import Role
from tests.console.conftest import Opened, picture
from tests.console.plant import Served, serving, small_plant
from tests.waiting import HUNG

pytestmark = pytest.mark.xdist_group("browser")
HOSTILE = '<img src=x onerror="window.hacked = 1"><b>bold</b>'


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that asks who comes, with an alarm."""
    with serving(tmp_path_factory.mktemp("console") / "closed", API_AUTH="required") as served:
        served.publish(small_plant())
        served.alarm("pump-1", "dry")
        yield served


def login(page: Page, key: str) -> None:
    page.get_by_label("Key or token").fill(key)
    page.get_by_role("button", name="Log in").click()


def row(page: Page, device: str, name: str) -> str:
    """How to find an alarm, once it is there."""
    found = page.locator(".alarm").filter(has_text=f"{device} control:{name}")
    expect(found).to_have_count(1)
    return f"[data-alarm='{found.get_attribute('data-alarm')}']"


def test_an_alarm_is_acknowledged_by_the_keyboard_alone(plant: Served, opened: Opened) -> None:
    plant.alarm("tank-1", "level")
    page = opened(plant.url)
    expect(page.locator(".graph .node").first).to_be_attached()
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url("**/alarms")
    alarm = page.locator(row(page, "tank-1", "level"))
    expect(alarm).to_have_attribute("data-state", "unacknowledged")
    for _ in range(page.locator(".alarm").count()):
        page.keyboard.press("j")
        if alarm.evaluate("node => node === document.activeElement"):
            break
    page.keyboard.press("x")
    expect(alarm).to_have_attribute("data-state", "acknowledged")
    expect(alarm).to_contain_text("acknowledged by local")
    picture(page, "alarms")


def test_shelving_has_a_reason_that_stands_in_the_history(plant: Served, opened: Opened) -> None:
    plant.alarm("tank-2", HOSTILE[:40])
    plant.alarm("tank-2", "level")
    page = opened(f"{plant.url}/alarms")
    alarm = page.locator(row(page, "tank-2", "level"))
    alarm.get_by_label("More for tank-2").select_option("shelve")
    sheet = page.get_by_role("dialog")
    sheet.get_by_label("For how long").select_option("15 min")
    sheet.get_by_label("Reason").fill(HOSTILE)
    sheet.get_by_role("button", name="Shelve").click()
    expect(alarm).to_have_attribute("data-state", "shelved")
    expect(alarm).to_contain_text("shelved by local until")
    alarm.get_by_role("button", name="History").click()
    expect(page.locator(".history li")).to_have_count(2)
    expect(page.locator(".history q")).to_have_text(HOSTILE)
    picture(page, "history")
    assert page.locator("main img, main b").count() == 0
    assert page.evaluate("window.hacked") is None
    page.keyboard.press("Escape")
    expect(page.locator(".history")).to_have_count(0)
    alarm.get_by_label("More for tank-2").select_option("unshelve")
    expect(alarm).to_have_attribute("data-state", "unacknowledged")


def test_the_list_is_filtered(plant: Served, opened: Opened) -> None:
    plant.alarm("pump-2", "vibration", severity="low")
    plant.alarm("tank-1", "level")
    page = opened(f"{plant.url}/alarms")
    low = page.locator(row(page, "pump-2", "vibration"))
    page.get_by_label("Severity", exact=True).select_option("high")
    expect(low).to_have_count(0)
    page.get_by_label("Severity", exact=True).select_option("low")
    page.get_by_label("Device, zone or condition").fill("PUMP-2")
    expect(page.locator(".alarm").filter(has_not_text="pump-2")).to_have_count(0)
    expect(low).to_be_visible()
    page.get_by_label("Device, zone or condition").fill("nothing like it")
    expect(page.locator(".none")).to_have_text("No alarm is like this.")


def test_a_device_shows_its_alarms(plant: Served, opened: Opened) -> None:
    plant.alarm("pump-1", "hot", severity="critical")
    page = opened(f"{plant.url}/devices/pump-1")
    alarms = page.get_by_role("region", name="Alarms")
    alarms.get_by_role("button", name="Acknowledge").click()
    expect(alarms.locator(".alarm")).to_have_attribute("data-state", "acknowledged")
    expect(page.get_by_role("status").filter(has_text="pump-1")).to_be_visible()
    picture(page, "device")


def test_figures_stand_beside_their_targets(plant: Served, opened: Opened) -> None:
    plant.alarm("pump-1", "figure")
    page = opened(f"{plant.url}/figures")
    expect(page.locator(".verdict")).to_have_count(7)
    page.get_by_role("button", name="7 d").click()
    expect(page.get_by_role("button", name="7 d")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("region", name="Most frequent").get_by_role("link").first).to_be_visible()
    picture(page, "figures")


def test_actions_say_where_they_come_from_when_there_are_none(plant: Served, opened: Opened) -> None:
    expect(opened(f"{plant.url}/actions").locator(".none")).to_contain_text("No action was asked for")


def test_viewers_see_alarms_and_no_verbs(closed: Served, opened: Opened) -> None:
    page = opened(f"{closed.url}/alarms?from=mail")
    page.wait_for_url("**/login?next=**")
    picture(page, "login")
    login(page, closed.keys[Role.VIEWER])
    page.wait_for_url("**/alarms?from=mail")
    alarm = page.locator(row(page, "pump-1", "dry"))
    expect(alarm.get_by_role("button", name="History")).to_be_visible()
    expect(alarm.get_by_role("button", name="Acknowledge")).to_have_count(0)
    expect(alarm.locator("select")).to_have_count(0)
    other = opened(f"{closed.url}/", context=page.context)
    other.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")


def test_operators_do_what_operators_may(closed: Served, opened: Opened) -> None:
    page = opened(f"{closed.url}/alarms")
    login(page, closed.keys[Role.OPERATOR])
    alarm = page.locator(row(page, "pump-1", "dry"))
    assert alarm.locator("option").all_text_contents() == ["More…", "Shelve"]
    cookie = next(one for one in page.context.cookies() if one.get("name") == "openautoglm_session")
    assert (cookie.get("httpOnly"), cookie.get("sameSite")) == (True, "Strict")


@pytest.mark.parametrize("path", ["/", "/alarms", "/devices/pump-1", "/_nicegui/x/components/y"])
def test_nobody_without_a_session_gets_a_page(closed: Served, path: str) -> None:
    answer = httpx.get(f"{closed.url}{path}", timeout=HUNG)
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login")


def test_nobody_without_a_session_gets_to_the_socket(closed: Served) -> None:
    assert httpx.get(f"{closed.url}/_nicegui_ws/socket.io/?EIO=4&transport=polling", timeout=HUNG).status_code == 401


def test_what_is_no_key_opens_nothing(closed: Served) -> None:
    answer = httpx.post(f"{closed.url}/login", data={"key": "<b>", "next": "https://evil.example"}, timeout=HUNG)
    assert answer.status_code == 401
    assert "evil.example" not in answer.text
    assert "set-cookie" not in answer.headers


def test_paths_of_the_api_stay_the_apis(plant: Served) -> None:
    assert httpx.get(f"{plant.url}/v1/nothing", timeout=HUNG).headers["content-type"] == "application/problem+json"
    assert httpx.post(f"{plant.url}/v1/faults", timeout=HUNG).status_code == 405
