"""Commands at a running service: the same answers as from its folder at rest, and who may do what."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from streams.findings import Kind
from streams.folder import Folder
from streams.mqtt import Connection
from streams.roles import Role
from streams.service import Parts
from tests.e2e.service import SITE
from tests.streams.api.serving import PIPE, PUMP, TANK, Served, event, served
from tests.streams.cli.findings import ALERTS, EARLY, LATE, PARENT, alarm_id, alert, leave, time
from tests.streams.test_cli import Ended, Run, run
from tests.waiting import until

__all__ = ["run"]

POLICY = """
@id("with a word") @approval("person")
permit (principal, action == Action::"stop", resource);
"""
RUNBOOK = """
version: 1
rules:
  - name: stop a dry pump
    when: {condition: "control:*"}
    then:
      - {verb: stop, target: device, expires: 3600}
"""
Ask = Callable[..., Awaitable[Ended]]
WINDOW = ("--from", "2026-01-05T00:00:00Z", "--until", "2026-01-06T00:00:00Z")
READING: tuple[tuple[str, ...], ...] = (
    ("alarm", "list"),
    ("alarm", "list", "--all"),
    ("alarm", "list", "--device", TANK, "--severity", "low", "--state", "returned-unacknowledged"),
    ("alarm", "show", alarm_id(PARENT)),
    ("alarm", "show", PARENT.alert_id),
    ("alarm", "kpis", *WINDOW),
    ("fault", "list", "--open"),
    ("fault", "show", "fault-1"),
    ("fault", "show", "fault-1", "--at", time(3)),
    ("fault", "trace", "fault-1"),
    ("topology", "show"),
    ("topology", "show", "--device", PIPE),
    ("topology", "show", "--at", "2026-01-06T12:00:00Z"),
    ("topology", "neighbours", PIPE, "--hops", "2", "--relation", "FEEDS"),
    ("topology", "impact", PUMP),
    ("topology", "path", PUMP, TANK),
    ("topology", "path", TANK, PUMP, "--any-edge"),
    ("topology", "diff", "--at", "2026-01-01T00:00:00Z"),
    ("action", "list"),
    ("action", "list", "--stage", "waiting"),
)
REFUSED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("alarm", "show", "alarm-none"), "Not found: no alarm alarm-none"),
    (("alarm", "show", ".."), ""),
    (("alarm", "ack", alarm_id(PARENT), "alarm-none"), "alarm-none: Not found"),
    (("alarm", "reset", alarm_id(PARENT)), "Not possible now: nothing to reset"),
    (("alarm", "shelve", alarm_id(PARENT), "--once"), "Not possible now: shelve needs a reason"),
    (("fault", "show", "fault-none"), "Not found: no fault fault-none"),
    (("topology", "impact", "nobody"), "Not found: no device nobody"),
    (("topology", "path", TANK, PUMP), "Not found: no way leads from tank-1 to pump-1"),
    (("topology", "show", "--device", "no name"), "Not valid"),
    (("action", "approve", "action-none"), ""),
)


class Desk(NamedTuple):
    """A service, and a command line whose settings lead to it with the key of an operator."""

    api: Served
    data: Path
    ask: Ask
    show: Callable[[Role], None]
    """From now on, the key of this role."""

    @property
    def parts(self) -> Parts:
        return self.api.parts

    @property
    def mqtt(self) -> Connection:
        return self.api.mqtt


@pytest.fixture
def ask(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ask:
    """In a thread, as the service is in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAUTOGLM_SITE", SITE)

    async def asked(*arguments: object) -> Ended:
        return await asyncio.to_thread(run, *arguments)

    return asked


@pytest.fixture
async def desk(ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Desk]:
    data = tmp_path / "service"
    data.mkdir()
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "plant.yaml").write_text("version: 1\n")
    (policy / "word.cedar").write_text(POLICY)
    (tmp_path / "runbook.yaml").write_text(RUNBOOK)
    await leave(data, ALERTS, [EARLY, LATE])
    async with served(data, policy=policy, runbook=tmp_path / "runbook.yaml") as api:

        def show(role: Role) -> None:
            monkeypatch.setenv("OPENAUTOGLM_API_KEY", api.clients[role].headers["authorization"].removeprefix("Bearer "))

        show(Role.OPERATOR)
        monkeypatch.setenv("OPENAUTOGLM_API_URL", str(api.parts.url))
        yield Desk(api, data, ask, show)


