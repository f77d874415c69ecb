"""`policy` and `audit` on the command line: what they print, and how they end."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agents.dispatcher import Dispatcher
from agents.fakes import FakeEngine, FakeOutlet
from streams.folder import Folder
from streams.ledger import SqliteLedger
from tests.agents.plant import action, plant, second
from tests.streams.test_cli import Run, run

__all__ = ["run"]
DEPLOYED = Path(__file__).parents[3] / "deploy" / "policy"
ASKED = ("--verb", "stop", "--device", "pump-10")


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return shutil.copytree(DEPLOYED, tmp_path / "policy")


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    with closing(SqliteLedger(Folder(tmp_path / "data").ledger)) as ledger:
        acting = Dispatcher(engine=FakeEngine(allowed=True), ledger=ledger, outlets={"mqtt": FakeOutlet()})
        await acting.dispatch(action(), topology=plant(), now=second(0))
    return tmp_path / "data"


def test_policies_in_order(run: Run, policy: Path) -> None:
    checked, tested = run("policy", "check", DEPLOYED, policy), run("policy", "test", policy)
    assert (checked.code, checked.out, "in order" in checked.err) == (0, "", True)
    assert (tested.code, "20 cases, 0 failed" in tested.out) == (0, True)


def test_what_is_wrong_and_doubtful_is_said_with_its_line(run: Run, policy: Path) -> None:
    (policy / "doubt.cedar").write_text('\n@id("wide") permit (principal, action, resource);\n')
    doubtful = run("policy", "check", policy)
    assert (doubtful.code, "doubt.cedar:2: 'wide' permits" in doubtful.err.replace("\n", "")) == (0, True)
    (policy / "wrong.cedar").write_text('@id("a") permit (principal action);\npermit (principal, action, resource);\n')
    wrong = run("policy", "check", policy)
    assert wrong.code == 1
    assert "wrong.cedar:1: unexpected token" in wrong.err
    assert "wrong.cedar:2: needs an annotation" in wrong.err
    assert [run("policy", command, policy).code for command in ("check", "test")] == [1, 2]
    assert run("policy", "test", policy / "nowhere").code == 3


def test_a_case_that_fails_ends_with_1(run: Run, policy: Path) -> None:
    cases = policy / "tests.yaml"
    cases.write_text(cases.read_text().replace("expect: allow", "expect: refuse", 1))
    failed = run("policy", "test", policy, "--json")
    assert (failed.code, [row["name"] for row in failed.rows if not row["passed"]]) == (1, ["a leaking pipe is isolated"])


def test_one_action_is_asked_about(run: Run, policy: Path) -> None:
    asked = [run("policy", "ask", policy, *ASKED, *who) for who in ((), ("--role", "viewer"), ("--approver", "operator"))]
    assert [(ended.code, ended.err.split(":")[0]) for ended in asked] == [(0, "wait"), (1, "refuse"), (0, "allow")]
    (row,) = run("policy", "ask", policy, *ASKED, "--json").rows
    assert (row["found"], row["by"]) == ("wait", ["operators do what is serious, in pairs"])
    assert run("policy", "ask", policy, "--verb", "stop", "--device", "no id").code == 2


def test_the_audit_is_verified_shown_and_its_head_printed(run: Run, data: Path) -> None:
    head = run("audit", "head", "--data", data).out.strip()
    assert head.startswith("3:")
    shown = run("audit", "show", "--data", data, "--json")
    assert [row["step"] for row in shown.rows] == ["decision", "claim", "sending"]
    assert "isolate of pipe-1" in run("audit", "show", "--data", data, "--limit", 1).out
    for kept in ((), ("--head", head), ("--head", head.split(":")[1])):
        assert run("audit", "verify", "--data", data, *kept).code == 0
    with closing(sqlite3.connect(Folder(data).ledger)) as connection, connection:
        connection.execute("DELETE FROM audit WHERE number = 2")
    broken = run("audit", "verify", "--data", data)
    assert (broken.code, "error: line 2: is not there" in broken.err) == (1, True)
    assert run("audit", "verify", "--data", data, "--head", f"7:{'0' * 63}1").code == 1
    assert run("audit", "verify", "--data", data, "--head", "7:00").code == 2


def test_no_ledger_no_audit(run: Run, tmp_path: Path) -> None:
    for command in ("verify", "show", "head"):
        ended = run("audit", command, "--data", tmp_path)
        assert (ended.code, "no ledger" in ended.err) == (3, True)
