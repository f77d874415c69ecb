"""What a gateway has read of what workers ask for: how far, what they said of the devices, and the plant's time then."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from schemas.action import Action, moment
from schemas.device import DeviceId
from schemas.event import Micros
from schemas.facts import Facts, Request
from streams.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (
    place INTEGER PRIMARY KEY, action_id TEXT NOT NULL UNIQUE, device_id TEXT NOT NULL, facts BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS facts_by_device ON facts (device_id, place);
CREATE TABLE IF NOT EXISTS position (topic TEXT PRIMARY KEY, next INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS clock (one INTEGER PRIMARY KEY CHECK (one = 1), plant INTEGER NOT NULL, wall REAL NOT NULL) STRICT;
"""
KEPT = 10_000
"""Of the newest actions what was said is kept: it may be asked for again by whoever approves or undoes one."""


class RequestBook:
    """Durable when a method that writes returns."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, SCHEMA)

    async def asked(self, request: Request, wall: float) -> None:
        """Keep what was said with an action, newer or not, and that this was the plant's time at a time of the wall."""
        row = (request.action_id, request.device_id or "", msgspec.json.encode(request.facts))

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO facts (action_id, device_id, facts) VALUES (?, ?, ?)", row)
            connection.execute("DELETE FROM facts WHERE place <= (SELECT max(place) FROM facts) - ?", (KEPT,))
            connection.execute("INSERT OR REPLACE INTO clock VALUES (1, ?, ?)", (moment(request.facts.at), wall))

        await self._database.run(work)

    async def read(self, topic: str, after: int) -> None:
        """All records of the topic before this one are dealt with."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO position VALUES (?, ?)", (topic, after))

        await self._database.run(work)

    def position(self, topic: str) -> int:
        """The first record that is not dealt with."""
        found = self._one("SELECT next FROM position WHERE topic = ?", topic)
        return 0 if found is None else int(found[0])

    def plant_time(self, wall: float) -> Micros | None:
        """What the plant's time must be by now, as far as that was ever said."""
        found = self._one("SELECT plant, wall FROM clock")
        return None if found is None else Micros(found[0] + max(0, round((wall - found[1]) * 1e6)))

    def facts_of(self, action: Action) -> Facts | None:
        """What was said with an action, or with the one that it undoes."""
        found = self._one("SELECT facts FROM facts WHERE action_id = ?", action.cause.undoes or action.action_id)
        return None if found is None else msgspec.json.decode(found[0], type=Facts)

    def newest_of(self, device: DeviceId) -> Facts | None:
        """What was last said of a device."""
        found = self._one("SELECT facts FROM facts WHERE device_id = ? ORDER BY place DESC LIMIT 1", device)
        return None if found is None else msgspec.json.decode(found[0], type=Facts)

    def _one(self, query: str, *values: object) -> Any:
        return self._database.read(lambda connection: connection.execute(query, values).fetchone())

    def close(self) -> None:
        self._database.close()