async def answers(ask: Ask, *where: object) -> dict[tuple[str, ...], tuple[list[Any], list[str]]]:
    """Of every reading command, in JSON and the lines for people."""
    found = {}
    for command in READING:
        ended, shown = await ask(*command, *where, "--json"), await ask(*command, *where)
        assert (ended.code, ended.err, shown.code, shown.err) == (0, "", 0, ""), command
        assert shown.out
        found[command] = (ended.rows, shown.out.splitlines())
    return found


async def test_a_service_and_its_folder_at_rest_answer_alike(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "service"
    data.mkdir()
    await leave(data, ALERTS, [EARLY, LATE])
    async with served(data) as api:
        monkeypatch.setenv("OPENAUTOGLM_API_KEY", api.clients[Role.VIEWER].headers["authorization"].removeprefix("Bearer "))
        await api.alarm()
        await until(lambda: api.parts.projection.waiting == 0)
        by_url = await answers(ask, "--url", str(api.parts.url))
        by_address = await answers(ask, "--data", data)
    at_rest = await answers(ask, "--data", data)
    assert by_url == by_address == at_rest
    assert [row["alarm"]["condition"] for row in at_rest[READING[0]][0]] == ["control:dry", "fault", "control:level"]
    assert len(at_rest["topology", "show"][0]) == 5


async def test_what_a_service_refuses_ends_with_2_and_its_words(desk: Desk) -> None:
    for command, why in REFUSED:
        ended = await desk.ask(*command, "--json")
        assert (ended.code, ended.err.startswith("error: "), why in ended.err) == (2, True, True), (command, ended)
    wrong: tuple[tuple[str, ...], ...] = (("alarm", "shelve", "a", "--for", "8 hours"), ("topology", "show", "--at", "noon"))
    assert [(await desk.ask(*command)).code for command in wrong] == [2, 2]


async def test_verbs_are_kept_with_the_name_of_the_key(desk: Desk) -> None:
    level = alarm_id(ALERTS[2])
    ended = await desk.ask("alarm", "ack", alarm_id(PARENT), level, "--reason", "seen", "--json")
    assert [row["alarm"]["state"] for row in ended.rows] == ["acknowledged", "normal"]
    (_, *steps) = (await desk.ask("alarm", "show", level, "--json")).rows
    assert (steps[-1]["transition"]["actor"], steps[-1]["transition"]["reason"]) == ("operator", "seen")
    shelved = await desk.ask("alarm", "shelve", alarm_id(PARENT), "--for", "30m", "--reason", "why")
    assert (shelved.code, "shelved" in shelved.out) == (0, True)
    assert (await desk.ask("alarm", "unshelve", alarm_id(PARENT))).code == 0
    refused = await desk.ask("alarm", "suppress", alarm_id(PARENT), "--reason", "drained")
    assert (refused.code, refused.err) == (2, "error: Not allowed: this needs the role engineer; operator is operator\n")
    desk.show(Role.ENGINEER)
    for verb in ("suppress", "out-of-service"):
        assert (await desk.ask("alarm", verb, alarm_id(PARENT), "--reason", "drained")).code == 0
    for verb in ("in-service", "unsuppress"):
        assert (await desk.ask("alarm", verb, alarm_id(PARENT))).code == 0


async def test_a_viewer_sees_and_does_nothing(desk: Desk) -> None:
    desk.show(Role.VIEWER)
    assert (await desk.ask("alarm", "list")).code == 0
    for command in (("alarm", "ack", alarm_id(PARENT)), ("action", "approve", "action-1")):
        ended = await desk.ask(*command)
        assert (ended.code, ended.out, "Not allowed: this needs the role operator" in ended.err) == (2, "", True)


async def test_keys_count_at_once_and_no_longer_once_revoked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    added = await desk.ask("key", "add", "night-shift", "--role", "operator", "--data", desk.data)
    monkeypatch.setenv("OPENAUTOGLM_API_KEY", added.out.strip())
    acknowledged = await desk.ask("alarm", "ack", alarm_id(PARENT), "--json")
    assert acknowledged.rows[0]["alarm"]["acknowledgedBy"] == "night-shift"
    await desk.ask("key", "revoke", added.out.split("_")[1], "--data", desk.data)
    ended = await desk.ask("alarm", "list")
    assert (ended.code, "was revoked (setting api_key)" in ended.err) == (2, True)
    for wrong, why in (("oag_none_none", "no such key"), ("ä", "setting api_key")):
        monkeypatch.setenv("OPENAUTOGLM_API_KEY", wrong)
        ended = await desk.ask("alarm", "list")
        assert (ended.code, why in ended.err, wrong in ended.err) == (2, True, False)
    monkeypatch.delenv("OPENAUTOGLM_API_KEY")
    assert "a key or a token is needed (setting api_key)" in (await desk.ask("alarm", "list")).err


async def test_actions_are_approved_and_rejected(desk: Desk) -> None:
    for device in (PUMP, PIPE):
        await desk.api.publish([event("device.alarm", deviceId=device, alarm="dry", active=True, severity="high")])
    await until(lambda: len(desk.parts.store.newest(Kind.ACTIONS)) == 2)
    waiting = (await desk.ask("action", "list", "--stage", "waiting", "--json")).rows
    assert {row["action"]["deviceId"] for row in waiting} == {PUMP, PIPE}
    names = {row["action"]["deviceId"]: row["action"]["actionId"] for row in waiting}
    rejected = await desk.ask("action", "reject", names[PIPE], "--reason", "somebody works there", "--json")
    assert (rejected.code, rejected.rows[0]["stage"]) == (0, "refused")
    approved = await desk.ask("action", "approve", names[PUMP])
    assert (approved.code, "approved" in approved.out) == (0, True)
    undone = await desk.ask("action", "undo", names[PUMP])
    assert (undone.code, "it is refused" in undone.err) == (1, True), "no policy permits what would undo it"
    again = await desk.ask("action", "approve", names[PUMP])
    assert (again.code, "Not possible now" in again.err) == (2, True)
    assert (await desk.ask("action", "list", "--device", PIPE, "--stage", "waiting", "--json")).rows == []


async def test_no_service_is_said_with_address_and_setting(ask: Ask, tmp_path: Path) -> None:
    for command in (("alarm", "list"), ("topology", "impact", PUMP), ("action", "list"), ("events", "tail")):
        ended = await ask(*command, "--url", "http://127.0.0.1:9")
        assert (ended.code, ended.out) == (3, "")
        assert "http://127.0.0.1:9" in ended.err
        assert "api_url" in ended.err
    await leave(tmp_path / "rest", ALERTS)
    assert (await ask("events", "tail", "--data", tmp_path / "rest")).code == 3


async def test_a_folder_on_the_command_line_is_stronger_than_the_setting(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAUTOGLM_API_URL", "http://127.0.0.1:9")
    await leave(tmp_path / "rest", ALERTS)
    assert (await ask("alarm", "list", "--data", tmp_path / "rest")).code == 0
    assert (await ask("alarm", "list")).code == 3


async def test_an_address_that_a_killed_service_left_behind_is_not_asked(ask: Ask, tmp_path: Path) -> None:
    await leave(tmp_path / "rest", ALERTS)
    Folder(tmp_path / "rest").address.write_text("http://127.0.0.1:9")
    assert (await ask("alarm", "list", "--data", tmp_path / "rest")).code == 0


async def test_what_is_acknowledged_at_rest_is_so_when_the_service_starts(ask: Ask, tmp_path: Path) -> None:
    data = tmp_path / "service"
    async with served(data) as api:
        name = await api.alarm()
    assert (await ask("alarm", "ack", name, "--reason", "seen", "--data", data)).code == 0
    async with served(data) as api:
        found = (await api.client.get(f"/v1/alarms/{name}")).json()["alarm"]
        assert (found["state"], found["acknowledgedBy"]) == ("acknowledged", getpass.getuser())


async def test_pages_are_followed_to_the_end(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "service"
    data.mkdir()
    await leave(data, [alert(f"sensor-{number:04}") for number in range(2_001)])
    async with served(data) as api:
        monkeypatch.setenv("OPENAUTOGLM_API_KEY", api.clients[Role.VIEWER].headers["authorization"].removeprefix("Bearer "))
        rows = (await ask("alarm", "list", "--url", str(api.parts.url), "--json")).rows
    assert sorted(row["alarm"]["deviceId"] for row in rows) == [f"sensor-{number:04}" for number in range(2_001)]
