from __future__ import annotations

import json

import pytest

from agents.interpreter import Understood
from agents.names import Names
from agents.parser.lessons import Lesson
from agents.taskgraph import Condition, Reference, TaskGraph
from tests.agents.plans import ASKED, FOLDER, NAMES, is_same, lessons, wanted


def understood(text: str) -> Understood:
    return ASKED.understand(text, NAMES)


def plan(text: str) -> TaskGraph:
    found = understood(text)
    assert found.graph is not None, found.questions
    return found.graph


def share(*files: str) -> float:
    every: list[Lesson] = [lesson for file in files for lesson in lessons(file)]
    return sum(is_same(understood(lesson.text).graph, wanted(lesson)) for lesson in every) / len(every)


@pytest.mark.parametrize(
    ("files", "least"),
    [
        (("english.train", "chinese.train", "more.train", "third.train"), 0.95),
        (("english.held", "chinese.held"), 0.8),
        (("third.held",), 0.82),
    ],
    ids=["train", "held", "third-held"],
)
def test_plans_are_exactly_those_that_were_wanted(files: tuple[str, ...], least: float) -> None:
    """The held ones were never looked at: their number alone was taken, after the parser was done."""
    assert share(*files) >= least


@pytest.mark.parametrize("text", ["stop pump 99", "stop pmup-99", "停99号泵", "isolate PX-1234"])
def test_a_device_that_is_not_there_is_asked_for_and_never_guessed(text: str) -> None:
    found = understood(text)
    assert found.graph is None
    assert found.questions


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("stop pump 7", "pump-7"),
        ("stop pump seven", "pump-7"),
        ("stop pump-7", "pump-7"),
        ("stop the 204 A pump", "P-204A"),
        ("stop p204a", "P-204A"),
        ("停7号泵", "pump-7"),
        ("停七号泵", "pump-7"),
        ("停Ｐ－２０４Ａ", "P-204A"),
    ],
)
def test_names_are_found_however_they_are_written(text: str, device: str) -> None:
    assert plan(text).tasks[0].arguments == {"device": device, "verb": "stop"}


def test_names_that_fit_several_devices_are_asked_for() -> None:
    names = Names({"a/pump-1": ("pump", None, ()), "b/pump-1": ("pump", None, ())})  # type: ignore[dict-item]
    found = ASKED.understand("stop pump 1", names)
    assert found.graph is None
    assert any("a/pump-1, b/pump-1" in question for question in found.questions)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("plot the pressure of pump-7 since 06:00", "'06:00'"),
        ("plot the pressure of pump-7 yesterday 8 to 12", "'8 to 12'"),
        ("画出pump-7昨天8点到12点的压力", "yesterday or 08:00/12:00"),
        ("what has changed since this morning", "'since this morning'"),
        ("find pumps in zone nowhere", "no zone 'nowhere'"),
        ("list the alarms in zone nowhere", "no zone 'nowhere'"),
    ],
)
def test_a_time_or_a_zone_that_is_not_read_is_asked_about_and_never_left_out(text: str, asked: str) -> None:
    found = understood(text)
    assert found.graph is None
    assert asked in found.questions[0]


def test_a_signal_that_a_device_does_not_have_is_asked_for() -> None:
    found = understood("plot the temperature of FT-7 for the last hour")
    assert found.graph is None
    assert "FT-7 has no temperature. Its signals are flow: which one?" in found.questions


def test_conditions_and_their_opposites() -> None:
    graph = plan("what would go down without pump-1? if it's more than two devices tell the shift leader, otherwise stop it")
    assert graph.task("t2").when == (Condition(task="t1", output="count", above=2),)
    assert graph.task("t3").when == (Condition(task="t1", output="count", below=3),)
    assert graph.task("t3").arguments == {"device": "pump-1", "verb": "stop"}


def test_a_condition_that_is_about_nothing_is_asked_about() -> None:
    """Never done without it: `else` once cut this one in two, and HX-2 was isolated whatever depended on it."""
    graph = plan("only if nothing else is affected, isolate HX-2")
    assert graph.task("t2").when == (Condition(task="t1", output="count", below=1),)
    assert understood("if so, stop pump-7").graph is None


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        ("把1、2、3号输送机速度设为0.3米每秒", ["conveyor-1", "conveyor-2", "conveyor-3"]),
        ("lower the speed of conveyor 1 and 2 to 0.3 m/s", ["conveyor-1", "conveyor-2"]),
        ("1号、2号输送机速度都设为0.3米每秒", ["conveyor-1", "conveyor-2"]),
    ],
)
def test_a_list_of_numbers_is_set_whole_or_not_at_all(text: str, devices: list[str]) -> None:
    graph = plan(text)
    assert [task.arguments for task in graph.tasks] == [{"device": one, "signal": "speed", "value": 0.3} for one in devices]


def test_a_word_of_its_own_is_no_slip_of_a_device() -> None:
    """`lower` is one letter from `blower`, and `thanks` from `tanks`."""
    assert understood("lower the speed").graph is None
    assert [task.arguments for task in plan("thanks, stop pump-3").tasks] == [{"device": "pump-3", "verb": "stop"}]


def test_what_a_trace_finds_is_pointed_at() -> None:
    graph = plan("trace the newest fault and isolate the origin")
    assert graph.task("t2").arguments == {"device": Reference("t1", "origin")}
    assert graph.order() == [["t1"], ["t2"]]


@pytest.mark.parametrize(
    "text", ["kindly " * 200 + "zz stop pump-7", "停" * 2_000, "如果" * 1_000, "it, it and it " * 100, "五六七" * 600]
)
def test_what_is_said_again_and_again_is_read_once_or_refused(text: str) -> None:
    """The forms of an order are tried once, not in each of the ways in which they might be split: it would never end."""
    found = understood(text)
    assert found.graph is None
    assert found.questions


@pytest.mark.parametrize("text", ["", " ", "hello", "？", "how are you", "今天天气怎么样", "\x00", "a" * 5_000])
def test_what_asks_for_nothing_is_answered_with_examples(text: str) -> None:
    found = understood(text)
    assert found.graph is None
    assert found.questions


def test_the_form_says_what_was_found_and_where() -> None:
    form = understood("plot the pressure of pump seven in the east over the last 2 hours").form
    found = {entity["kind"]: entity["value"] for entity in form["entities"]}
    assert found == {"signal": "pressure", "device": "pump-7", "zone": "east", "period": "PT2H"}
    assert [intent["tool"] for intent in form["intents"]] == ["draw_chart"]
    assert json.dumps(form)


def test_hostile_strings_are_read_as_words() -> None:
    """Whatever they say, a plan is a valid graph of known tools and devices, or a question."""
    for line in (FOLDER / "hostile.txt").read_text(encoding="utf-8").splitlines():
        found = understood(json.loads(line))
        for task in found.graph.tasks if found.graph else ():
            device = task.arguments.get("device")
            assert device is None or isinstance(device, Reference) or device in NAMES.devices
