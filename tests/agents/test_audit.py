"""A line of the audit that is changed, removed, put in or moved is found, and so is a record that it does not speak of."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from agents.audit import NOTHING, BrokenError, Head, HeadError, Line, row_of
from agents.dispatcher import Dispatcher, NotSentError, Outcome
from agents.entry import Entry, Stage
from agents.fakes import FakeEngine, FakeOutlet
from agents.policy import COUNTLESS, Approver
from schemas.event import ActionResult, ActionStatus
from streams.ledger import SqliteLedger, audit_trail
from tests.agents.plant import PIPE, PUMP, VALVE, action, event, plant, second

Tamper = Callable[[sqlite3.Connection], object]
SECRET = "hunter2-and-more"


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A ledger in which everything has happened that can."""
    path = tmp_path / "ledger.db"
    with closing(SqliteLedger(path, clock=lambda: 1_767_700_000.0)) as ledger:
        await live(ledger)
    return path


async def live(ledger: SqliteLedger) -> None:
    outlet = FakeOutlet()

    def acting(*, allowed: bool = True, approval: bool = False) -> Dispatcher:
        return Dispatcher(engine=FakeEngine(allowed=allowed, approval=approval), ledger=ledger, outlets={"mqtt": outlet})

    now, topology = second(1), plant()
    secret = action(arguments={"password": SECRET})
    await acting().dispatch(secret, topology=topology, now=now)
    acting().result(event(ActionResult(secret.action_id, PIPE, ActionStatus.SUCCEEDED, "shut"), 5))
    await acting(allowed=False).dispatch(action(PUMP, "stop"), topology=topology, now=now)
    await acting(approval=True).dispatch(action(VALVE, "close"), topology=topology, now=now)
    await acting().approve(action(VALVE, "close").action_id, Approver("bob", "operator"), topology=topology, now=now)
    await acting(approval=True).dispatch(action(VALVE, "open"), topology=topology, now=now)
    acting().reject(action(VALVE, "open").action_id, "bob", "not now", now=now)
    outlet.error = TimeoutError("?")
    await acting().dispatch(action(PUMP, "start"), topology=topology, now=now)
    acting().resolve(action(PUMP, "start").action_id, "ann", Outcome.NEVER_SENT, "the cable is out", now=now)
    outlet.error = NotSentError("away")
    await acting().undo(secret.action_id, "ann", "operator", topology=topology, now=now)
    acting().expire(second(1e6))


def bad_line(path: Path, tamper: Tamper | None = None, head: str | None = None) -> int | None:
    """The number of the first line that is wrong, after somebody has been at the file."""
    if tamper is not None:
        with closing(sqlite3.connect(path)) as connection, connection:
            tamper(connection)
    with audit_trail(path) as trail:
        try:
            trail.verify(head)
        except BrokenError as error:
            return error.number
    return None


def run(*statements: str) -> Tamper:
    def tamper(connection: sqlite3.Connection) -> None:
        for statement in statements:
            connection.execute(statement)

    return tamper


def test_everything_that_happens_is_a_line(path: Path) -> None:
    with audit_trail(path) as trail:
        lines = trail.newest(1000)
        assert trail.verify() == trail.head()
    assert [(line.step, line.stage) for line in lines] == [
        ("decision", "allowed"),
        ("claim", "claimed"),
        ("sending", "sent"),
        ("result", "succeeded"),
        ("decision", "refused"),
        ("decision", "waiting"),
        ("approval", "allowed"),
        ("claim", "claimed"),
        ("sending", "sent"),
        ("decision", "waiting"),
        ("rejection", "refused"),
        ("decision", "allowed"),
        ("claim", "claimed"),
        ("sending", "unknown"),
        ("resolution", "failed"),
        ("decision", "allowed"),
        ("claim", "claimed"),
        ("sending", "failed"),
        ("expiry", "expired"),
    ]
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    assert [(line.by, line.detail) for line in lines if line.step in ("rejection", "resolution")] == [
        ("bob", "rejected by bob: not now"),
        ("ann", "never-sent, says ann: the cable is out"),
    ]
    assert {line.principal for line in lines} == {"runbook:test", "ann"}
    assert SECRET not in json.dumps(msgspec.to_builtins(lines))


