"""The instructions' page in a real browser: the plan before it runs, the run as it goes, questions, roles, hostile texts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from agents.taskgraph import Condition, Reference, Task, TaskGraph
from streams.console.plandrawing import drawn
from streams.console.results import Part, parts
from streams.roles import Role
from tests.console.conftest import PHONE, Opened, fits, picture
from tests.console.plant import Served, serving, small_plant, told
from tests.console.test_alarms import HOSTILE, login
from tests.streams.phrasebook import CHART, STOP, permits

pytestmark = pytest.mark.xdist_group("browser")
APPROVED = '@id("asks")\n@approval("second-person")\npermit (principal, action, resource);'
DRAW, ACT = "draw the flow of pump-1 of the last two hours and write a report", "find the pumps in zone north, then stop pump-1"


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that asks who comes, and lets a second person approve what acts."""
    folder = tmp_path_factory.mktemp("console")
    policy = permits(folder / "policy", APPROVED)
    with serving(folder / "asking", API_AUTH="required", POLICY=str(policy)) as served:
        served.publish(small_plant())
        for flow in (2.0, 2.2, 1.8, 2.4, 2.1, 2.5):
            served.publish([told("device.telemetry", deviceId="pump-1", values={"flow": flow})])
        yield served


def entered(opened: Opened, served: Served, role: Role = Role.OPERATOR, **options: object) -> Page:
    page = opened(f"{served.url}/instructions", **options)
    login(page, served.keys[role])
    page.wait_for_url("**/instructions")
    return page


def plan(page: Page, text: str) -> None:
    page.get_by_label("What is to be done").fill(text)
    page.get_by_role("button", name="Plan", exact=True).click()


def settled(page: Page, state: str) -> None:
    expect(page.locator(".run-state")).to_have_attribute("data-run-state", state)


def test_a_plan_is_shown_before_it_runs_and_then_runs_to_its_end(asking: Served, opened: Opened) -> None:
    page = entered(opened, asking)
    plan(page, DRAW)
    settled(page, "planned")
    page.wait_for_url("**/instructions/run-*")
    boxes = page.locator(".plan-task")
    expect(boxes).to_have_count(3)
    expect(boxes.first).to_contain_text("signal history")
    expect(boxes.first).to_contain_text("device: pump-1")
    expect(boxes.first.locator(".plan-state")).to_have_text("○ not begun")
    assert page.locator(".plan-arrow").count() >= 2
    expect(page.locator("[data-result] q").first).not_to_be_empty()
    picture(page, "instruction-plan")
    page.get_by_role("button", name="Run", exact=True).click()
    settled(page, "succeeded")
    expect(page.locator(".plan-task.succeeded .plan-state")).to_have_text(["✓ done"] * 3)
    expect(page.locator("[data-part='latest'] strong")).to_have_text("2.5")
    image = page.locator(".part img")
    expect(image).to_be_visible()
    assert image.evaluate("node => node.decode().then(() => node.naturalWidth > 100)")
    with page.expect_download() as download:
        page.get_by_role("link", name=".md").click()
    assert download.value.suggested_filename.endswith(".md")
    expect(page.locator(".runs li").first).to_contain_text("done")
    expect(page.get_by_role("button", name="Run", exact=True)).to_have_count(0)
    page.evaluate("scrollTo(0, 0)")
    picture(page, "instruction-run")
    assert fits(page)


def test_what_acts_waits_for_approval_and_can_be_cancelled(asking: Served, opened: Opened) -> None:
    page = entered(opened, asking)
    plan(page, ACT)
    settled(page, "planned")
    page.get_by_role("button", name="Dry run").click()
    settled(page, "succeeded")
    expect(page.locator("section[aria-label='Plan'] h2")).to_have_text("Dry run: nothing is changed")
    expect(page.locator("[data-part='action']")).to_contain_text("wait for approval")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".plan-task.waiting .plan-state")).to_have_text("◷ waits for approval")
    expect(page.locator("[data-part='devices'] td a").first).to_have_text("pump-1")
    expect(page.locator(".waits").get_by_role("link")).to_have_attribute("href", "/actions")
    picture(page, "instruction-waits")
    page.get_by_role("button", name="Cancel").click()
    settled(page, "cancelled")
    expect(page.locator(".facts").filter(has_text="cancelled by operator-anna")).to_be_visible()


def test_what_is_unclear_is_asked_back_and_nothing_is_planned(asking: Served, opened: Opened) -> None:
    page = entered(opened, asking)
    plan(page, "stop pump-99")
    questions = page.get_by_role("alert").filter(has_text="this is unclear")
    expect(questions.locator("li").first).not_to_be_empty()
    expect(page.locator(".plan-task")).to_have_count(0)
    expect(page.get_by_role("button", name="Run", exact=True)).to_have_count(0)
    picture(page, "instruction-questions")


