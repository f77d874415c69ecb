"""A real browser, and pages that must neither fail nor ask anything of another host."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.console.plant import Served, fault, serving, small_plant
from tests.services import missing
from tests.waiting import HUNG

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
DESK, PHONE = (1366, 768), (390, 844)
LEFT = "WebSocket is closed before the connection is established"
"""What a browser says of a page that is left at once."""
Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        missing("chromium is not installed")
    expect.set_options(timeout=HUNG * 1000)
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two zones of three devices, and a fault."""
    with serving(tmp_path_factory.mktemp("console") / "small", faults=[fault(), fault(30)]) as served:
        served.publish(small_plant())
        yield served


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """Opens pages; what they complain of, and what they ask of others, fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(url: str, *, size: tuple[int, int] = DESK, context: BrowserContext | None = None, **options: Any) -> Page:
        if context is None:
            context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
            context.set_default_timeout(HUNG * 1000)
            contexts.append(context)
        page, host = context.new_page(), urlsplit(url).netloc
        page.on(
            "console", lambda said: complaints.append(said.text) if said.type == "error" and LEFT not in said.text else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: complaints.extend(_elsewhere(asked.url, host)))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _elsewhere(url: str, host: str) -> list[str]:
    parts = urlsplit(url)
    return [] if parts.scheme in {"data", "blob"} or parts.netloc == host else [f"asks {url}"]


def picture(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def fits(page: Page) -> bool:
    """Nothing must be scrolled sideways."""
    found: bool = page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    return found
