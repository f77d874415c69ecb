"""Mounts the console on the API's application: which paths are its, and what stands before them."""

from __future__ import annotations

from importlib.resources import files

import nicegui
from fastapi import FastAPI
from nicegui import Client, core, ui
from starlette.requests import Request
from starlette.routing import Match, Mount, Route
from starlette.types import Scope

from schemas.device import DeviceId
from streams.api.gate import Gate
from streams.console.actions import ActionsPage
from streams.console.alarms import AlarmsPage
from streams.console.device import DevicePage
from streams.console.door import Door, Login
from streams.console.figures import FiguresPage
from streams.console.frame import Console
from streams.console.instructions import InstructionsPage
from streams.console.plant import PlantPage
from streams.console.scenes import Scenes, Where
from streams.console.watch import Watch
from streams.controlroom import ControlRoom

PATIENCE = 30.0
"""Seconds that a page may take; a plant of 100,000 devices is counted within them on a slow machine."""
PAGES = ("/", "/alarms", "/figures", "/actions", "/instructions", "/favicon.ico")
BELOW = ("/devices/", "/faults/", "/instructions/", "/_nicegui/", "/_nicegui_ws/")
HEAD = """
<meta name="referrer" content="same-origin">
<script>document.documentElement.dataset.theme = localStorage.getItem("openautoglm-theme") || "";</script>
<style>{style}</style>
"""
ICON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='-12 -12 24 24'>"
    "<path d='M-7 6L0-7L7 6M-4 1H4' fill='none' stroke='#777' stroke-width='3'/></svg>"
)


class Pages(Mount):
    """Takes the console's own paths alone: what is not known otherwise is the API's to answer, as its document says."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = scope.get("path", "")
        if path in PAGES or path.startswith(BELOW):
            return super().matches(scope)
        return Match.NONE, {}


def install(app: FastAPI, room: ControlRoom, gate: Gate) -> None:
    """Serve the console on the application. Raises RuntimeError for a second in a process: NiceGUI knows only one."""
    if core.app.config.has_run_config:
        raise RuntimeError("this process serves a console already: set console to false for further services in it")
    login = Login(gate, room.site)
    for path, endpoint, method in (
        ("/login", login.ask, "GET"),
        ("/login", login.begin, "POST"),
        ("/logout", login.end, "POST"),
    ):
        app.router.routes.append(Route(path, endpoint, methods=[method], include_in_schema=False))
    _pages(Console(room=room, gate=gate, watch=Watch(room), scenes=Scenes(room)))
    style = files("streams.console").joinpath("static/console.css").read_text(encoding="utf-8")
    Client.shared_head_html += HEAD.format(style=style)
    ui.run_with(app, title=room.site, favicon=ICON, dark=None, language="en-US", tailwind=False, show_welcome_message=False)
    app.router.routes.pop()
    app.router.routes.append(Pages("/", app=Door(nicegui.app, gate)))


def _pages(console: Console) -> None:
    site = console.room.site

    @ui.page("/", title=f"Plant · {site}", response_timeout=PATIENCE)
    async def plant(request: Request) -> None:
        given = request.query_params
        hops, part = given.get("hops", "1"), given.get("part", "")
        where = Where(
            zone=given.get("zone"),
            group=given.get("group"),
            part=int(part) if part.isdecimal() else None,
            around=DeviceId(given["around"]) if "around" in given else None,
            hops=min(max(int(hops), 1), 3) if hops.isdecimal() else 1,
            fault=given.get("fault"),
        )
        await PlantPage(console, where).begin()

    @ui.page("/faults/{fault_id:path}", title=f"Fault · {site}", response_timeout=PATIENCE)
    async def fault(fault_id: str) -> None:
        await PlantPage(console, Where(fault=fault_id)).begin()

    @ui.page("/devices/{name:path}", title=f"Device · {site}", response_timeout=PATIENCE)
    async def device(name: str) -> None:
        await DevicePage(console, DeviceId(name)).begin()

    @ui.page("/alarms", title=f"Alarms · {site}", response_timeout=PATIENCE)
    async def alarms() -> None:
        await AlarmsPage(console).begin()

    @ui.page("/figures", title=f"Figures · {site}", response_timeout=PATIENCE)
    async def figures() -> None:
        await FiguresPage(console).begin()

    @ui.page("/actions", title=f"Actions · {site}", response_timeout=PATIENCE)
    async def actions() -> None:
        await ActionsPage(console).begin()

    @ui.page("/instructions", title=f"Instructions · {site}", response_timeout=PATIENCE)
    async def instructions() -> None:
        await InstructionsPage(console).begin()

    @ui.page("/instructions/{run_id}", title=f"Instruction · {site}", response_timeout=PATIENCE)
    async def instruction(run_id: str) -> None:
        await InstructionsPage(console, run_id).begin()
