"""Local services: each starts, keeps what it held over a kill, and only what was started is ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.services import Local, MissingError, main, named
from tests.services import running


@pytest.mark.xdist_group("kafka")
def test_kafka_answers(kafka: Local) -> None:
    assert kafka.answers()


@pytest.mark.xdist_group("neo4j")
def test_neo4j_answers(neo4j: Local) -> None:
    assert neo4j.answers()


def test_a_killed_service_starts_again_on_its_port(tmp_path: Path) -> None:
    with running("mosquitto", tmp_path) as service:
        first = service.pid
        service.kill()
        assert not service.answers()
        assert service.pid is None
        service.start()
        assert service.answers()
        assert service.pid not in (None, first)


def test_a_process_that_got_the_number_later_is_not_the_service(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (tmp_path / "pid").write_text(f"{other.pid} 1")
        service = Local("mosquitto", tmp_path, 1)
        assert service.pid is None
        service.stop()
        assert other.poll() is None
        other.communicate(b"\n")


def test_an_unknown_name_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MissingError, match="kafka, neo4j, mosquitto"):
        list(named(["redis"]))
    assert main(["start", "redis"]) == 2
    assert "redis" in capsys.readouterr().err
    assert main([]) == 2
