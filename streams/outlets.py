"""Ways by which actions leave: the device's MQTT command topic, Sparkplug's for devices that came by it, and webhooks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import httpx
import msgspec

from agents.dispatcher import NotSentError
from graph.topology import Topology
from schemas.action import Action
from schemas.device import DeviceId
from schemas.sparkplug.command import Write
from schemas.sparkplug.model import SparkplugError
from schemas.sparkplug.names import device_id
from schemas.sparkplug.topic import EdgeNode
from streams.commandfile import Commands, UnsaidError
from streams.mqtt import Address, Connection, connections
from streams.sparkplug import SparkplugHost
from streams.topics import Topics

logger = logging.getLogger(__name__)
CONNECT_WAIT = 2.0
"""Seconds that an action waits for the broker before it counts as not sent."""
WEBHOOK_TIMEOUT = 15.0


class SparkplugPlace(NamedTuple):
    """Where a device is in Sparkplug's namespace; without a device it is the edge node itself."""

    node: EdgeNode
    device: str | None


PlaceOf = Callable[[DeviceId], Awaitable[SparkplugPlace | None]]


def place_of(topology: Topology, device: DeviceId) -> SparkplugPlace | None:
    """By what its birth left in the graph; None for a device that did not come by Sparkplug."""
    known = topology.device(device)
    said = {} if known is None else known.properties
    names = [said.get(f"sparkplug{part}") for part in ("Group", "EdgeNode", "Device")]
    group, edge, name = (one if isinstance(one, str) else None for one in names)
    if group is None or edge is None or device_id(EdgeNode(group, edge), name) != device:
        return None
    return SparkplugPlace(EdgeNode(group, edge), name)


class SparkplugOutlet:
    """Writes metrics: which ones is said by `commands` alone. `host`: None where Sparkplug is off."""

    def __init__(self, host: SparkplugHost | None, commands: Commands, place: PlaceOf) -> None:
        self._host = host
        self._commands = commands
        self.place = place

    async def send(self, action: Action, place: SparkplugPlace) -> None:
        """Raises NotSentError, ConnectionError."""
        if self._host is None:
            raise NotSentError("the device came by Sparkplug, and setting sparkplug_role is off")
        try:
            wanted = self._commands.wanted(action)
            write = Write(
                action_id=action.action_id,
                device_id=action.device_id or device_id(*place),
                device=place.device,
                metric=wanted.metric,
                value=wanted.value,
                until=action.expiry,
            )
            await self._host.write(place.node, write)
        except (UnsaidError, SparkplugError) as error:
            raise NotSentError(str(error)) from error


class MqttOutlet:
    """Publishes to command topics, over a connection that it keeps up. `run` must be running.

    What is for a device that came by Sparkplug goes by `sparkplug`, once that is there.
    """

    def __init__(self, topics: Topics, address: Address) -> None:
        self._topics = topics
        self._address = address
        self._connection: Connection | None = None
        self.connected = asyncio.Event()
        self.sparkplug: SparkplugOutlet | None = None

    async def run(self) -> None:
        async for connection in connections(self._address, f"openautoglm-{self._topics.site}-commands"):
            self._connection = connection
            self.connected.set()
            try:
                async for message in connection.messages():
                    message.ack()
            except ConnectionError as error:
                logger.warning("no commands can go out: %s", error)
            self.connected.clear()

    async def send(self, action: Action) -> None:
        """Raises NotSentError, ConnectionError."""
        if action.device_id is None:
            raise NotSentError("only a device has a command topic")
        if self.sparkplug is not None and (place := await self.sparkplug.place(action.device_id)) is not None:
            await self.sparkplug.send(action, place)
            return
        try:
            async with asyncio.timeout(CONNECT_WAIT):
                await self.connected.wait()
        except TimeoutError as error:
            raise NotSentError("the MQTT broker is away") from error
        assert self._connection is not None
        await self._connection.publish(self._topics.commands(action.device_id), msgspec.json.encode(action))


class WebhookError(Exception):
    """Nobody knows whether the webhook has taken the action over."""


class WebhookOutlet:
    """Posts actions to one address; any 2xx is success, redirects are not followed."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def send(self, action: Action) -> None:
        """Raises NotSentError, WebhookError. Neither tells the address, which may hold a secret."""
        headers = {"content-type": "application/json", "idempotency-key": action.action_id}
        async with httpx.AsyncClient(timeout=WEBHOOK_TIMEOUT, follow_redirects=False) as client:
            try:
                response = await client.post(self._url, content=msgspec.json.encode(action), headers=headers)
            except httpx.ConnectError as error:
                raise NotSentError(f"the webhook cannot be reached: {error}") from error
            except httpx.HTTPError as error:
                raise WebhookError(f"the webhook gave no answer: {type(error).__name__}") from error
        if not response.is_success:
            raise WebhookError(f"the webhook answered {response.status_code}")
