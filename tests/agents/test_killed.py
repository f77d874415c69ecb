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
from agents.ledger import SqliteLedger
from schemas.action import Action
from tests.agents.plant import action, plant, second

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
    """What the killed process does; `moment` says when it dies."""
    outlet = Deadly(folder / "wire", before=moment == "before")
    asyncio.run(acted(SqliteLedger(folder / "actions.db"), outlet))


async def acted(ledger: SqliteLedger, outlet: FakeOutlet | Deadly, at: float = 0) -> Entry:
    acting = Dispatcher(engine=FakeEngine(allowed=True), ledger=ledger, outlets={"mqtt": outlet})
    acting.recover(second(at))
    return await acting.dispatch(action(), topology=plant(), now=second(at))


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_killed_while_sending(tmp_path: Path, moment: str) -> None:
    code = f"from pathlib import Path; from tests.agents.test_killed import act; act(Path({str(tmp_path)!r}), {moment!r})"
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60)  # noqa: ASYNC221 - nothing else runs
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "wire").exists() is (moment == "after")
    ledger, outlet = SqliteLedger(tmp_path / "actions.db"), FakeOutlet()
    entry = await acted(ledger, outlet, 10)
    assert (entry.stage, outlet.sent) == (Stage.UNKNOWN, [])
    assert [held.stage for held in ledger.history(action().action_id)] == [Stage.ALLOWED, Stage.CLAIMED, Stage.UNKNOWN]
    ledger.close()
