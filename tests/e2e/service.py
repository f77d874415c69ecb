"""The whole service in this process, on a free port, and a client that publishes to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from graph.detection.model import Model
from streams.instructions import Interpreter
from streams.mqtt import Connection, connect
from streams.service import Parts, Service
from streams.settings import Settings
from tests.waiting import HUNG

SITE = "e2e"


@asynccontextmanager
async def running(
    data: Path, *, model: Model | None = None, interpreter: Interpreter | None = None, **settings: Any
) -> AsyncIterator[tuple[Parts, Connection]]:
    """The parts, once gateways are heard and devices can be told, and a gateway's connection."""
    told = Settings(data=data, site=SITE, mqtt_port=0, **{"api": False, **settings})
    service = Service(told, model=model, interpreter=interpreter)
    async with service.started() as parts:
        await asyncio.wait_for(parts.gateway.connected.wait(), HUNG)
        await asyncio.wait_for(parts.responder.mqtt.connected.wait(), HUNG)
        async with connect(parts.address, "e2e-client") as client:
            yield parts, client
