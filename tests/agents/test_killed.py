"""A process that is killed while it acts: the next one never sends the same action again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agents.dispatcher import Dispatcher
from agents.entry import Entry, Stage
from agents.fakes import FakeEngine, FakeOutlet
from schemas.action import Action
from streams.ledger import SqliteLedger, audit_trail
from tests.agents.plant import action, plant, second
from tests.waiting import HUNG

ROOT = Path(__file__).parents[2]


class Deadly:
    """Leaves a trace outside of the process, as a command on the wire does, and dies before or after."""

    def __init__(self, wire: Path, *, before: bool) -> None:
        self._wire = wire
        self._before = before

    async def send(self, action: Action) -> None:
        if not self._before:
            self._wire.write_text(action.action_id)
        os.kill(os.getpid(), signal.SIGKILL)


def act(folder: Path, moment: str) -> None:
    """What the killed process does; `moment` says when it dies: around the sending, or at the nth statement like this one."""
    ledger = SqliteLedger(folder / "actions.db")
    outlet: FakeOutlet | Deadly = FakeOutlet()
    if moment in {"before", "after"}:
        outlet = Deadly(folder / "wire", before=moment == "before")
    else:
        statement, _, number = moment.rpartition(" ")
        ledger._database.read(lambda connection: connection.set_trace_callback(Killer(statement, int(number))))
    asyncio.run(acted(ledger, outlet))


class Killer:
    """Sees each statement just before SQLite carries it out."""

    def __init__(self, statement: str, left: int) -> None:
        self._statement = statement
        self._left = left

    def __call__(self, text: str) -> None:
        self._left -= text.startswith(self._statement)
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def killed(folder: Path, moment: str) -> None:
    code = f"from pathlib import Path; from tests.agents.test_killed import act; act(Path({str(folder)!r}), {moment!r})"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=HUNG)
    assert ended.returncode == -signal.SIGKILL


def chain(path: Path) -> list[str]:
    """The steps of the audit, which must hold."""
    with audit_trail(path) as trail:
        assert trail.verify() == trail.head()
        return [f"{line.step} {line.stage}" for line in trail.newest(100)]


async def acted(ledger: SqliteLedger, outlet: FakeOutlet | Deadly, at: float = 0) -> Entry:
    acting = Dispatcher(engine=FakeEngine(allowed=True), ledger=ledger, outlets={"mqtt": outlet})
    acting.recover(second(at))
    return await acting.dispatch(action(), topology=plant(), now=second(at))


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_killed_while_sending(tmp_path: Path, moment: str) -> None:
    await asyncio.to_thread(killed, tmp_path, moment)
    assert (tmp_path / "wire").exists() is (moment == "after")
    ledger, outlet = SqliteLedger(tmp_path / "actions.db"), FakeOutlet()
    entry = await acted(ledger, outlet, 10)
    assert (entry.stage, outlet.sent) == (Stage.UNKNOWN, [])
    assert [held.stage for held in ledger.history(action().action_id)] == [Stage.ALLOWED, Stage.CLAIMED, Stage.UNKNOWN]
    ledger.close()
    assert chain(tmp_path / "actions.db") == ["decision allowed", "claim claimed", "parking unknown"]


DECIDED, CLAIMED, SENT = "decision allowed", "claim claimed", "sending sent"


@pytest.mark.parametrize(
    ("moment", "left", "after"),
    [
        ("INSERT INTO actions 1", [], [DECIDED, CLAIMED, SENT]),
        ("INSERT INTO audit 1", [], [DECIDED, CLAIMED, SENT]),
        ("COMMIT 1", [], [DECIDED, CLAIMED, SENT]),
        ("BEGIN 2", [DECIDED], [DECIDED, DECIDED, CLAIMED, SENT]),
        ("INSERT INTO audit 2", [DECIDED], [DECIDED, DECIDED, CLAIMED, SENT]),
        ("COMMIT 2", [DECIDED], [DECIDED, DECIDED, CLAIMED, SENT]),
        ("BEGIN 3", [DECIDED, CLAIMED], [DECIDED, CLAIMED, "parking unknown"]),
        ("COMMIT 3", [DECIDED, CLAIMED], [DECIDED, CLAIMED, "parking unknown"]),
    ],
)
async def test_killed_at_any_statement_the_chain_holds_and_nothing_is_sent_twice(
    tmp_path: Path, moment: str, left: list[str], after: list[str]
) -> None:
    await asyncio.to_thread(killed, tmp_path, moment)
    assert chain(tmp_path / "actions.db") == left
    ledger, outlet = SqliteLedger(tmp_path / "actions.db"), FakeOutlet()
    await acted(ledger, outlet, 10)
    ledger.close()
    assert chain(tmp_path / "actions.db") == after
    # A claim is on disk before the sending: the killed process may have sent, so this one must not.
    assert len(outlet.sent) == (SENT in after)
