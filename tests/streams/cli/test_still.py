"""Commands on a data folder at rest and on the output of a replay."""

from __future__ import annotations

import getpass
import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from schemas.device import DeviceId, Signal, SignalKind, SignalName
from schemas.event import Connected, Event
from schemas.finding import Affected, AlertState
from streams.cli.faults import tree_of
from streams.folder import Folder
from tests.e2e.service import SITE
from tests.streams.cli.findings import (
    ALERTS,
    EARLY,
    HOSTILE,
    HOSTILE_SHOWN,
    LATE,
    PARENT,
    PIPE,
    PUMP,
    TANK,
    alarm_id,
    alert,
    fault,
    left,
    replay,
    step,
    time,
)
from tests.streams.plant import START, line, stamp
from tests.streams.test_cli import Run, run

__all__ = ["run"]


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAUTOGLM_SITE", SITE)


@pytest.fixture(params=["folder", "replay"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, ...]:
    """Options that lead to the same findings, at rest or in a replay's output."""
    if request.param == "folder":
        return "--data", str(left(tmp_path / "rest", ALERTS, [EARLY, LATE]))
    return "--out", str(replay(tmp_path / "found", ALERTS, [EARLY, LATE])), "--site", SITE


def conditions(run: Run, *arguments: str) -> list[str]:
    return [row["alarm"]["condition"] for row in run("alarm", "list", *arguments, "--json").rows]


def test_what_asks_for_an_operator_comes_first_and_alone(run: Run, source: tuple[str, ...]) -> None:
    assert conditions(run, *source) == ["fault", "control:level"]
    assert conditions(run, *source, "--all") == ["fault", "control:level", "anomaly"]
    assert conditions(run, *source, "--severity", "high") == ["fault"]
    assert conditions(run, *source, "--device", TANK) == ["control:level"]
    assert conditions(run, *source, "--device", PIPE) == []
    assert conditions(run, *source, "--state", "returned-unacknowledged") == ["control:level"]
    assert conditions(run, *source, "--state", "shelved") == []
    shown = run("alarm", "list", *source)
    assert (shown.code, "2 alarms" in shown.out, "control:level" in shown.out) == (0, True, True)


def test_an_alarm_and_its_life(run: Run, source: tuple[str, ...]) -> None:
    level = alarm_id(ALERTS[2])
    (found, *steps) = run("alarm", "show", level, *source, "--json").rows
    assert (found["alarm"]["alarmId"], found["alarm"]["state"]) == (level, "returned-unacknowledged")
    assert "acknowledge" in found["verbs"]
    assert [row["transition"]["verb"] for row in steps] == ["raise", "clear"]
    shown = run("alarm", "show", ALERTS[2].alert_id, *source)
    assert (shown.code, "2 transitions" in shown.out, "plant" in shown.out) == (0, True, True)
    ended = run("alarm", "show", "alarm-none", *source)
    assert (ended.code, ended.out, ended.err) == (2, "", "error: Not found: no alarm alarm-none\n")


def test_key_figures(run: Run, source: tuple[str, ...]) -> None:
    (found,) = run("alarm", "kpis", "--from", time(0), "--until", time(10), *source, "--json").rows
    assert (found["raised"], found["annunciated"], found["consequential"], found["standing"]) == (3, 2, 1, 1)
    assert "under a parent" in run("alarm", "kpis", "--from", time(0), "--until", time(10), *source).out
    assert run("alarm", "kpis", "--from", time(10), "--until", time(0), *source).code == 2


def test_key_figures_of_a_replay_end_with_it(run: Run, tmp_path: Path) -> None:
    (found,) = run("alarm", "kpis", "--out", replay(tmp_path / "found", ALERTS, [LATE]), "--json").rows
    assert (found["start"][:16], found["end"][:16], found["raised"]) == ("2026-01-04T08:05", "2026-01-05T08:05", 3)


def test_faults_now_and_as_they_were_known(run: Run, source: tuple[str, ...]) -> None:
    (found,) = run("fault", "list", *source, "--json").rows
    assert [part["deviceId"] for part in found["affected"]] == [PUMP, PIPE, TANK, "fan-1"]
    assert run("fault", "list", *source, "--device", "nobody", "--json").rows == []
    assert len(run("fault", "list", *source, "--device", TANK, "--open", "--json").rows) == 1
    assert "pump-1 72%" in run("fault", "list", *source).out
    assert run("fault", "show", "fault-1", *source, "--json").rows == [found]
    (before,) = run("fault", "trace", "fault-1", "--at", time(3), *source, "--json").rows
    assert [part["deviceId"] for part in before["affected"]] == [PUMP]
    shown = run("fault", "show", "fault-1", *source)
    assert all(word in shown.out for word in ("origins", "72.0%", "FEEDS", "+120.5 s", "basin-1"))
    ended = run("fault", "show", "fault-1", "--at", "2026-01-04T00:00:00Z", *source)
    assert (ended.code, ended.err) == (2, "error: Not found: no fault fault-1 at that time\n")
    assert run("fault", "trace", "fault-2", *source).err == "error: Not found: no fault fault-2\n"


# --- The tree -----------------------------------------------------------------------------------------------------------------


def drawn(found: object, width: int = 80) -> list[str]:
    file = StringIO()
    Console(file=file, width=width, no_color=True).print(found)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_the_way_of_a_fault_as_a_tree() -> None:
    assert drawn(tree_of(LATE)) == [
        "fault-1, since 2026-01-05T08:00:00Z, still open",
        "├── pump-1, origin with 72%, since 2026-01-05T08:00:00Z",
        "│   → pipe-1 (FEEDS, +60 s, 90%), since 2026-01-05T08:01:00Z",
        "│   ├── → valve-1 (FEEDS, 90%)",
        "│   └── → tank-1 (FEEDS, +120.5 s, 55%), since 2026-01-05T08:03:00Z",
        "├── meter-1, origin with 20%",
        "├── also affected",
        "│   └── fan-1 since 2026-01-05T08:04:00Z",
        "└── next",
        "    └── basin-1 at 2026-01-05T08:40:00Z, 40%",
    ]


def test_a_long_way_stays_narrow_and_a_loop_ends() -> None:
    names = [DeviceId(f"pipe-{number}") for number in range(1500)]
    row = [step(one, other) for one, other in zip([PUMP, *names], [*names, PUMP], strict=True)]
    lines = drawn(tree_of(fault(path=row)))
    assert max(map(len, lines)) <= 80
    assert sum("→" in line for line in lines) == 1501
    assert sum("see above" in line for line in lines) == 1


def test_where_ways_meet_a_device_is_drawn_once() -> None:
    lines = drawn(tree_of(fault(path=[step(PUMP, PIPE), step(PUMP, TANK), step(PIPE, TANK)])))
    assert sum("tank-1" in line and "see above" not in line for line in lines) == 1


def test_a_way_that_no_origin_leads_to_is_said_to_be_so() -> None:
    other = fault(
        path=[step(DeviceId("fan-1"), DeviceId("fan-2"))], affected=[Affected(DeviceId("fan-2"), time(1))], closed=True
    )
    text = "\n".join(drawn(tree_of(other)))
    assert "fan-1, which no origin leads to" in text
    assert "also affected" not in text
    assert "until 2026-01-05T08:00:00Z" in text


# --- Doing --------------------------------------------------------------------------------------------------------------------


def test_verbs_at_rest_are_kept_with_who_and_why(run: Run, tmp_path: Path) -> None:
    rest = ("--data", left(tmp_path / "rest", ALERTS))
    level, parent, under = (alarm_id(ALERTS[place]) for place in (2, 0, 1))

    def states(*command: object) -> list[str]:
        ended = run("alarm", *command, *rest, "--json")
        assert ended.code == 0, ended.err
        return [row["alarm"]["state"] for row in ended.rows]

    assert states("ack", parent, level, "--reason", "seen") == ["acknowledged", "normal"]
    steps = [row["transition"] for row in run("alarm", "show", level, *rest, "--json").rows[1:]]
    assert (steps[-1]["actor"], steps[-1]["reason"]) == (getpass.getuser(), "seen")
    assert run("alarm", "show", under, *rest, "--json").rows[0]["alarm"]["state"] == "acknowledged"
    assert states("shelve", parent, "--for", "30m", "--reason", "why") == ["shelved"]
    assert states("unshelve", parent) == ["acknowledged"]
    assert states("shelve", parent, "--once", "--reason", "why") == ["shelved"]
    assert states("suppress", parent, "--reason", "drained") == ["suppressed-by-design"]
    assert states("out-of-service", parent, "--reason", "order 4711") == ["out-of-service"]
    assert states("in-service", parent) == ["suppressed-by-design"]
    assert states("unsuppress", parent) == ["shelved"]
    assert "drained" in run("alarm", "show", parent, *rest).out


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("ack", "{missing}"), "Not found: no alarm alarm-none"),
        (("reset", "{parent}"), "Not possible now: nothing to reset: it is not latched"),
        (("shelve", "{parent}", "--once"), "Not possible now: shelve needs a reason"),
        (("shelve", "{parent}", "--for", "52w", "--reason", "why"), "Not possible now: nothing may be shelved for longer"),
        (
            ("shelve", "{parent}", "--until", "2020-01-01T00:00:00Z", "--reason", "why"),
            "the end of a shelf must be in the future",
        ),
        (("suppress", "{parent}"), "Not possible now: suppress needs a reason"),
        (("in-service", "{parent}"), "Not possible now: it is not out of service"),
    ],
)
def test_what_is_refused_says_why(command: tuple[str, ...], why: str, run: Run, tmp_path: Path) -> None:
    left(tmp_path / "rest", ALERTS)
    names = {"missing": "alarm-none", "parent": alarm_id(PARENT)}
    ended = run("alarm", *(part.format(**names) for part in command), "--data", "rest")
    assert (ended.code, ended.out) == (2, "")
    assert why in ended.err


