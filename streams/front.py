"""What a process shows to the outside, whichever parts it is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streams.answers import Readiness
from streams.controlroom import ControlRoom
from streams.feed import Feed
from streams.metrics import Metrics
from streams.webhooks.book import Webhooks


@dataclass(frozen=True)
class Front:
    """For the API and the console."""

    room: ControlRoom
    feed: Feed
    webhooks: Webhooks
    ready: Callable[[], Readiness]
    metrics: Metrics
