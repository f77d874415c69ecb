"""Commands in the pages are commands of the program, links lead somewhere, and the settings' table is complete."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.settings import Settings
from tests.commands import command

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
COMMAND = re.compile(r"(?:^|[\s/`(])openautoglm ((?:[a-z]+(?:-[a-z]+)* ?)+)([^`\n#]*)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]+?)(?:#[^)]*)?\)")


def commands(page: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Words and options of each command in the code of a page."""
    for words, rest in COMMAND.findall(page.read_text(encoding="utf-8")):
        yield words.split(), re.findall(r"--[a-z][a-z-]*", rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist_with_their_options(page: Path) -> None:
    for words, options in commands(page):
        known = {name for parameter in command(words).params for name in parameter.opts} | {"--help"}
        assert set(options) <= known, f"openautoglm {' '.join(words)}: {options}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_setting_is_described() -> None:
    page = (ROOT / "docs" / "operation.md").read_text(encoding="utf-8")
    assert {name for name in Settings.model_fields if f"| `{name}` |" not in page} == {"crash_at"}


def test_make_targets_in_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        assert set(re.findall(r"^ {4}make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)) <= targets
