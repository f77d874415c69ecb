"""The demo as a newcomer runs it, and as one who has seen enough ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from tests.waiting import HUNG

COMMAND = (sys.executable, "-u", "-c", "from streams.cli import main; main()", "demo")


def test_a_fault_is_found_and_compared_with_the_truth() -> None:
    done = subprocess.run(
        [*COMMAND, "--seconds", str(2 * HUNG), "--fault", "drift"],
        capture_output=True,
        text=True,
        timeout=HUNG,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    story = done.stdout
    for part in ("Learning what is normal", "Something breaks", "ALARM", "where it began", "action:", "The truth: drift at "):
        assert part in story
    assert "The service named it" in story


def test_ctrl_c_ends_it_at_once_and_cleanly() -> None:
    with subprocess.Popen([*COMMAND], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while "The plant works" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, messages = process.communicate(timeout=HUNG)
    print(f"ended after {time.monotonic() - began:.1f} s")
    assert (process.returncode, messages) == (0, "stopped\n")
