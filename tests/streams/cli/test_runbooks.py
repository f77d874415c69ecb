"""`runbook` on the command line: what cannot be used is said, and the demo plant's rules do what they should at a leak."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.rulefile import parse
from graph.detection.model import save
from graph.detection.training import train
from schemas.event import Micros
from streams.rulecases import Case, Expected, ExpectFile
from streams.simulator import START, FaultKind, draw, history, write_recording
from tests.streams.plant import STEP, alarm, recording
from tests.streams.test_cli import Run, run, write

__all__ = ["run"]
DEPLOY = Path(__file__).parents[3] / "deploy"
PAGE = DEPLOY.parent / "docs" / "alarms-and-actions.md"
BOOK, POLICY = DEPLOY / "runbook.yaml", DEPLOY / "policy"
HOUR = 3_600_000_000
BROKE = "2026-01-05T02:00:00Z"
TELL = "tell of a failing pipe or junction"
TASKS = """version: 1
rules:
- name: an overload
  when: {condition: 'control:overload'}
  then:
  - {verb: stop, target: device}
  - {verb: call, via: pagers}
  - {verb: close, target: {nearest: valve}}
  tasks:
  - {key: look, tool: signal_history, arguments: {device: {target: device}, signal: level, period: PT1H}}
  - {key: stop, tool: isolate_device, arguments: {device: {target: {nearest: crane}}}}
  - {key: tell, tool: notify, arguments: {text: {alarm: condition}}, when: [{from: look, output: count, above: 9}]}
  - {key: none, tool: notify, when: [{from: look, output: count, above: 99}]}
- name: never
  when: {condition: disconnected}
  then: [{verb: inspect}]
