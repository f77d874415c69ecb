"""The sentences and their truths are of the plant beside them and of the plant's own tools, and each truth is a task graph."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.catalogue import plant_tools
from agents.taskgraph import Condition, Reference, Task, TaskGraph, TaskGraphError
from agents.toolset import Tool

FOLDER = Path(__file__).parent / "instructions"
LINES = {
    "english.train": 134,
    "english.held": 66,
    "chinese.train": 67,
    "chinese.held": 33,
    "more.train": 240,
    "third.train": 129,
    "third.held": 50,
}
LEAST = {("english.train", "chinese.train"): 12, ("english.held", "chinese.held"): 6, ("more.train",): 12}
NAMED_PERIODS = {"today", "yesterday", "this-week", "last-week", "this-month", "last-month"}
PERIOD = re.compile(r"PT[1-9]\d*[HM]|P[1-9]\d*D|([01]\d|2[0-3]):[0-5]\d/([01]\d|2[0-3]):[0-5]\d")


class Instruction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    text: str
    tasks: tuple[Task, ...]
    links: tuple[tuple[str, str], ...]

    def graph(self) -> TaskGraph:
        return TaskGraph(self.tasks, self.links)


class Plant(msgspec.Struct, frozen=True):
    signals: dict[str, set[str]]
    types: set[str]
    zones: set[str]


@cache
def plant() -> Plant:
    events = [json.loads(line) for line in (FOLDER / "plant.ndjson").read_text("utf-8").splitlines()]
    devices = [event["data"] for event in events if event["type"] == "device.connected"]
    return Plant(
        {device["deviceId"]: {signal["name"] for signal in device["signals"]} for device in devices},
        {device["type"] for device in devices},
        {device["zone"] for device in devices},
    )


@cache
def instructions(name: str) -> tuple[Instruction, ...]:
    lines = (FOLDER / f"{name}.ndjson").read_text("utf-8").splitlines()
    return tuple(msgspec.json.decode(line, type=Instruction) for line in lines)


def wrong(name: str, check: Callable[[Instruction], None]) -> dict[str, str]:
    """What does not hold, by sentence: a test for each would take longer than what it tests."""
    found = {one.id: _failing(one, check) for one in instructions(name)}
    return {key: why for key, why in found.items() if why}


def _failing(one: Instruction, check: Callable[[Instruction], None]) -> str:
    try:
        check(one)
    except (AssertionError, LookupError, TaskGraphError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def test_the_links_of_the_plant_join_its_devices() -> None:
    events = [json.loads(line) for line in (FOLDER / "plant.ndjson").read_text("utf-8").splitlines()]
    links = [event["data"] for event in events if event["type"] == "device.linked"]
    assert {end for link in links for end in (link["source"], link["target"])} <= plant().signals.keys()
    assert {link["relation"] for link in links} >= {"FEEDS", "POWERS", "CONTROLS", "CONTAINS"}


def test_each_file_has_its_number_of_sentences_and_none_stands_twice() -> None:
    assert {name: len(instructions(name)) for name in LINES} == LINES
    everything = [one for name in LINES for one in instructions(name)]
    assert len({one.id for one in everything}) == len(everything)
    assert len({" ".join(one.text.lower().split()) for one in everything}) == len(everything)


@pytest.mark.parametrize("files", LEAST, ids=" ".join)
def test_every_tool_occurs_often_enough(files: tuple[str, ...]) -> None:
    counts = Counter(task.tool for name in files for one in instructions(name) for task in one.tasks)
    assert {tool.id: counts[tool.id] for tool in plant_tools().tools if counts[tool.id] < LEAST[files]} == {}


@pytest.mark.parametrize("name", LINES)
def test_a_truth_is_a_graph_of_the_catalogues_tools(name: str) -> None:
    assert wrong(name, _is_of_the_catalogue) == {}


def _is_of_the_catalogue(one: Instruction) -> None:
    graph = one.graph()
    assert one.text == one.text.strip()
    assert [task.key for task in graph.tasks] == [f"t{number}" for number in range(1, len(graph.tasks) + 1)]
    earlier: dict[str, Tool] = {}
    for task in graph.tasks:
        tool = plant_tools()[task.tool]
        required = {slot.name for slot in tool.inputs if slot.required}
        assert required <= task.arguments.keys() <= {slot.name for slot in tool.inputs} - {"parts"}
        for name, value in task.arguments.items():
            check(tool, name, value, task, earlier)
        for condition in task.when:
            check_condition(condition, earlier)
        earlier[task.key] = tool


def check(tool: Tool, name: str, value: Any, task: Task, earlier: dict[str, Tool]) -> None:
    slot = tool.input(name)
    assert slot is not None
    if isinstance(value, Reference):
        output = earlier[value.task].output(value.output)
        assert output is not None
        assert output.type == slot.type
        return
    assert not slot.choices or value in slot.choices
    match slot.type:
        case "device":
            assert value in plant().signals
        case "signal":
            assert value in plant().signals[task.arguments["device"]]
        case "zone":
            assert value in plant().zones
        case "device-type":
            assert value in plant().types
        case "period":
            assert value in NAMED_PERIODS or PERIOD.fullmatch(value)
        case "count" | "duration":
            assert type(value) is int
            assert value > 0
        case "quantity":
            assert type(value) in {int, float}
        case _:
            assert isinstance(value, str)
            assert value


def check_condition(condition: Condition, earlier: dict[str, Tool]) -> None:
    output = earlier[condition.task].output(condition.output)
    assert output is not None
    said = [given for given in (condition.is_, condition.below, condition.above) if given is not None]
    assert len(said) == 1
    assert isinstance(said[0], bool) == (output.type == "truth")
    assert output.type in {"truth", "number"}


@pytest.mark.parametrize("name", LINES)
def test_links_hold_only_what_nothing_else_says(name: str) -> None:
    assert wrong(name, _says_nothing_twice) == {}


def _says_nothing_twice(one: Instruction) -> None:
    needs = {(need, task.key) for task in one.tasks for need in task.needs()}
    assert not needs & set(one.links)
    assert len(set(one.links)) == len(one.links)
    keys = [task.key for task in one.tasks]
    assert all(keys.index(source) < keys.index(target) for source, target in one.links)


@pytest.mark.parametrize("name", LINES)
def test_what_reports_comes_after_everything_before_it(name: str) -> None:
    assert wrong(name, _reports_last) == {}


def _reports_last(one: Instruction) -> None:
    graph = one.graph()
    for place, task in enumerate(one.tasks):
        if task.tool == "write_report" or (task.tool == "notify" and "text" not in task.arguments):
            assert graph.before(task.key) == {earlier.key for earlier in one.tasks[:place]}


@pytest.mark.parametrize("name", LINES)
def test_a_series_is_of_a_history(name: str) -> None:
    assert wrong(name, _draws_histories) == {}


def _draws_histories(one: Instruction) -> None:
    used = [reference.task for task in one.tasks for reference in task.references() if reference.output == "series"]
    assert {task.tool for task in one.tasks if task.key in used} <= {"signal_history"}


def test_a_truth_that_is_wrong_is_named() -> None:
    """A chart of a history that the device's signals do not know, and a report that nothing leads to."""
    task = Task("t1", "signal_history", {"device": "pump-7", "signal": "level"})
    one = Instruction("x-1", "level of pump-7, with a report", (task, Task("t2", "write_report")), ())
    assert _failing(one, _is_of_the_catalogue)
    assert _failing(one, _reports_last)
    assert not _failing(one, _says_nothing_twice)


def test_hostile_strings_are_many_and_differ() -> None:
    found = [json.loads(line) for line in (FOLDER / "hostile.txt").read_text("ascii").splitlines()]
    assert all(isinstance(text, str) for text in found)
    assert len(set(found)) == len(found) >= 320
    assert max(map(len, found)) >= 10_000
