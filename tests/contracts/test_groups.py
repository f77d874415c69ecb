"""Tests of one group are one process's: what they share is started once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GROUPED = """
import os, pathlib, pytest
pytestmark = pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(6))
def test_where(number):
    (pathlib.Path(__file__).parent / f"{os.environ['PYTEST_XDIST_WORKER']}-{number}").touch()
"""


def test_a_group_is_not_split(tmp_path: Path) -> None:
    (tmp_path / "test_grouped.py").write_text(GROUPED)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider", str(tmp_path)]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    done = [path.name.partition("-") for path in tmp_path.glob("gw*-*")]
    assert (len(done), len({worker for worker, _, _ in done})) == (6, 1)
