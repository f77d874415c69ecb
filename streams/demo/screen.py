"""The demo on a terminal: the live state on top, the story below; plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agents.standing import FAULT
from schemas.event import instant
from streams.demo.story import Scene

BARS = " ▁▂▃▄▅▆▇█"
WIDE = 60
"""Steps in the score's curve."""
STORY = 14
SHOWN = 6


class Screen:
    """Where a demo is shown."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._story: list[str] = []
        self._live: Live | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """While open, a terminal shows the live state; afterwards the story stays."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, refresh_per_second=8, transient=False) as live:
            self._live = live
            yield
        self._live = None

    def say(self, line: str) -> None:
        self._story.append(line)
        if self._live is None:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, scene: Scene) -> None:
        if self._live is not None:
            self._live.update(Group(_state(scene), _middle(scene), _story(self._story[-STORY:])))


def _state(scene: Scene) -> RenderableType:
    when = f"{instant(scene.at):%a %Y-%m-%d %H:%M}" if scene.at is not None else "-"
    strange = bool(scene.scores) and scene.scores[-1][0] > scene.scores[-1][1]
    facts = (("plant time", when), ("events", f"{scene.events:,}"), ("devices", scene.devices), ("edges", scene.edges))
    line = Text()
    for name, value in facts:
        line.append(f"{name} ", style="dim").append(f"{value}   ")
    line.append("STRANGE" if strange else "normal", style="bold red" if strange else "green")
    return Panel(Group(line, curve(scene.scores)), title=f"Open-AutoGLM: {scene.act}", title_align="left")


def curve(scores: list[tuple[float, float]]) -> Text:
    """The plant's score over the last steps, in multiples of its threshold: red above it."""
    text = Text("score ", style="dim")
    for score, threshold in scores[-WIDE:]:
        ratio = score / threshold if threshold > 0 else 0.0
        text.append(BARS[min(len(BARS) - 1, int(ratio * (len(BARS) // 2)))], style="red" if ratio > 1 else "green")
    return text


def _middle(scene: Scene) -> RenderableType:
    return Columns([_origins(scene), _path(scene), _acts(scene)], expand=True)


def _origins(scene: Scene) -> RenderableType:
    table = Table(title="where it began", title_justify="left", box=None, header_style="dim")
    table.add_column("device")
    table.add_column("probability", justify="right")
    for device, probability in (scene.fault.origins if scene.fault else ())[:SHOWN]:
        table.add_row(device, f"{probability:.0%} {'█' * round(10 * probability):10}")
    return table


def _path(scene: Scene) -> RenderableType:
    table = Table(title="which way it spreads", title_justify="left", box=None, header_style="dim")
    table.add_column("edge")
    table.add_column("lag", justify="right")
    for way in (scene.fault.path if scene.fault else ())[:SHOWN]:
        lag = "" if way.lag is None else f"{way.lag / 60e6:+.0f} min"
        table.add_row(f"{way.source} -> {way.target}", lag)
    return table


def _acts(scene: Scene) -> RenderableType:
    table = Table(title="alarms and actions", title_justify="left", box=None, show_header=False)
    table.add_column("what")
    for alarm in sorted(scene.alarms.values(), key=lambda alarm: alarm.condition != FAULT)[: SHOWN // 2]:
        table.add_row(f"[yellow]{alarm.severity} {alarm.condition} at {alarm.device_id}: {alarm.state}[/]")
    for entry in list(scene.actions.values())[-SHOWN // 2 :]:
        table.add_row(f"[cyan]{entry.action.verb} {entry.action.target}: {entry.stage}[/]")
    return table


def _story(lines: list[str]) -> RenderableType:
    return Panel(Text("\n".join(lines)), title="the story", title_align="left")
