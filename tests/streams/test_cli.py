"""The commands of CONTRACT 4 to the letter, and what all commands have in common."""

from __future__ import annotations

import gzip
import json
import logging
import random
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import pytest

from schemas.event import Event
from schemas.findings import FINDINGS
from streams.cli.app import main
from streams.cli.terminal import Quieter
from tests.commands import tree
from tests.streams.plant import line, recording

SCHEMA_OF = {"scores": "score", "alerts": "alert", "faults": "fault", "invalid": "invalid"}
BROKEN = recording(120, seed=9, broken_from=90)


class Ended(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[Any]:
        return [json.loads(found) for found in self.out.splitlines()]


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def ran(*arguments: object) -> Ended:
        monkeypatch.setattr("sys.argv", ["openautoglm", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return ran


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Histories, and a day that breaks, whole and in parts."""
    made = tmp_path_factory.mktemp("recordings")
    for seed in range(3):
        write(made / f"history-{seed}.ndjson", recording(400, seed=seed))
    write(made / "day.ndjson", BROKEN)
    write(made / "half-1.ndjson", BROKEN[::2])
    write(made / "half-2.ndjson.gz", BROKEN[1::2])
    write(made / "shuffled.ndjson", random.Random(1).sample(BROKEN + BROKEN[::3], len(BROKEN) + len(BROKEN[::3])))
    lines = (made / "day.ndjson").read_bytes().splitlines()
    lines[10:10] = [b"{}", b"\xff", b"[" * 1000, b""]
    (made / "dirty.ndjson").write_bytes(b"\n".join(lines))
    return made


def write(path: Path, events: list[Event]) -> None:
    body = b"".join(line(event) + b"\n" for event in events)
    path.write_bytes(gzip.compress(body) if path.suffix == ".gz" else body)


@pytest.fixture
def model(folder: Path, run: Run) -> Path:
    path = folder / "model"
    if not path.exists():
        histories = [folder / f"history-{seed}.ndjson" for seed in range(3)]
        ended = run("train", "--events", *histories, "--model", path, "--seed", 1, "--budget", 60)
        assert (ended.code, ended.out) == (0, "")
        assert "trained" in ended.err
    return path


def replayed(run: Run, out: Path, *events: Path, model: Path | None = None) -> dict[str, Any]:
    ended = run("replay", "--events", *events, "--out", out, *(("--model", model) if model else ()))
    assert (ended.code, ended.out) == (0, "")
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    assert summary["received"] == summary["accepted"] + summary["duplicate"] + summary["invalid"]
    for name, schema in SCHEMA_OF.items():
        validator = jsonschema_rs.Draft202012Validator(FINDINGS[schema])
        for found in (out / f"{name}.ndjson").read_bytes().splitlines():
            validator.validate(json.loads(found))
    return summary


def test_replay_writes_what_the_contract_names(run: Run, folder: Path, model: Path, tmp_path: Path) -> None:
    summary = replayed(run, tmp_path, folder / "day.ndjson", model=model)
    assert {found.name for found in tmp_path.iterdir()} == {"summary.json", *(f"{name}.ndjson" for name in SCHEMA_OF)}
    assert summary["accepted"] == len(BROKEN)
    assert summary["modelDigest"]
    assert summary["faults"] >= 1
    assert {"eventsPerSecond", "latencyP50", "latencyP99", "model", "graphDigest"} <= summary.keys()
    scores = [json.loads(found) for found in (tmp_path / "scores.ndjson").read_text().splitlines()]
    assert {score["scope"] for score in scores} == {"device", "plant"}
    assert all(score["anomalous"] == (score["score"] > score["threshold"]) for score in scores)


def test_without_a_model_replay_learns_as_it_goes(run: Run, folder: Path, tmp_path: Path) -> None:
    assert replayed(run, tmp_path, folder / "day.ndjson")["accepted"] == len(BROKEN)


def test_order_repeats_and_files_do_not_change_the_graph(run: Run, folder: Path, tmp_path: Path) -> None:
    whole = replayed(run, tmp_path / "whole", folder / "day.ndjson")
    halves = replayed(run, tmp_path / "halves", folder / "half-1.ndjson", folder / "half-2.ndjson.gz")
    shuffled = replayed(run, tmp_path / "shuffled", folder / "shuffled.ndjson")
    assert whole["graphDigest"] == halves["graphDigest"] == shuffled["graphDigest"]
    assert shuffled["duplicate"] == len(BROKEN[::3])
    whole_scores, halves_scores = ((tmp_path / name / "scores.ndjson").read_bytes() for name in ("whole", "halves"))
    assert whole_scores == halves_scores


def test_invalid_lines_stop_nothing_and_are_kept(run: Run, folder: Path, model: Path, tmp_path: Path) -> None:
    summary = replayed(run, tmp_path / "dirty", folder / "dirty.ndjson", model=model)
    clean = replayed(run, tmp_path / "clean", folder / "day.ndjson", model=model)
    assert (summary["accepted"], summary["invalid"]) == (len(BROKEN), 3)
    assert summary["graphDigest"] == clean["graphDigest"]
    invalid = [json.loads(found) for found in (tmp_path / "dirty" / "invalid.ndjson").read_text().splitlines()]
    assert [found["offset"] for found in invalid] == [10, 11, 12]


def test_validate_names_each_invalid_line(run: Run, folder: Path) -> None:
    dirty, clean = folder / "dirty.ndjson", folder / "half-2.ndjson.gz"
    ended = run("validate", dirty, clean)
    assert ended.code == 0
    assert [found.partition(": ")[0] for found in ended.out.splitlines()] == [f"{dirty}:{at}" for at in (11, 12, 13)]
    assert "3 invalid" in ended.err
    assert run("validate", dirty, "--strict").code == 1
    assert run("validate", clean, "--strict") == run("validate", clean)
    assert [found["offset"] for found in run("validate", dirty, "--json").rows] == [10, 11, 12]


@pytest.mark.parametrize(
    "command",
    [
        ("validate", "{missing}"),
        ("replay", "--events", "{day}", "{missing}", "--out", "{out}"),
        ("train", "--events", "{day}", "{missing}", "--model", "{out}"),
        ("topology", "show", "--events", "{missing}"),
        ("alarm", "list", "--out", "{missing}"),
        ("fault", "list", "--out", "{missing}"),
        ("schema", "check", "{missing}", "{missing}"),
        ("deadletter", "list", "--data", "{missing}"),
        ("topology", "show", "--data", "{missing}"),
        ("alarm", "ack", "some", "--data", "{missing}"),
        ("fault", "show", "some", "--data", "{missing}"),
        ("events", "tail", "--data", "{missing}"),
        ("key", "list", "--data", "{missing}"),
        ("replay", "--events", "{day}", "--out", "{out}", "--model", "{missing}"),
    ],
)
def test_what_cannot_be_read_is_named(command: tuple[str, ...], run: Run, folder: Path, tmp_path: Path) -> None:
    places = {"missing": tmp_path / "missing", "day": folder / "day.ndjson", "out": tmp_path / "out"}
    ended = run(*(argument.format(**places) for argument in command))
    assert (ended.code, ended.out) == (3, "")
    assert str(places["missing"]) in ended.err


@pytest.mark.parametrize(
    "command",
    [
        ("replay",),
        ("replay", "--events", "{day}"),
        ("train", "--events", "{day}"),
        ("validate",),
        ("nonsense",),
        ("replay", "--events", "{day}", "--out", "{day}"),
        ("topology", "show", "--events", "{day}", "--at", "yesterday"),
        ("topology", "show", "--events", "{day}", "--at", "2026-01-05T00:00:00"),
        ("topology", "show", "--events", "{day}", "--device", "nobody"),
        ("topology", "diff", "--at", "2026-01-05T00:00:00Z", "--until", "2026-01-04T00:00:00Z"),
        ("alarm", "shelve", "some", "--reason", "why"),
        ("alarm", "shelve", "some", "--once", "--for", "8h"),
        ("alarm", "shelve", "some", "--for", "8 hours"),
        ("alarm", "shelve", "some", "--for", "0m"),
        ("alarm", "shelve", "some", "--until", "tomorrow"),
        ("alarm", "list", "--severity", "severe"),
        ("alarm", "list", "--url", "ftp://there"),
        ("key", "add", "plant", "--role", "viewer"),
        ("key", "add", "a", "--role", "king"),
        ("key", "add", "a", "--role", "viewer", "--expires", "soon"),
        ("key", "add", "a", "--role", "viewer", "--expires", "999999w"),
        ("schema", "show", "nonsense"),
    ],
)
def test_wrong_usage_ends_with_2(command: tuple[str, ...], run: Run, folder: Path) -> None:
    ended = run(*(argument.format(day=folder / "day.ndjson") for argument in command))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err


def test_a_wrong_setting_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAUTOGLM_MQTT_PORT", "99999")
    for command in ("doctor", "serve"):
        ended = run(command)
        assert (ended.code, ended.out) == (2, "")
        assert "mqtt_port" in ended.err


def test_doctor_reports_each_check(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAUTOGLM_MQTT_PORT", "0")
    ended = run("doctor", "--json")
    assert all({"name", "ok", "detail"} == check.keys() for check in ended.rows)
    assert ended.code == 0
    monkeypatch.setenv("OPENAUTOGLM_MODEL", str(tmp_path / "none"))
    assert run("doctor").code == 1


def test_schema_check_says_what_breaks(run: Run, tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    text: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    old.write_text(json.dumps(text))
    new.write_text(json.dumps(text | {"required": ["a"]}))
    assert run("schema", "check", old, old).code == 0
    broken = run("schema", "check", old, new, "--json")
    assert broken.code == 1
    assert broken.rows
    new.write_text("no json")
    assert run("schema", "check", old, new).code == 3


def test_schemas_can_be_read(run: Run) -> None:
    types = [found["type"] for found in run("schema", "list", "--json").rows]
    for kind in types:
        assert json.loads(run("schema", "show", kind).out)["$id"]
    assert run("schema", "asyncapi").out.startswith("asyncapi: 3")


def test_the_graph_in_json(run: Run, folder: Path) -> None:
    rows = run("topology", "show", "--events", folder / "half-1.ndjson", folder / "half-2.ndjson.gz", "--json").rows
    whole = run("topology", "show", "--events", folder / "day.ndjson", "--json").rows
    assert rows == whole
    assert sum("device" in found for found in rows) == 4
    assert sum("edge" in found for found in rows) == 3
    near = run("topology", "show", "--events", folder / "day.ndjson", "--device", "pump-1", "--json").rows
    assert sum("device" in found for found in near) == 2


def test_the_graph_of_a_time(run: Run, folder: Path) -> None:
    before = run("topology", "show", "--events", folder / "day.ndjson", "--at", "2020-01-01T00:00:00Z", "--json")
    assert (before.code, before.rows) == (0, [])


def test_what_a_replay_found(run: Run, folder: Path, model: Path, tmp_path: Path) -> None:
    replayed(run, tmp_path, folder / "day.ndjson", model=model)
    (fault, *_) = run("fault", "list", "--out", tmp_path, "--json").rows
    assert fault["origins"]
    assert run("fault", "show", fault["faultId"], "--out", tmp_path, "--json").rows == [fault]
    assert "origin with" in run("fault", "trace", fault["faultId"], "--out", tmp_path).out
    alarms = run("alarm", "list", "--all", "--out", tmp_path, "--json").rows
    assert {row["alarm"]["alert"]["faultId"] for row in alarms} >= {fault["faultId"]}
    (figures,) = run("alarm", "kpis", "--out", tmp_path, "--json").rows
    assert figures["raised"] >= len(alarms)


def test_no_color_means_no_color(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    ended = run("topology", "show", "--events", folder / "day.ndjson")
    assert not re.search(r"\x1b\[[0-9;]*m", ended.out + ended.err)
    assert "pump-1" in ended.out


COMMANDS = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^openautoglm (.+)$", COMMANDS, re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_name_commands_and_options_that_there_are(example: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    words = shlex.split(example.partition(" > ")[0])
    command = words[: 2 if hasattr(tree().commands[words[0]], "commands") else 1]
    ended = run(*command, "--help")
    assert ended.code == 0
    assert {word for word in words if word.startswith("-")} <= set(re.findall(r"--?[a-z-]+", ended.out))


def names(command: Any, path: str = "") -> list[str]:
    """All commands below one, as they are typed."""
    below = getattr(command, "commands", None)
    return [path.strip()] if below is None else [name for key, one in below.items() for name in names(one, f"{path} {key}")]


def test_every_command_has_an_example() -> None:
    everything = names(tree())
    assert "deadletter replay" in everything
    assert [name for name in everything if not any(f"{example} ".startswith(f"{name} ") for example in EXAMPLES)] == []


def test_drivers_do_not_repeat_themselves() -> None:
    quieter = Quieter(verbose=False)

    def passes(name: str, level: int, text: str) -> bool:
        return quieter.filter(logging.LogRecord(name, level, "", 0, text, None, None))

    assert passes("aiokafka.client", logging.ERROR, "Unable connect to node")
    assert not passes("aiokafka.client", logging.ERROR, "Unable connect to node")
    assert passes("aiokafka.client", logging.ERROR, "another thing")
    assert not passes("faust.app", logging.WARNING, "Missing sensor state")
    assert passes("faust.app", logging.ERROR, "crashed")
    assert all(passes("streams.worker", logging.INFO, "again") for _ in range(2))