def test_of_several_one_that_is_refused_does_not_keep_the_others(run: Run, tmp_path: Path) -> None:
    left(tmp_path / "rest", ALERTS)
    ended = run("alarm", "ack", "alarm-none", alarm_id(PARENT), "--data", "rest", "--json")
    assert (ended.code, [row["alarm"]["condition"] for row in ended.rows]) == (2, ["fault"])
    assert "alarm-none" in ended.err


def test_who_works_in_the_folder_is_not_disturbed(run: Run, tmp_path: Path) -> None:
    left(tmp_path / "rest", ALERTS)
    with Folder(tmp_path / "rest").locked():
        ended = run("alarm", "ack", alarm_id(PARENT), "--data", "rest")
        assert (ended.code, "another service works" in ended.err) == (2, True)
        assert conditions(run, "--data", "rest") == ["fault", "control:level"]


def test_actions_wait_for_a_service(run: Run, tmp_path: Path) -> None:
    left(tmp_path / "rest", ALERTS)
    assert run("action", "list", "--data", "rest", "--json").rows == []
    assert "0 actions" in run("action", "list", "--data", "rest").out
    for command in (("approve", "action-1"), ("reject", "action-1", "--reason", "no")):
        ended = run("action", *command, "--data", "rest")
        assert (ended.code, "this process does not act" in ended.err) == (2, True)