"""


class Leak:
    """A model of the demo plant, and a day on which a junction of it begins to leak."""

    def __init__(self, folder: Path) -> None:
        self.model, self.events = folder / "model", folder / "leak.ndjson.gz"
        save(train([list(history(36, seed=1000 + half)) for half in range(2)], seed=0), self.model)
        fault = draw(FaultKind.LEAK, np.random.default_rng(1), start=Micros(START + 2 * HOUR))
        self.device = fault.device
        write_recording(self.events, hours=3, seed=1, faults=[fault])


@pytest.fixture(scope="module")
def leak(tmp_path_factory: pytest.TempPathFactory) -> Leak:
    return Leak(tmp_path_factory.mktemp("leak"))


@pytest.fixture
def overload(tmp_path: Path) -> Path:
    """An hour, and after half of it an overload that is told twice, and goes."""
    told = [alarm(9_000 + place, START + (30 + place) * STEP, active=place < 2) for place in range(3)]
    events = sorted(recording(60, start=START) + told, key=lambda event: event.stamp.at)
    write(tmp_path / "hour.ndjson", events)
    return tmp_path / "hour.ndjson"


def put(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_runbooks_in_order_and_not(run: Run, tmp_path: Path) -> None:
    good = run("runbook", "check", BOOK)
    assert (good.code, good.out, "in order, 6 rules, 3 tasks" in good.err) == (0, "", True)
    bad = run("runbook", "check", put(tmp_path / "a.yaml", TASKS.replace("notify", "notify_all", 1)), BOOK)
    assert bad.code == 1
    assert "a.yaml:12: rules[0].tasks[2].tool: there is no tool notify_all" in bad.err.replace("\n", "")
    assert run("runbook", "check", tmp_path / "nowhere.yaml").code == 3


def test_what_comes_of_an_alarm(run: Run, tmp_path: Path, overload: Path) -> None:
    book = put(tmp_path / "book.yaml", TASKS)
    done = run("runbook", "test", book, "--events", overload, "--json")
    assert done.code == 0
    (firing,) = (row["firing"] for row in done.rows)
    assert (firing["rule"], firing["condition"], firing["device"]) == ("an overload", "control:overload", "pump-1")
    assert firing["unresolved"] == ["close", "stop: isolate_device"]
    stop, call, look, isolate, tell, none = firing["acts"]
    assert [(act["verb"], act["decision"], act["reason"]) for act in (stop, call)] == [
        ("stop", "refuse", "there is no policy, so nothing is allowed"),
        ("call", "refuse", "there is no policy, so nothing is allowed"),
    ]
    assert (look["state"], look["arguments"]["device"], look["outputs"]["count"] > 20) == ("succeeded", "pump-1", True)
    assert (isolate["state"], isolate["reason"]) == ("failed", "device: 'no crane near' is no device id")
    assert (tell["verb"], tell["decision"]) == ("notify", "refuse")
    assert tell["arguments"] == {"to": "operators", "text": "control:overload"}
    assert (none["state"], none["reason"]) == ("skipped", "not so: look.count above 99")
    shown = run("runbook", "test", book, "--events", overload)
    assert "no device for close" in shown.out


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("expect: [{rule: an overload}]", 0, "ok: an overload"),
        ("expect: [{rule: an overload, device: pump-1, verb: stop, decision: refuse}]", 0, "ok: "),
        ("expect: [{rule: an overload, tool: notify, decision: refuse, within: 1801}]", 0, "ok: "),
        ("expect: [{rule: an overload, decision: allow}]", 1, "it asked for something else: stop pump-1 refuse; call"),
        ("expect: [{rule: an overload, within: 1700}]", 1, "it applied 1800 s after that"),
        ("expect: [{rule: an overload, since: '2026-01-05T00:29:00Z', within: 61}]", 0, "ok: "),
        ("expect: [{rule: an overload, since: '2026-01-05T00:31:30Z'}]", 1, "it applied only before that"),
        ("expect: [{rule: never}]", 1, "never: the rule did not apply"),
        ("never: [never]", 0, "ok: never: never"),
        ("never: [an overload]", 1, "never: an overload: it applied at 2026-01-05T00:30:00Z"),
        ("never: [another]", 2, "never[0]: the runbook has no rule another"),
        ("expect: [{rule: never, verbs: x}]", 2, "unknown field `verbs`"),
        ("expect: [{rule: never, since: '2026-01-05T00:00:00'}]", 2, "since needs a zone"),
    ],
)
def test_expectations(run: Run, tmp_path: Path, overload: Path, *, text: str, code: int, says: str) -> None:
    book, expected = put(tmp_path / "book.yaml", TASKS), put(tmp_path / "expected.yaml", f"version: 1\n{text}\n")
    done = run("runbook", "test", book, "--events", overload, "--expect", expected)
    assert (done.code, says in done.err.replace("\n", "")) == (code, True), done.err


def test_cases_beside_the_runbook(run: Run, tmp_path: Path, overload: Path) -> None:
    book = put(tmp_path / "book.yaml", TASKS)
    cases = ["{name: one, events: [hour.ndjson], expect: [{rule: an overload}]}"]
    cases += ["{name: two, events: [hour.ndjson], never: [an overload]}"]
    put(tmp_path / "tests.yaml", f"version: 1\ncases: [{', '.join(cases)}]\n")
    done = run("runbook", "test", book, "--json")
    assert done.code == 1
    assert [(row["case"], row["expectation"]["met"]) for row in done.rows if "expectation" in row] == [
        ("one", True),
        ("two", False),
    ]
    assert "two: 250 events" in run("runbook", "test", book).out
    assert run("runbook", "test", book, "--model", tmp_path).code == 2
    put(tmp_path / "tests.yaml", "version: 1\ncases: [{name: x, events: [hour.ndjson], never: [nothing]}]\n")
    assert "x: never[0]: the runbook has no rule nothing" in run("runbook", "test", book).err


def test_alarm_rules_count(run: Run, tmp_path: Path, overload: Path) -> None:
    book = put(tmp_path / "book.yaml", TASKS)
    rules = put(tmp_path / "rules.yaml", "version: 1\nrules: [{name: slow, when: {conditions: ['control:*']}, onDelay: 600}]\n")
    assert run("runbook", "test", book, "--events", overload, "--alarm-rules", rules, "--json").rows == []


def test_what_cannot_be_read(run: Run, tmp_path: Path, overload: Path) -> None:
    book = put(tmp_path / "book.yaml", TASKS)
    assert run("runbook", "test", book, "--events", tmp_path / "none.ndjson").code == 3
    bare = run("runbook", "test", book)
    assert (bare.code, "name recordings with --events" in bare.err) == (2, True)
    assert run("runbook", "test", book, "--events", overload, "--model", tmp_path / "none").code == 3
    assert run("runbook", "test", book, "--events", overload, "--policy", tmp_path / "none").code == 2
    assert run("runbook", "test", put(tmp_path / "bad.yaml", "version: 2"), "--events", overload).code == 2


def test_the_expectations_shown_in_the_pages_can_be_read() -> None:
    shown = re.findall(r"```yaml expectations\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    files = [parse(block.encode(), ExpectFile, name="page") for block in shown]
    assert [rule for _, rule in files[0].named()] == ["look into a failing pipe"] * 2 + ["stop a failing pump"]
    fields = {*Expected.__struct_encode_fields__, *Case.__struct_encode_fields__} - {"rule", "within", "name"}
    assert [name for name in sorted(fields) if f"`{name}`" not in PAGE.read_text(encoding="utf-8")] == []


def rehearsed(run: Run, leak: Leak, folder: Path, *expected: str) -> list[Any]:
    file = put(folder / "expected.yaml", "\n".join(["version: 1", *expected, ""]))
    done = run(
        "runbook", "test", BOOK, "--events", leak.events, "--model", leak.model, "--policy", POLICY, "--expect", file, "--json"
    )
    assert done.code == 0, done.out
    return done.rows


def test_the_demo_plants_runbook_at_a_leak(run: Run, leak: Leak, tmp_path: Path) -> None:
    rows = rehearsed(
        run,
        leak,
        tmp_path,
        "expect:",
        f"- {{rule: {TELL}, since: '{BROKE}', within: 1800, tool: trace_fault, device: {leak.device}}}",
        f"- {{rule: {TELL}, since: '{BROKE}', within: 1800, verb: notify, decision: allow}}",
        f"- {{rule: inspect what else fails, since: '{BROKE}', device: {leak.device}, decision: allow}}",
        "never: [stop a failing pump, look after a lost gateway]",
    )
    assert [row["expectation"]["met"] for row in rows if "expectation" in row] == [True] * 5
    (told,) = (row["firing"] for row in rows if "firing" in row and row["firing"]["rule"] == TELL)
    trace, report, tell = told["acts"]
    assert (trace["state"], report["state"], tell["via"]) == ("succeeded", "succeeded", "notify")
    assert tell["arguments"]["text"].startswith("trace: count ")
