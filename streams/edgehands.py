"""What a gateway on Kafka acts with: policy, ledger, ways to devices and webhooks, joined to what workers ask for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from typing import NamedTuple

from agents.dispatcher import Dispatcher, Outlet
from agents.facts import FactsPolicy, topology_of
from agents.policy import NoPolicy, PolicyEngine
from agents.policyfolder import Policy
from schemas.action import MQTT
from schemas.device import DeviceId
from schemas.event import ActionResult, Event
from streams.cluster import Cluster, Names
from streams.findings import FindingStore
from streams.folder import Folder
from streams.ledger import SqliteLedger
from streams.mqtt import Address
from streams.outbox import Outbox
from streams.outlets import MqttOutlet, SparkplugOutlet, SparkplugPlace, WebhookOutlet, place_of
from streams.plantclock import PlantClock
from streams.requestbook import RequestBook
from streams.requests import NoGraph, Requests
from streams.responder import UTC, Responder
from streams.service import commands_of
from streams.settings import Settings
from streams.sparkplug import SparkplugHost
from streams.topics import Topics

SECOND = 1_000_000


class Hand(NamedTuple):
    """Both must be running, once `requests` has recovered."""

    responder: Responder
    requests: Requests


def acting(
    settings: Settings,
    folder: Folder,
    stack: AsyncExitStack,
    *,
    cluster: Cluster,
    names: Names,
    address: Address,
    outbox: Outbox,
    store: FindingStore,
    clock: PlantClock,
    sparkplug: SparkplugHost | None,
) -> Hand:
    """Raises PolicyError, RuleFileError, OSError."""
    book = stack.enter_context(closing(RequestBook(folder.requests)))
    ledger, mqtt = SqliteLedger(folder.ledger), MqttOutlet(Topics(settings.site), address)
    zone = UTC
    rules: PolicyEngine = NoPolicy()
    if settings.policy is not None:
        policy = Policy.load(settings.policy, ledger)
        zone, rules = policy.plant.zone, FactsPolicy(policy, book.facts_of, oldest=int(settings.facts_age * SECOND))
    outlets: dict[str, Outlet] = {name: WebhookOutlet(url) for name, url in settings.webhooks.items()}
    dispatcher = Dispatcher(engine=rules, ledger=ledger, outlets=outlets | {MQTT: mqtt})
    responder = Responder(dispatcher, ledger, mqtt, store=store, clock=clock, zone=zone)
    stack.callback(responder.close)
    responder.live = NoGraph(clock)

    async def place(device: DeviceId) -> SparkplugPlace | None:
        facts = book.newest_of(device)
        return None if facts is None else place_of(topology_of(device, facts), device)

    async def heard(events: Sequence[Event]) -> None:
        await responder.answered([event for event in events if isinstance(event.body, ActionResult)])

    mqtt.sparkplug = SparkplugOutlet(sparkplug, commands_of(settings), place)
    outbox.takers.append(heard)
    return Hand(responder, Requests(settings.site, cluster=cluster, names=names, book=book, responder=responder, clock=clock))