# --- What people and plants write ---------------------------------------------------------------------------------------------


def hostile_commands(data: Path, out: Path) -> Sequence[tuple[object, ...]]:
    bad = alert(HOSTILE, f"control:{HOSTILE}")
    name = alarm_id(bad)
    way = fault(
        path=[step(PUMP, DeviceId(HOSTILE))],
        affected=[Affected(DeviceId(HOSTILE), time(1)), Affected(DeviceId(HOSTILE + "2"), time(1))],
    )
    left(data, [bad], [way])
    replay(out, [bad], [way])
    return (
        ("alarm", "shelve", name, "--for", "1h", "--reason", HOSTILE, "--data", data),
        ("alarm", "list", "--all", "--data", data),
        ("alarm", "show", name, "--data", data),
        ("alarm", "list", "--out", out),
        ("alarm", "kpis", "--out", out),
        ("fault", "show", "fault-1", "--data", data),
        ("fault", "trace", "fault-1", "--out", out),
    )


def test_markup_and_control_characters_are_text(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    for command in hostile_commands(tmp_path / "rest", tmp_path / "found"):
        ended = run(*command)
        assert ended.code == 0, (command, ended.err)
        text = re.sub(r"[\s│]+", "", ended.out)
        assert HOSTILE_SHOWN.replace(" ", "") in text or HOSTILE_SHOWN[:9] in ended.out, command
        assert "\x1b[2J" not in ended.out
        assert "\u202e" not in ended.out
    refused = run("alarm", "show", HOSTILE, "--data", "rest")
    assert (refused.code, refused.err.count("\x1b[2J")) == (2, 0)
    assert HOSTILE_SHOWN in refused.err
    assert run("topology", "show", "--data", f"[red]{tmp_path}[/]").err.count("[red]") == 1


def test_markup_in_the_plant_is_text(run: Run, tmp_path: Path) -> None:
    born = Connected(PUMP, "[bold]pump[/]", zone="[red]north[/red]", signals=(Signal(SignalName("[/x]"), SignalKind.NUMERIC),))
    (tmp_path / "day.ndjson").write_bytes(line(Event(stamp(1, START), born)))
    ended = run("topology", "show", "--events", "day.ndjson")
    assert (ended.code, ended.err) == (0, "")
    assert all(text in ended.out for text in ("[bold]pump[/]", "[red]north[/red]", "[/x]"))


def test_json_holds_no_control_characters(run: Run, tmp_path: Path) -> None:
    left(tmp_path / "rest", [alert(PUMP, "control:\x1b\x9b31m\x7f")])
    ended = run("alarm", "list", "--data", "rest", "--json")
    assert ended.out.replace("\n", "").isprintable()
    assert ended.rows[0]["alarm"]["condition"] == "control:\x1b\x9b31m\x7f"


# --- Keys ---------------------------------------------------------------------------------------------------------------------


def test_keys(run: Run) -> None:
    added = run("key", "add", "night-shift", "--role", "operator", "--expires", "90d", "--data", "rest")
    assert added.code == 0
    assert re.fullmatch(r"oag_[0-9a-f]{12}_[A-Za-z0-9_-]{43}\n", added.out)
    number = added.out.split("_")[1]
    (row,) = run("key", "list", "--data", "rest", "--json").rows
    assert (row["id"], row["name"], row["role"], "expires" in row) == (number, "night-shift", "operator", True)
    shown = run("key", "list", "--data", "rest")
    assert ("night-shift" in shown.out, added.out.strip() in shown.out) == (True, False)
    assert run("key", "revoke", number, "--data", "rest").code == 0
    assert "revoked" in run("key", "list", "--data", "rest", "--json").rows[0]
    assert run("key", "revoke", number, "--data", "rest").code == 2
    (other,) = run("key", "add", "a", "--role", "viewer", "--data", "rest", "--json").rows
    assert other["key"].split("_")[1] == other["id"]


def test_cleared_alarms_of_a_replay_need_nobody_once_seen(run: Run, tmp_path: Path) -> None:
    gone = [alert(TANK, state=state, minute=minute) for minute, state in enumerate((AlertState.RAISED, AlertState.CLEARED))]
    assert conditions(run, "--out", str(replay(tmp_path / "found", gone, []))) == ["control:dry"]
