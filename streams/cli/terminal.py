"""What all commands print with: two consoles, JSON, progress, and how a command ends.

What comes from a plant or from people is text: `plain` shows what would be a command to the terminal as it was written.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

OUT = Console(width=None if sys.stdout.isatty() else 160)
MESSAGES = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
DataFolder = Annotated[Path, typer.Option("--data", help="Data folder of the service.", envvar="OPENAUTOGLM_DATA")]
DATA = Path("data")
Url = Annotated[str | None, typer.Option("--url", help="Address of a running service; its key is setting api_key.")]
Output = Annotated[Path | None, typer.Option("--out", help="Read the output folder of a replay instead.")]
Data = Annotated[Path | None, typer.Option("--data", help="Data folder of the service.")]
SiteName = Annotated[str | None, typer.Option("--site", help="Name of the plant.")]
"""Neither URL, folder nor site has a default here: they are settings, and may come from the environment or the file."""


DRIVERS = ("aiokafka", "faust", "mode")
SAID_AGAIN = 30.0
"""Seconds after which a driver may say the same again."""


class Exit(IntEnum):
    """Documented in docs/commands.md."""

    DONE = 0
    WANTING = 1
    USAGE = 2
    UNREADABLE = 3


CONTROLS = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}
"""Control characters that JSON allows in strings, and terminals obey."""


def plain(text: object) -> str:
    r"""Data as one line of text, control characters and those that turn the writing direction as escapes.

    >>> print(plain("pump\x1b[2J"), plain("a\u202eb"), plain("Kühlturm [red]1[/]"))
    pump\x1b[2J a\u202eb Kühlturm [red]1[/]
    """
    found = str(text)
    if found.isprintable():
        return found
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in found)


def say(message: str) -> None:
    """A message for people."""
    MESSAGES.print(Text(plain(message)), soft_wrap=True)


def fail(message: str, code: Exit) -> NoReturn:
    """End the command with a message."""
    complain(message)
    raise typer.Exit(code)


def complain(message: str) -> None:
    """What went wrong, where the command goes on."""
    MESSAGES.print(Text.assemble(("error:", "bold red"), " ", plain(message)), soft_wrap=True)


def print_json(items: Iterable[object]) -> None:
    """One JSON object a line."""
    for item in items:
        sys.stdout.write((item if isinstance(item, bytes) else msgspec.json.encode(item)).decode().translate(CONTROLS) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, whole: Collection[str] = ()) -> None:
    """A table for people. `whole`: columns with ids, which are to be copied and so stay on one line as long as they can."""
    table = Table(title=Text(plain(title)), title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in whole)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    OUT.print(table)


def stacked(*lines: object) -> Text:
    """A cell of several lines."""
    return Text("\n".join(map(plain, lines)))


def warn_cut_short(*, cut_short: bool) -> None:
    if cut_short:
        say("cut short: there is more; see --limit")


@contextmanager
def progress(text: str, total: float) -> Iterator[Callable[[float], None]]:
    """A bar on stderr, where that is a terminal; call what it gives with each advance."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=MESSAGES, transient=True, disable=not MESSAGES.is_terminal) as bar:
        task = bar.add_task(text, total=total)
        yield lambda amount: bar.advance(task, amount)


class Quieter(logging.Filter):
    """Drivers say everything, and the same again and again: from Faust only what is wrong, from any of them once in a while."""

    def __init__(self, *, verbose: bool) -> None:
        super().__init__()
        self._least = {
            "faust": logging.DEBUG if verbose else logging.ERROR,
            "mode": logging.DEBUG if verbose else logging.ERROR,
        }
        self._again: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        driver = record.name.partition(".")[0]
        if driver not in DRIVERS:
            return True
        if record.levelno < self._least.get(driver, logging.NOTSET):
            return False
        said = (record.name, str(record.msg))
        if record.created < self._again.get(said, 0.0):
            return False
        self._again[said] = record.created + SAID_AGAIN
        return True


def log_to_stderr(*, verbose: bool) -> None:
    """Messages of the service; of the libraries only what is wrong."""
    handler = RichHandler(console=MESSAGES, show_path=False)
    handler.addFilter(Quieter(verbose=verbose))
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    for name in ("streams", "agents", "graph", "schemas"):
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in ("amqtt", "transitions", "mqtt"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
