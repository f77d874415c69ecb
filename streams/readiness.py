"""Whether a service makes progress: each part that has work must have moved lately."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from streams.answers import Readiness

if TYPE_CHECKING:
    from streams.service import Parts

PATIENCE = 30.0
"""Seconds in which a part that has work must move."""


class Progress:
    """Looks at the parts when it is asked; what did not move between two looks is measured from the first."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._moved: dict[str, tuple[int, float]] = {}

    def __call__(self) -> Readiness:
        parts = self._parts
        checks = {
            "gateway": "" if parts.gateway.connected.is_set() else "not connected to the MQTT broker",
            "analysis": self._stuck("analysis", parts.analysis.offset, waits=parts.analysis.busy),
            "feed": self._stuck("feed", parts.feed.newest, waits=parts.store.last() > parts.feed.newest),
        }
        checks |= {"graph database": parts.projection.trouble} if parts.projection.trouble else {"graph database": ""}
        needed = ("gateway", "analysis", "feed")
        return Readiness(ready=not any(checks[name] for name in needed), checks=checks)

    def _stuck(self, name: str, place: int, *, waits: bool) -> str:
        """In words, if a part has work and has not moved for too long."""
        now = time.monotonic()
        before, since = self._moved.get(name, (-1, now))
        if place != before or not waits:
            before, since = place, now
        self._moved[name] = (before, since)
        return f"has not moved for {now - since:.0f} s, and there is work" if now - since > PATIENCE else ""
