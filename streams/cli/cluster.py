"""`gateway`, `worker`: the service on Kafka, as many workers as there are partitions."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from agents.rulefile import RuleFileError
from graph.detection.model import ModelError
from streams.cli.running import first_of, settings_of, until_told
from streams.cli.terminal import Exit, fail, log_to_stderr
from streams.cluster import ClusterError, StalledError
from streams.folder import InUseError
from streams.snapshots import SnapshotError
from streams.statetopic import DamagedStateError

Servers = Annotated[str | None, typer.Option(help="Kafka's bootstrap servers, host:port,...")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v")]


def gateway(
    data: Annotated[Path | None, typer.Option(help="Data folder: what Kafka has not taken yet.")] = None,
    site: Annotated[str | None, typer.Option(help="Name of the plant.")] = None,
    mqtt_host: Annotated[str | None, typer.Option(help="Broker to use; without it an embedded one is started.")] = None,
    mqtt_port: Annotated[int | None, typer.Option(help="The broker's port.")] = None,
    kafka_servers: Servers = None,
    verbose: Verbose = False,
) -> None:
    """Carry one site's events from MQTT to Kafka, and its findings back, until Ctrl-C."""
    log_to_stderr(verbose=verbose)
    settings = settings_of(data=data, site=site, mqtt_host=mqtt_host, mqtt_port=mqtt_port, kafka_servers=kafka_servers)
    _run(kafka_parts().run_gateway(settings))


def worker(
    model: Annotated[Path | None, typer.Option(help="Folder of a trained model, or of one folder for each site.")] = None,
    runbook: Annotated[Path | None, typer.Option(help="Runbook file.")] = None,
    kafka_servers: Servers = None,
    identity: Annotated[str | None, typer.Option(help="A name that no other worker has; survives a restart.")] = None,
    verbose: Verbose = False,
) -> None:
    """Analyse the sites of some of the partitions, until Ctrl-C. Start more of them to share the work."""
    log_to_stderr(verbose=verbose)
    settings = settings_of(model=model, runbook=runbook, kafka_servers=kafka_servers, worker_identity=identity)
    with _ending_at_once():
        _run(kafka_parts().run_worker(settings))


@contextmanager
def _ending_at_once() -> Iterator[None]:
    """A thread of Faust can hang when it is to end, and would keep the process; there is nothing left to save by then."""
    status = int(Exit.WANTING)
    try:
        yield
        status = int(Exit.DONE)
    except typer.Exit as ended:
        status = ended.exit_code
    except BaseException:  # noqa: BLE001 - shown, and the process ends
        traceback.print_exc()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def kafka_parts() -> ModuleType:
    """Only who uses Kafka needs its packages."""
    try:
        from streams import distributed  # noqa: PLC0415
    except ImportError as error:
        fail(f"{error}: pip install 'openautoglm[kafka]'", Exit.USAGE)
    return distributed


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        until_told(work)
    except* (ClusterError, InUseError, RuleFileError, ValueError) as group:
        fail(first_of(group), Exit.USAGE)
    except* (ModelError, SnapshotError, DamagedStateError, StalledError, OSError) as group:
        fail(first_of(group), Exit.UNREADABLE)
