"""A decision away from the graph: what the policy asks of it, taken where the graph is and judged where the policy is.

A worker takes the facts (`facts_of`), a gateway decides by them (`FactsPolicy`): by the same engine, on a graph of these facts
alone, so the answer is the one that the live graph had given then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from agents.policy import Approver, Decision, refusal
from agents.policyfolder import Policy
from graph.live import rings
from graph.topology import DeviceState, Topology
from schemas.action import Action, moment
from schemas.device import DeviceId, Relation
from schemas.event import Body, Connected, Disconnected, Event, Linked, Micros, Stamp, rfc3339
from schemas.facts import Described, Down, Facts, Request

MOST = 1_001
"""Devices that go down: one more than policies look at, unless they say otherwise."""
SPARKPLUG = "sparkplug"
FactsOf = Callable[[Action], Facts | None]


def requested(action: Action, topology: Topology, now: Micros) -> Request:
    """An action with what is known of its device."""
    facts = facts_of(action.device_id, topology, now, signal=action.arguments.get("signal"))
    return Request(**{**_fields(action), "facts": facts})


def plain(request: Request) -> Action:
    """What is kept and sent of it: the facts are for the decision alone."""
    fields = _fields(request)
    del fields["facts"]
    return Action(**fields)


def _fields(action: Action) -> dict[str, Any]:
    return msgspec.structs.asdict(action)


def facts_of(device: DeviceId | None, topology: Topology, now: Micros, *, signal: object = None) -> Facts:
    """`signal`: the one that an action names."""
    at = rfc3339(now)
    held = None if device is None else topology.device(device)
    if device is None or held is None:
        return Facts(at=at)
    described = None
    if held.type is not None and held.state is not DeviceState.PLACEHOLDER:
        properties = {name: value for name, value in held.properties.items() if name.startswith(SPARKPLUG)}
        connected = held.state is DeviceState.CONNECTED
        named = tuple(each for name, each in held.signals.items() if name == signal)
        described = Described(type=held.type, zone=held.zone, connected=connected, properties=properties, signals=named)
    down: list[Down] = []
    for hops, ring in enumerate(rings(topology, device), 1):
        down += [Down(near, hops, topology.zone_of(near)) for near in ring[: MOST - len(down)]]
        if len(down) >= MOST:
            return Facts(at=at, device=described, down=tuple(down))
    return Facts(at=at, device=described, down=tuple(down), complete=True)


def topology_of(device: DeviceId | None, facts: Facts) -> Topology:
    """A graph of the facts: each device that goes down hangs on one that is a step nearer."""
    topology = Topology()
    if device is not None:
        at = moment(facts.at)
        topology.merge(Event(Stamp(at, "/facts", 0, number, ""), body) for number, body in enumerate(_bodies(device, facts)))
    return topology


def _bodies(device: DeviceId, facts: Facts) -> Iterator[Body]:
    said = facts.device
    if said is not None:
        yield Connected(device, said.type, zone=said.zone, properties=dict(said.properties), signals=said.signals)
        if not said.connected:
            yield Disconnected(device)
    nearest: Mapping[int, DeviceId] = {0: device} | {one.hops: one.device_id for one in reversed(facts.down)}
    for one in facts.down:
        yield Linked(nearest[one.hops - 1], one.device_id, Relation.FEEDS)
        if one.zone is not None:
            yield Connected(one.device_id, "unknown", zone=one.zone)


class FactsPolicy:
    """`agents.policy.PolicyEngine`: the engine of a folder, on facts that are no older than `oldest` microseconds."""

    def __init__(self, policy: Policy, facts_of: FactsOf, *, oldest: int) -> None:
        self._policy = policy
        self._facts_of = facts_of
        self._oldest = oldest

    def decide(self, action: Action, topology: Topology, now: Micros, *, approver: Approver | None = None) -> Decision:
        del topology
        facts = self._facts_of(action)
        if facts is None:
            return refusal(action, "nothing is known here of its device: no worker has said it", now)
        if (age := now - moment(facts.at)) > self._oldest:
            reason = (
                f"what is known of its device is {age / 1e6:.0f} s old, more than {self._oldest / 1e6:g} s (setting facts_age)"
            )
            return refusal(action, reason, now)
        plant = self._policy.plant
        if plant.takes_down(action.verb) and not facts.complete and facts.down and len(facts.down) <= plant.said.blast.devices:
            return refusal(
                action, f"its policy looks at more than the {len(facts.down)} devices that are known to go down", now
            )
        return self._policy.decide(action, topology_of(action.device_id, facts), now, approver=approver)