def test_chinese_is_understood_and_hostile_words_are_text(asking: Served, opened: Opened) -> None:
    page = entered(opened, asking, size=PHONE)
    plan(page, "列出 north 区的泵")
    expect(page.locator(".plan-task")).to_contain_text("zone: north")
    picture(page, "instruction-phone")
    assert fits(page)
    plan(page, f"stop pump-1 because of {HOSTILE}")
    expect(page.locator(".plan-task")).to_contain_text("verb: stop")
    expect(page.locator(".said")).to_contain_text(HOSTILE)
    expect(page.locator(".runs")).to_contain_text(HOSTILE)
    plan(page, HOSTILE)
    expect(page.locator(".asks")).to_contain_text("unclear")
    assert page.locator("main b, main .said img, .asks img").count() == 0
    assert page.evaluate("window.hacked") is None


def test_a_viewer_plans_and_tries_dry_and_runs_nothing(asking: Served, opened: Opened) -> None:
    page = entered(opened, asking, Role.VIEWER)
    plan(page, ACT)
    settled(page, "planned")
    expect(page.get_by_role("button", name="Run", exact=True)).to_have_count(0)
    where = page.url
    page.get_by_role("button", name="Dry run").click()
    settled(page, "succeeded")
    expect(page).not_to_have_url(where)
    picture(page, "instruction-dry")
    # The server, not the missing button, is what refuses.
    digest = page.evaluate("fetch(`/v1${location.pathname}`).then((got) => got.json()).then((run) => run.digest)")
    page.evaluate(
        """digest => getElement(Number(document.querySelector(".instructions").id.slice(1))).$emit("run", { digest })""",
        digest,
    )
    expect(page.locator(".toast.bad")).to_contain_text("needs the role operator")


def test_somebody_elses_plan_is_run_in_ones_own_name(asking: Served, opened: Opened) -> None:
    page = entered(opened, asking)
    plan(page, "find the pumps in zone north")
    settled(page, "planned")
    other = opened(page.url)
    login(other, asking.keys[Role.ENGINEER])
    other.wait_for_url("**/instructions/run-*")
    other.get_by_role("button", name="Run", exact=True).click()
    settled(other, "succeeded")
    expect(other).not_to_have_url(page.url)
    expect(other.locator("section[aria-label='Plan'] .facts").first).to_contain_text("for engineer-anna")


def test_a_run_that_is_not_there_is_said(plant: Served, opened: Opened) -> None:
    page = opened(f"{plant.url}/instructions/run-0")
    expect(page.get_by_role("alert")).to_have_text("There is no run run-0.")
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.wait_for_url(f"{plant.url}/")


def test_boxes_stand_in_rows_and_arrows_lead_down() -> None:
    drawing = drawn(STOP)
    assert [(box.key, box.x) for box in drawing.boxes] == [("look", 0), ("stop", 0), ("tell", 0)]
    tops = [(box.y, box.y + box.height) for box in drawing.boxes]
    assert all(above[1] < below[0] for above, below in itertools.pairwise(tops))
    assert [arrow.condition for arrow in drawing.arrows] == ["if look.count above 0", ""]
    assert drawing.boxes[1].lines == ["device: pump-1", "verb: stop"]


def test_a_link_passes_a_row_beside_its_boxes() -> None:
    drawing = drawn(CHART)
    chart = next(box for box in drawing.boxes if box.key == "chart")
    passing = next(arrow for arrow in drawing.arrows if (arrow.source, arrow.target) == ("read", "report"))
    assert f"V{chart.y + chart.height:g}" in passing.path
    assert drawing.width == chart.width + 28 + 24


def test_what_is_too_long_for_a_box_is_cut_and_told_as_a_whole() -> None:
    task = Task("a", "notify", {"text": "水" * 100 + "\u202e"}, why="x" * 200)
    drawing = drawn(
        TaskGraph((task, Task("b", "notify", {"text": Reference("a", "action")}, (Condition(task="a", output="ok"),))))
    )
    assert drawing.boxes[0].lines == ["text: " + "水" * 15 + "…"]
    assert drawing.boxes[0].told.count("水") == 100
    assert "\u202e" not in drawing.boxes[0].told
    assert drawing.boxes[1].lines == ["text: ← a, action"]
    assert drawn(TaskGraph(())).boxes == []


def test_results_are_figures_tables_files_and_actions() -> None:
    rows = [{"deviceId": f"pump-{number}", "zone": None, "near": [1]} for number in range(25)]
    shown = parts("run-1", {"devices": rows, "count": 25, "file": {"name": "a.svg", "bytes": 3}, "names": ["a", "b"]})
    assert shown[0] == Part("devices", columns=["deviceId"], rows=[[f"pump-{number}"] for number in range(20)], more=5)
    assert shown[1:3] == [Part("count", 25), Part("file", file="a.svg", href="/v1/instructions/run-1/files/a.svg")]
    assert shown[3] == Part("names", "a, b")
    acted = parts("run-1", {"action": {"actionId": "action-1", "verb": "stop", "detail": ""}})
    assert acted == [Part("action", facts=[("actionId", "action-1"), ("verb", "stop")], action="action-1")]
    series = parts("run-1", {"series": {"device": "p", "points": [["t", 1.0]], "statistics": {"mean": 1.0, "spread": None}}})
    assert [part.name for part in series] == ["series", "series points", "series statistics"]
