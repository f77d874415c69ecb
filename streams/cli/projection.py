"""`projection verify|rebuild|status`: the database of the graph over time, compared with the service's checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import typer

from graph.store import GraphStore, StoreError
from streams.checkpoint import DamagedError
from streams.cli.cluster import kafka_parts
from streams.cli.running import settings_of
from streams.cli.terminal import Data, Exit, Json, SiteName, fail, print_json, print_table, progress, say
from streams.cluster import ClusterError
from streams.folder import Folder
from streams.graphstore import graph_store
from streams.settings import Settings
from streams.statetopic import DamagedStateError
from streams.upkeep import FolderTruth, NothingThereError, Truth
from streams.upkeep import rebuild as write_anew
from streams.upkeep import verify as compare

app = typer.Typer(no_args_is_help=True, help="The database of the graph over time.")
SHOWN = 100


class Opened(NamedTuple):
    site: str
    truth: Truth
    store: GraphStore


@contextmanager
def opened(data: Data, site: SiteName, *, must_exist: bool = True) -> Iterator[Opened]:
    """The store that the settings name. Ends the command with what is wrong."""
    settings = settings_of(data=data, site=site)
    folder = Folder(settings.data)
    if must_exist and settings.neo4j_uri is None and not folder.graph.is_file():
        fail(f"--data {folder.path}: no service has left a graph over time here, and neo4j_uri is not set", Exit.UNREADABLE)
    try:
        store = graph_store(settings, folder)
        try:
            yield Opened(settings.site, truth_of(settings, folder), store)
        finally:
            store.close()
    except ValueError as error:
        fail(str(error), Exit.USAGE)
    except (StoreError, DamagedError, DamagedStateError, NothingThereError, ClusterError, ConnectionError) as error:
        fail(str(error), Exit.UNREADABLE)


def truth_of(settings: Settings, folder: Folder) -> Truth:
    """The workers' snapshots where Kafka is set, or else the service's folder."""
    if settings.kafka_servers is None:
        return FolderTruth(folder)
    return kafka_parts().truth_of(settings)  # type: ignore[no-any-return]


@app.command()
def verify(data: Data = None, site: SiteName = None, json: Json = False) -> None:
    """Compare the database with the live graph, row by row; exit status 1 if one differs."""
    with opened(data, site) as (name, truth, store):
        found = compare(truth, name, store)
    if json:
        print_json([*found.differences, {"rows": found.rows, "differences": len(found.differences), "waiting": found.waiting}])
    elif found.differences:
        rows = [(difference.kind, difference.key, difference.why) for difference in found.differences[:SHOWN]]
        print_table(f"{len(found.differences)} differences", ("kind", "key", "why"), rows)
    done = "not yet" if found.position is None else f"up to record {found.position.offset}"
    say(
        f"{found.rows:,} rows compared, {len(found.differences):,} differ; the database is written {done}, "
        f"the checkpoint stands at {found.offset}, {found.waiting:,} rows wait"
    )
    raise typer.Exit(Exit.WANTING if found.differences else Exit.DONE)


@app.command()
def rebuild(data: Data = None, site: SiteName = None, json: Json = False) -> None:
    """Remove the site's rows and write them anew from the checkpoint. What the graph itself forgot is then gone."""
    with opened(data, site, must_exist=False) as (name, truth, store):
        now = truth.live()
        devices, edges = now.topology.keys()
        total = len(devices) + len(edges) + len(now.alarms) + len(now.faults)
        with progress("writing", float(total)) as advance:
            count = write_anew(truth, name, store, cleared=lambda _: None, written=advance)
    if json:
        print_json([{"site": name, "rows": count}])
    else:
        say(f"{count:,} rows written")


@app.command()
def status(data: Data = None, site: SiteName = None, json: Json = False) -> None:
    """How far the database is, and how many rows waited for it at the last checkpoint."""
    with opened(data, site) as (name, truth, store):
        now, position = truth.live(), store.position(name)
    found = {
        "site": name,
        "position": None if position is None else position.offset,
        "checkpoint": now.offset,
        "waiting": now.waiting,
        "everything": now.everything,
        "ours": position is None or position.origin == truth.origin(),
    }
    if json:
        print_json([found])
    else:
        print_table("projection", ("", ""), list(found.items()))