def test_the_chain_is_what_the_page_says(path: Path) -> None:
    digest = bytes(32)
    with closing(sqlite3.connect(path)) as connection:
        for _, line, kept in connection.execute("SELECT * FROM audit ORDER BY number"):
            assert json.dumps(json.loads(line), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == line
            digest = hashlib.sha256(digest + line).digest()
            assert digest == kept


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (run("UPDATE audit SET line = CAST(replace(CAST(line AS TEXT), 'refused', 'allowed') AS BLOB) WHERE number = 5"), 5),
        (run("UPDATE audit SET digest = zeroblob(32) WHERE number = 7"), 7),
        (run("UPDATE audit SET line = x'00' WHERE number = 1"), 1),
        (run("DELETE FROM audit WHERE number = 4"), 4),
        (run("DELETE FROM audit WHERE number = 1"), 1),
        (run("DELETE FROM audit WHERE number = 6", "UPDATE audit SET number = number - 1 WHERE number > 6"), 6),
        (run("INSERT INTO audit SELECT 20, line, digest FROM audit WHERE number = 3"), 20),
        (
            run(
                "UPDATE audit SET number = -number WHERE number > 8",
                "UPDATE audit SET number = 1 - number WHERE number < 0",
                "INSERT INTO audit SELECT 9, line, digest FROM audit WHERE number = 3",
            ),
            9,
        ),
        (
            run(
                "UPDATE audit SET number = 0 WHERE number = 10",
                "UPDATE audit SET number = 10 WHERE number = 12",
                "UPDATE audit SET number = 12 WHERE number = 0",
            ),
            10,
        ),
        (run("DELETE FROM audit WHERE number = 19"), 19),
        (run("DELETE FROM audit"), 1),
        (run("UPDATE history SET entry = (SELECT entry FROM history WHERE place = 1) WHERE place = 5"), 5),
        (run("DELETE FROM history WHERE place = 8"), 8),
        (run("INSERT INTO history SELECT NULL, action_id, rule, allowed_at, entry FROM history WHERE place = 1"), 20),
        (run("UPDATE actions SET entry = (SELECT entry FROM history WHERE place = 1) WHERE verb = 'isolate'"), 4),
        (run("DELETE FROM actions WHERE verb = 'stop'"), 5),
        (run("INSERT INTO actions SELECT 'x', stage, verb, device_id, claimed_at, entry FROM actions WHERE verb = 'stop'"), 20),
        (run("UPDATE actions SET stage = 'allowed' WHERE verb = 'stop'"), 5),
        (run("UPDATE actions SET stage = 'allowed' WHERE verb = 'isolate'"), 4),
        (run("UPDATE actions SET claimed_at = NULL WHERE verb = 'isolate'"), 4),
        (run("UPDATE actions SET claimed_at = 1 WHERE verb = 'stop'"), 5),
        (run("UPDATE actions SET verb = 'x' WHERE verb = 'stop'"), 5),
        (run("UPDATE actions SET device_id = 'other' WHERE verb = 'stop'"), 5),
        (run("UPDATE history SET action_id = 'other' WHERE place = 3"), 3),
        (run("UPDATE history SET rule = 'other' WHERE place = 1"), 1),
        (run("UPDATE history SET allowed_at = 1 WHERE place = 2"), 2),
        (run("INSERT INTO history SELECT 0, action_id, rule, allowed_at, entry FROM history WHERE place = 2"), 20),
        (run("INSERT INTO history SELECT -1, action_id, rule, allowed_at, entry FROM history WHERE place = 2"), 20),
        (run("DELETE FROM allowed"), 1),
        (run("DELETE FROM allowed WHERE verb = 'start'"), 12),
        (run("UPDATE allowed SET at = 0 WHERE verb = 'start'"), 12),
        (run("UPDATE allowed SET principal = 'other' WHERE verb = 'start'"), 12),
        (run("INSERT INTO allowed SELECT 'x', verb, device_id, principal, at FROM allowed WHERE verb = 'start'"), 20),
        (run("ALTER TABLE allowed RENAME TO aside", "CREATE VIEW allowed AS SELECT * FROM aside"), 20),
        (run("CREATE TRIGGER more AFTER INSERT ON allowed BEGIN DELETE FROM allowed; END"), 20),
        (run("CREATE TRIGGER more AFTER UPDATE ON actions BEGIN UPDATE actions SET stage = 'allowed'; END"), 20),
    ],
)
def test_who_was_at_the_file_is_found_out(path: Path, tamper: Tamper, found: int) -> None:
    assert bad_line(path) is None
    assert bad_line(path, tamper) == found


