"""Ways by which actions leave: the device's MQTT command topic, and webhooks."""

from __future__ import annotations

import asyncio
import logging

import httpx
import msgspec

from agents.dispatcher import NotSentError
from schemas.action import Action
from streams.mqtt import Address, Connection, connections
from streams.topics import Topics

logger = logging.getLogger(__name__)
CONNECT_WAIT = 2.0
"""Seconds that an action waits for the broker before it counts as not sent."""
WEBHOOK_TIMEOUT = 15.0


class MqttOutlet:
    """Publishes to command topics, over a connection that it keeps up. `run` must be running."""

    def __init__(self, topics: Topics, address: Address) -> None:
        self._topics = topics
        self._address = address
        self._connection: Connection | None = None
        self._connected = asyncio.Event()

    async def run(self) -> None:
        async for connection in connections(self._address, f"openautoglm-{self._topics.site}-commands"):
            self._connection = connection
            self._connected.set()
            try:
                async for message in connection.messages():
                    message.ack()
            except ConnectionError as error:
                logger.warning("no commands can go out: %s", error)
            self._connected.clear()

    async def send(self, action: Action) -> None:
        """Raises NotSentError, ConnectionError."""
        if action.device_id is None:
            raise NotSentError("only a device has a command topic")
        try:
            async with asyncio.timeout(CONNECT_WAIT):
                await self._connected.wait()
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
