"""Which database the graph over time is in."""

from __future__ import annotations

from graph.sqlite_store import SqliteGraphStore
from graph.store import GraphStore
from streams.folder import Folder
from streams.settings import Settings


def graph_store(settings: Settings, folder: Folder) -> GraphStore:
    """The database that the settings name: Neo4j, or the file in the data folder. Raises ValueError."""
    if settings.neo4j_uri is None:
        return SqliteGraphStore(folder.graph)
    try:
        from graph.neo4j import Access, Neo4jStore  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise ValueError("neo4j_uri: needs its driver: pip install 'openautoglm[neo4j]'") from error
    password = settings.neo4j_password.get_secret_value()
    return Neo4jStore(Access(settings.neo4j_uri, settings.neo4j_username, password, settings.neo4j_database))
