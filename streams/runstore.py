"""Runs in SQLite: the order, the state, and every step of every task, on disk before the scheduler goes on."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec

from agents.run import Order, Run, RunState, Step, TaskState
from streams.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    place INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, updated_at TEXT NOT NULL,
    cancelled_by TEXT, body BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS runs_by_state ON runs (state);
CREATE TABLE IF NOT EXISTS steps (place INTEGER PRIMARY KEY, run_id TEXT NOT NULL, body BLOB NOT NULL, outputs BLOB) STRICT;
CREATE INDEX IF NOT EXISTS steps_by_run ON steps (run_id);
CREATE TABLE IF NOT EXISTS forgotten (run_id TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
ADD_OUTPUTS = "ALTER TABLE steps ADD COLUMN outputs BLOB"
"""In files of before, outputs are in the body."""
COLUMNS = "run_id, state, updated_at, cancelled_by, body"
MOST_PLANNED, MOST_ENDED = 1_000, 5_000
"""Runs that are kept, the newest: of those that people planned or cancelled, and of the others that have ended. Of a rule's run

that is not kept, its id and how it ended are: an alarm that is told again must not have it made again.
"""


class _Brief(msgspec.Struct, rename="camel"):
    """`Step` without its outputs, which are passed over, not decoded."""

    key: str
    state: TaskState
    at: str
    attempt: int = 0
    detail: str = ""


class SqliteRuns:
    """`Runs` in one file. Each call is one transaction, in a thread, so that the event loop goes on."""

    def __init__(self, path: Path, *, most_planned: int = MOST_PLANNED, most_ended: int = MOST_ENDED) -> None:
        self._most_planned, self._most_ended = most_planned, most_ended
        self._database = Database(path, SCHEMA)
        with self._database.transaction() as connection:
            if all(name != "outputs" for _, name, *_ in connection.execute("PRAGMA table_info(steps)")):
                connection.execute(ADD_OUTPUTS)

    def close(self) -> None:
        self._database.close()

    async def plan(self, order: Order, at: str) -> Run:
        def work(connection: sqlite3.Connection) -> Run:
            command = "INSERT OR IGNORE INTO runs VALUES (NULL, ?, ?, ?, NULL, ?)"
            row = (order.run_id, RunState.PLANNED, at, msgspec.json.encode(order))
            if connection.execute(command, row).rowcount > 0:
                _forget(connection, planned=self._most_planned, ended=self._most_ended)
            held = _run(connection, order.run_id)
            assert held is not None
            return held

        return await self._database.run(work)

    async def begin(self, run_id: str, at: str) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            command = "UPDATE runs SET state = ?, updated_at = ? WHERE run_id = ? AND state = ?"
            return connection.execute(command, (RunState.RUNNING, at, run_id, RunState.PLANNED)).rowcount > 0

        return await self._database.run(work)

    async def step(self, run_id: str, step: Step) -> None:
        def work(connection: sqlite3.Connection) -> None:
            outputs = msgspec.json.encode(step.outputs) if step.outputs else None
            row = (run_id, msgspec.json.encode(msgspec.structs.replace(step, outputs={})), outputs)
            connection.execute("INSERT INTO steps (run_id, body, outputs) VALUES (?, ?, ?)", row)
            connection.execute("UPDATE runs SET updated_at = ? WHERE run_id = ?", (step.at, run_id))

        await self._database.run(work)

    async def cancel(self, run_id: str, actor: str, at: str) -> None:
        command = "UPDATE runs SET cancelled_by = ?, updated_at = ? WHERE run_id = ? AND state = ? AND cancelled_by IS NULL"
        await self._database.run(lambda connection: connection.execute(command, (actor, at, run_id, RunState.RUNNING)))

    async def call_off(self, run_id: str, actor: str, at: str) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            command = "UPDATE runs SET state = ?, cancelled_by = ?, updated_at = ? WHERE run_id = ? AND state = ?"
            return connection.execute(command, (RunState.CANCELLED, actor, at, run_id, RunState.PLANNED)).rowcount > 0

        return await self._database.run(work)

    async def end(self, run_id: str, state: RunState, at: str) -> None:
        command = "UPDATE runs SET state = ?, updated_at = ? WHERE run_id = ? AND state = ?"
        await self._database.run(lambda connection: connection.execute(command, (state, at, run_id, RunState.RUNNING)))

    async def run(self, run_id: str) -> Run | None:
        return await self._database.run(lambda connection: _run(connection, run_id))

    async def state(self, run_id: str) -> RunState | None:
        query = "SELECT state FROM runs WHERE run_id = ?1 UNION ALL SELECT state FROM forgotten WHERE run_id = ?1"
        row = await self._database.run(lambda connection: connection.execute(query, (run_id,)).fetchone())
        return None if row is None else RunState(row[0])

    async def trace(self, run_id: str, *, brief: bool = False) -> list[Step]:
        return await self._database.run(lambda connection: _steps(connection, run_id, brief=brief))

    async def unfinished(self) -> list[Run]:
        return await self._database.run(
            lambda connection: _runs(connection, "WHERE state = ? ORDER BY place", RunState.RUNNING)
        )

    async def planned(self, role: str) -> list[Run]:
        which = "WHERE state = ? AND json_extract(CAST(body AS TEXT), '$.role') = ? ORDER BY place"
        return await self._database.run(lambda connection: _runs(connection, which, RunState.PLANNED, role))

    async def newest(self, limit: int) -> list[Run]:
        return await self._database.run(lambda connection: _runs(connection, "ORDER BY place DESC LIMIT ?", limit, brief=True))


def _forget(connection: sqlite3.Connection, *, planned: int, ended: int) -> None:
    """The oldest beyond what is kept. What a runbook has planned is to run, and stays until it has."""
    role = "json_extract(CAST(body AS TEXT), '$.role')"
    for which, keep in (
        (f"state = 'cancelled' OR state = 'planned' AND {role} <> 'runbook'", planned),
        ("state NOT IN ('planned', 'running', 'cancelled')", ended),
    ):
        old = f"SELECT run_id FROM runs WHERE {which} ORDER BY place DESC LIMIT -1 OFFSET {keep}"  # noqa: S608 - text of this file
        gone = connection.execute(old).fetchall()
        tomb = f"INSERT OR IGNORE INTO forgotten SELECT run_id, state FROM runs WHERE run_id = ? AND {role} = 'runbook'"  # noqa: S608
        connection.executemany(tomb, gone)
        connection.executemany("DELETE FROM steps WHERE run_id = ?", gone)
        connection.executemany("DELETE FROM runs WHERE run_id = ?", gone)


def _run(connection: sqlite3.Connection, run_id: str) -> Run | None:
    found = _runs(connection, "WHERE run_id = ?", run_id)
    return found[0] if found else None


def _runs(connection: sqlite3.Connection, which: str, *values: object, brief: bool = False) -> list[Run]:
    rows = connection.execute(f"SELECT {COLUMNS} FROM runs {which}", values).fetchall()  # noqa: S608 - text of this file alone
    return [
        Run(
            order=msgspec.json.decode(body, type=Order),
            state=RunState(state),
            steps={step.key: step for step in _steps(connection, run_id, brief=brief)},
            updated_at=updated_at,
            cancelled_by=cancelled_by,
        )
        for run_id, state, updated_at, cancelled_by, body in rows
    ]


def _steps(connection: sqlite3.Connection, run_id: str, *, brief: bool) -> list[Step]:
    if brief:
        rows = connection.execute("SELECT body FROM steps WHERE run_id = ? ORDER BY place", (run_id,))
        return [Step(**msgspec.structs.asdict(msgspec.json.decode(body, type=_Brief))) for (body,) in rows]
    rows = connection.execute("SELECT body, outputs FROM steps WHERE run_id = ? ORDER BY place", (run_id,))
    return [_step(body, outputs) for body, outputs in rows]


def _step(body: bytes, outputs: bytes | None) -> Step:
    step = msgspec.json.decode(body, type=Step)
    return step if outputs is None else msgspec.structs.replace(step, outputs=msgspec.json.decode(outputs))