@pytest.mark.parametrize("verb", ["stop", "isolate", "close"])
def test_a_column_alone_lets_nothing_be_sent(path: Path, verb: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE actions SET stage = 'allowed', claimed_at = NULL WHERE verb = ?", (verb,))
        action_id = connection.execute("SELECT action_id FROM actions WHERE verb = ?", (verb,)).fetchone()[0]
    with closing(SqliteLedger(path)) as ledger:
        held = ledger.entry(action_id)
        assert ledger.at_stage(Stage.ALLOWED) == []
        assert not ledger.claim(action_id, second(2))
        assert ledger.entry(action_id) == held


def test_a_record_before_those_that_lines_are_about(path: Path) -> None:
    """In a chain that was computed anew, for places that begin later."""
    more = run(
        "UPDATE history SET place = place + 1000",
        "INSERT INTO history SELECT 1, action_id, rule, allowed_at, entry FROM history WHERE place = 1002",
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        more(connection)
        before = NOTHING
        for number, raw in connection.execute("SELECT number, line FROM audit ORDER BY number").fetchall():
            line = msgspec.json.decode(raw, type=Line)
            row = row_of(msgspec.structs.replace(line, place=line.place + 1000), before)
            connection.execute("UPDATE audit SET line = ?, digest = ? WHERE number = ?", (row.line, row.digest, number))
            before = row.digest
    assert bad_line(path) == 20
    assert bad_line(path, run("DELETE FROM history WHERE place = 1")) is None


def test_any_bit_of_any_line(path: Path) -> None:
    dice = random.Random(7)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT number, line, digest FROM audit").fetchall()
    for number, line, digest in rows:
        for column, raw in (("line", line), ("digest", digest)):
            changed = bytearray(raw)
            changed[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute(f"UPDATE audit SET {column} = ? WHERE number = ?", (bytes(changed), number))
            assert bad_line(path) == number
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute(f"UPDATE audit SET {column} = ? WHERE number = ?", (raw, number))
    assert bad_line(path) is None


def test_only_a_kept_head_shows_what_is_missing_at_the_end_or_chained_anew(path: Path) -> None:
    with audit_trail(path) as trail:
        head = trail.head()
    assert [bad_line(path, head=kept) for kept in (str(head), head.digest.hex(), None)] == [None, None, None]
    cut = run(
        "DELETE FROM actions WHERE action_id IN (SELECT action_id FROM history WHERE place > 15)",
        "DELETE FROM history WHERE place > 15",
        "DELETE FROM audit WHERE number > 15",
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        cut(connection)
        raw = connection.execute("SELECT entry FROM history WHERE action_id = ? ORDER BY place DESC", ("action-close-valve-1",))
        connection.execute("UPDATE actions SET entry = ? WHERE verb = 'close'", raw.fetchone())
        connection.execute(
            "INSERT OR REPLACE INTO actions"
            " SELECT action_id, 'sent', 'close', 'valve-1', ?, entry FROM history WHERE place = 9",
            (second(1),),
        )
        connection.execute("DELETE FROM allowed WHERE action_id NOT IN (SELECT action_id FROM history)")
    assert bad_line(path) is None
    assert bad_line(path, head=str(head)) == 16
    assert bad_line(path, head=f"14:{head.digest.hex()}") == 16


async def test_it_goes_on_where_it_was(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        before = ledger.head()
        acting = Dispatcher(engine=FakeEngine(allowed=True), ledger=ledger, outlets={"mqtt": FakeOutlet()})
        await acting.dispatch(action(action_id="more"), topology=plant(), now=second(2))
        assert ledger.head().number == before.number + 3
    assert bad_line(path, head=str(before)) is None


def test_nothing_has_happened_yet(tmp_path: Path) -> None:
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        assert ledger.head() == Head(0, NOTHING)
    assert bad_line(tmp_path / "ledger.db") is None


# --- Ledgers of before ------------------------------------------------------------------------------------------------------

OLD = """
CREATE TABLE actions (action_id TEXT PRIMARY KEY, stage TEXT NOT NULL, verb TEXT NOT NULL, device_id TEXT NOT NULL,
    claimed_at INTEGER, entry BLOB NOT NULL) STRICT;
CREATE TABLE history (place INTEGER PRIMARY KEY, action_id TEXT NOT NULL, rule TEXT, allowed_at INTEGER,
    entry BLOB NOT NULL) STRICT;
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """As a version before has left it: no chain, nobody who asked."""
    path = tmp_path / "old.db"
    decision = {
        "action_id": "a",
        "allowed": True,
        "rule": "r",
        "reason": "allowed by this rule",
        "at": second(0),
        "approval": False,
    }
    cause = {"alertId": "al", "condition": "fault", "severity": "high"}
    held = {"actionId": "a", "site": "demo", "verb": "isolate", "deviceId": "pipe-1", "cause": cause}
    held |= {"requestedAt": "2026-01-05T12:00:00Z", "expiresAt": "2026-01-05T13:00:00Z"}
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(OLD)
        for stage, claimed in (("allowed", None), ("claimed", 5), ("sent", 5)):
            entry = {"action": held, "stage": stage, "at": second(0), "decision": decision, "claimed_at": claimed}
            raw = msgspec.msgpack.encode(entry)
            connection.execute("INSERT INTO history VALUES (NULL, 'a', 'r', 1, ?)", (raw,))
            connection.execute(
                "INSERT OR REPLACE INTO actions VALUES ('a', ?, 'isolate', 'pipe-1', ?, ?)", (stage, claimed, raw)
            )
    return path


async def test_a_ledger_of_before_begins_its_chain_with_what_was_there(old: Path) -> None:
    with pytest.raises(ValueError, match="without an audit"), audit_trail(old):
        pass
    for _ in range(2):
        with closing(SqliteLedger(old)) as ledger:
            assert ledger.head().number == 1
            assert ledger.rates(action(action_id="b"), second(-1)).device == 1
            held = ledger.entry("a")
            assert isinstance(held, Entry)
            assert (held.stage, held.action.cause.principal) == (Stage.SENT, "")
    with closing(SqliteLedger(old)) as ledger:
        Dispatcher(engine=FakeEngine(allowed=True), ledger=ledger, outlets={}).expire(second(1e6))
    assert bad_line(old) is None
    with audit_trail(old) as trail:
        assert [line.step for line in trail.newest(9)] == ["beginning", "expiry"]
    assert bad_line(old, run("UPDATE history SET action_id = 'b' WHERE place = 1")) == 1
    assert bad_line(old, run("UPDATE history SET entry = (SELECT entry FROM history WHERE place = 2) WHERE place = 1")) == 1


def test_an_audit_that_was_removed_is_not_begun_again(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM audit")
    with closing(SqliteLedger(path)):
        pass
    assert bad_line(path) == 1


def test_what_is_no_ledger_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ValueError, match="no ledger"), audit_trail(tmp_path / "ledger.db"):
        pass
    with pytest.raises(ValueError, match="no ledger"):
        SqliteLedger(tmp_path / "ledger.db")
    with pytest.raises(FileNotFoundError), audit_trail(tmp_path / "nothing.db"):
        pass


def test_the_head_of_a_ledger_in_which_nothing_has_happened_is_of_every_chain(path: Path, tmp_path: Path) -> None:
    with closing(SqliteLedger(tmp_path / "fresh.db")) as fresh:
        head = str(fresh.head())
    with audit_trail(path) as trail:
        assert trail.verify(head).number > 0
        with pytest.raises(HeadError):
            trail.verify("banana")


def test_nothing_begins_on_a_file_with_a_trigger(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        run("CREATE TRIGGER more AFTER INSERT ON allowed BEGIN DELETE FROM allowed; END")(connection)
    with pytest.raises(ValueError, match="has a trigger more"):
        SqliteLedger(path)


def test_a_rate_that_is_beyond_counting_is_beyond_every_limit(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = [(f"more-{number}", "isolate", "pump-1", "ann", second(0)) for number in range(1_500)]
        connection.executemany("INSERT INTO allowed VALUES (?, ?, ?, ?, ?)", rows)
    with closing(SqliteLedger(path)) as ledger:
        assert ledger.rates(action(PIPE, "isolate"), second(-1)).verb == COUNTLESS
        assert ledger.rates(action(PIPE, "isolate"), second(-1)).device < 10
