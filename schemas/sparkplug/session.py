"""One edge node's session: who of it is alive, what its births said, in which order its messages count.

Pure transitions: a message, or a time that was waited for, goes in; events, refusals and wishes for a rebirth come out. Time is
handed in with each call, and `due` says when to call again.

An event's identity follows from its message: the id from topic and bytes, the epoch from the birth's timestamp, the sequence
from the message's number since the birth. A host that was restarted says the same of the same message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import msgspec

from schemas import bounds
from schemas.device import SignalName
from schemas.event import Body, Connected, Disconnected, Micros, Stamp
from schemas.sparkplug.command import Write, Writes
from schemas.sparkplug.mapping import BD_SEQ, LATEST, MILLISECOND, PROPERTIES, Counts, Readings, Scope, bd_seq, silent
from schemas.sparkplug.model import Metric, SparkplugError
from schemas.sparkplug.names import device_id
from schemas.sparkplug.outcome import EVENTS_OF_ONE, Outcome, Writer, refuse
from schemas.sparkplug.sequence import ROUND, Arrival, Sequence, Turn
from schemas.sparkplug.topic import EdgeNode, MessageType
from schemas.sparkplug.values import KNOWN

SECOND = 1_000_000
MOST_TOLD = 2000
"""Characters of a refusal's reason."""


class Rules(msgspec.Struct, frozen=True):
    """How a host behaves; times in microseconds.

    `asks`: it may ask for rebirths. `reorder`: how long a missing message is waited for. `throttle`: the least time between
    two requests for one node's rebirth; it doubles while there is no answer, up to 16 times, and after `tries` only a new cause
    asks again. `stagger`: how long to leave the asking to others, who may have seen the same. `births`: how long after its
    node's birth a device may take to be born again.
    """

    asks: bool = True
    reorder: int = 2 * SECOND
    throttle: int = 10 * SECOND
    stagger: int = 0
    births: int = 10 * SECOND
    tries: int = 5
    devices: int = 10_000


class Device(msgspec.Struct):
    """`scope` is None until it was born in this session of its node. `seen`: the time of the newest event of its presence."""

    scope: Scope | None = None
    online: bool = False
    awaited: bool = False
    seen: Micros = Micros(0)
    past: dict[SignalName, int] = {}


class Session:
    """Of one edge node. `online` is whether its last birth stands; the node itself is the device None."""

    def __init__(self, node: EdgeNode, rules: Rules, counts: Counts) -> None:
        self.node = node
        self.online = False
        self.known = False
        self.interrupted = False
        self.bd_seq: int | None = None
        self._rules = rules
        self._counts = counts
        self._source = f"/sparkplug/{device_id(node)}"
        self._epoch = 0
        self._order = Sequence()
        self._devices: dict[str | None, Device] = {None: Device()}
        self._aliases: dict[int, tuple[str | None, str] | None] = {}
        self._writes = Writes()
        self._births_until: Micros | None = None
        self._wanted = False
        self._tried = 0
        self._ask_at = Micros(0)
        self._take: dict[MessageType, Callable[[Turn, Outcome], None]] = {
            MessageType.DBIRTH: self._dbirth,
            MessageType.NDATA: self._data,
            MessageType.DDATA: self._data,
            MessageType.DDEATH: self._ddeath,
        }

    # --- In ------------------------------------------------------------------------------------------------------------

    def take(self, arrival: Arrival, out: Outcome) -> None:
        """A message of this node. What the broker had kept is old: it only shows that the node exists."""
        kind = arrival.topic.kind
        if arrival.retained and not (kind is MessageType.NDEATH and self.online):
            self._counts.retained += 1
            if kind is not MessageType.NDEATH and not self.online:
                self._want(arrival.at, out)
        elif kind is MessageType.NBIRTH:
            self._nbirth(arrival, out)
        elif kind is MessageType.NDEATH:
            self._ndeath(arrival, out)
        else:
            self._sequenced(arrival, out)

    def asked(self, now: Micros) -> None:
        """Some host has asked this node for a rebirth: that is as good as having asked."""
        self._ask_at = Micros(max(self._ask_at, now + self._rules.throttle))

    def lost(self, now: Micros, out: Outcome) -> None:
        """The connection to the broker is gone: nothing that is known of this node is current."""
        self.interrupted = self.interrupted or self.online
        self._die(now, "the connection to the broker is lost", f"lost at {now}", out)

    def missed(self, now: Micros, out: Outcome) -> None:
        """The connection is back: what happened meanwhile is not known."""
        if self.interrupted:
            self._tried = 0
            self._want(now, out)

    def write(self, write: Write, now: Micros) -> bytes:
        """The payload of a command. Raises SparkplugError where nothing may be sent: nobody is there, or has no such metric."""
        device = self._devices.get(write.device)
        if not self.online or device is None or not device.online or device.scope is None:
            raise SparkplugError(f"{write.device_id} is not there: no birth of it stands")
        kind = device.scope.announced.get(write.metric)
        if kind is None:
            raise SparkplugError(f"the last birth of {write.device_id} announced no metric {write.metric[:128]!r}")
        alias = next((alias for alias, found in self._aliases.items() if found == (write.device, write.metric)), None)
        return self._writes.add(write, kind, alias, now)

    @property
    def due(self) -> Micros | None:
        """When `tick` has something to do."""
        oldest = self._order.oldest
        times = [self._births_until, None if oldest is None else Micros(oldest + self._rules.reorder)]
        if self._wanted and self._tried < self._rules.tries:
            times.append(self._ask_at)
        return min((at for at in times if at is not None), default=None)

    def tick(self, now: Micros, out: Outcome) -> None:
        """Time has passed."""
        oldest = self._order.oldest
        if oldest is not None and oldest + self._rules.reorder <= now:
            self._counts.gaps += 1
            self._process(self._order.hurry(), out)
            self._want(now, out)
        if self._births_until is not None and self._births_until <= now:
            self._births_until = None
            missing = [name for name, device in self._devices.items() if device.awaited]
            self._gone(missing, now, "not born again after its edge node", f"missing at {now}", out)
        if self._wanted and self._tried < self._rules.tries:
            self._ask(now, out)

    # --- Edge node -----------------------------------------------------------------------------------------------------

    def _nbirth(self, arrival: Arrival, out: Outcome) -> None:
        number = self._number(arrival, out)
        if number is None:
            return
        if self.online and self._order.knows(arrival, number):
            self._counts.duplicate += 1
            return
        sent = arrival.payload.timestamp
        self._process(self._order.drop_before(sent if sent is not None else arrival.at), out)
        self._order.begin(arrival, number)
        # A clock that was set back must not put this session before the last one.
        self._epoch = max(sent if sent is not None and sent <= LATEST else arrival.at // MILLISECOND, self._epoch + 1)
        self._aliases.clear()
        self.online = self.known = True
        self.interrupted = self._wanted = False
        self._tried = 0
        self.bd_seq = bd_seq(arrival.payload.metrics)
        for name, device in self._devices.items():
            device.scope = None
            device.awaited = device.online and name is not None
        awaiting = any(device.awaited for device in self._devices.values())
        self._births_until = Micros(arrival.at + self._rules.births) if awaiting else None
        self._born(None, Turn(0, arrival), out)
        self._process(self._order.ready(), out)

    def _ndeath(self, arrival: Arrival, out: Outcome) -> None:
        """Counts only if it belongs to the last birth: a will may come after the next session has begun."""
        alias = next((alias for alias, found in self._aliases.items() if found == (None, BD_SEQ)), None)
        number = bd_seq(arrival.payload.metrics, alias)
        if not self.known:
            # Who this is we cannot tell, so it is not there; if a newer session of it runs, its rebirth will say so.
            self.known = self._devices[None].online = True
            self._die(arrival.at, "the edge node died", arrival.digest, out)
            self._want(arrival.at, out)
        elif self.bd_seq is None or number == self.bd_seq:
            self.interrupted = False
            self._die(arrival.at, "the edge node died", arrival.digest, out)
        elif number is None:
            refuse(arrival, "a death certificate without bdSeq belongs to no birth", out)
        else:
            self._counts.outdated += 1

    def _die(self, now: Micros, reason: str, cause: str, out: Outcome) -> None:
        if self.online:
            self._process(self._order.hurry(), out)
        self.online = False
        self._wanted = False
        self._births_until = None
        self._aliases.clear()
        self._gone([name for name, device in self._devices.items() if device.online], now, reason, cause, out)

    def _gone(self, names: list[str | None], now: Micros, reason: str, cause: str, out: Outcome) -> None:
        """These are no longer there. A will's bytes are the same in each session, so the epoch is part of the name."""
        if not names:
            return
        cause = hashlib.blake2b(f"{cause} in {self._epoch}".encode(), digest_size=16).hexdigest()
        writer = self._writer(self._order.count + 1, cause, out)
        for name in sorted(names, key=lambda name: (name is None, name or "")):
            device = self._devices[name]
            device.online = device.awaited = False
            device.scope = None
            writer.add(self._presence(device, now, now), Disconnected(device_id(self.node, name), reason))

    # --- Messages in order ---------------------------------------------------------------------------------------------

    def _sequenced(self, arrival: Arrival, out: Outcome) -> None:
        if not self.online:
            self._counts.early += 1
            self._want(arrival.at, out)
            return
        number = self._number(arrival, out)
        if number is None:
            return
        if self._order.knows(arrival, number):
            self._counts.duplicate += 1
        else:
            self._process(self._order.offer(arrival, number), out)

    def _process(self, turns: Iterable[Turn], out: Outcome) -> None:
        for turn in turns:
            self._take[turn.arrival.topic.kind](turn, out)

    def _dbirth(self, turn: Turn, out: Outcome) -> None:
        name = turn.arrival.topic.device
        if name not in self._devices:
            if len(self._devices) > self._rules.devices:
                refuse(turn.arrival, f"the edge node has more than {self._rules.devices} devices", out)
                return
            self._devices[name] = Device()
        self._aliases = {alias: found for alias, found in self._aliases.items() if found is None or found[0] != name}
        self._born(name, turn, out)
        if not any(device.awaited for device in self._devices.values()):
            self._births_until = None

    def _ddeath(self, turn: Turn, out: Outcome) -> None:
        """At the payload's time, as far as that can be: not before the birth, not in the future."""
        arrival = turn.arrival
        device = self._devices.get(arrival.topic.device)
        if device is None or not device.online:
            return
        device.online = device.awaited = False
        device.scope = None
        at = self._presence(device, self._sent(arrival), arrival.at)
        self._writer(turn.count, arrival.digest, out).add(
            at, Disconnected(device_id(self.node, arrival.topic.device), "the device died")
        )

    def _data(self, turn: Turn, out: Outcome) -> None:
        arrival = turn.arrival
        device = self._devices.get(arrival.topic.device)
        if device is None or device.scope is None:
            self._counts.early += 1
            self._want(arrival.at, out)
            return
        unknown = self._counts.unknown
        readings = Readings(device.scope, self._counts, self._sent(arrival))
        at = Micros(min(self._sent(arrival), arrival.at))
        answers: list[tuple[Micros, Body]] = []
        for metric in arrival.payload.metrics:
            name = self._datum(metric, readings, arrival.topic.device)
            if name is not None and (answer := self._writes.reported(arrival.topic.device, name, metric, at)) is not None:
                answers.append((at, answer))
        self._write(turn, readings, out, after=answers)
        if self._counts.unknown > unknown:
            self._want(arrival.at, out)

    def _datum(self, metric: Metric, readings: Readings, device: str | None) -> str | None:
        """Take a metric in; its name, if that is known."""
        name = metric.name
        if name is None and metric.alias is not None:
            found = self._aliases.get(metric.alias, ())
            if found is None or (found and found[0] != device):
                readings.problems.append(f"metric {metric.called()}: the alias belongs to another metric of the edge node too")
                return None
            name = found[1] if found else None
        if name is None:
            self._counts.unknown += 1
        elif not silent(name):
            readings.take(name, metric)
        return name

    # --- Births --------------------------------------------------------------------------------------------------------

    def _born(self, name: str | None, turn: Turn, out: Outcome) -> None:
        """A birth says what there is, and its values are data like any others."""
        arrival, device = turn.arrival, self._devices[name]
        device.scope = scope = Scope(device_id(self.node, name), device.past)
        device.online, device.awaited = True, False
        readings = Readings(scope, self._counts, self._sent(arrival))
        details = {"sparkplugGroup": self.node.group, "sparkplugEdgeNode": self.node.edge}
        if name is not None:
            details["sparkplugDevice"] = name
        facts = self._announced(arrival.payload.metrics, name, readings)
        named = ((one.name, KNOWN.get(one.datatype or 0)) for one in arrival.payload.metrics)
        scope.announced = {one: kind for one, kind in named if one not in (None, BD_SEQ) and kind is not None}
        connected = Connected(
            scope.device_id,
            "gateway" if name is None else "unknown",
            parent=None if name is None else device_id(self.node),
            signals=tuple(readings.signals.values())[: bounds.MANY],
            properties={**details, **facts},
        )
        at = self._presence(device, self._sent(arrival), arrival.at)
        self._write(turn, readings, out, before=[(at, connected)])

    def _announced(self, metrics: tuple[Metric, ...], device: str | None, readings: Readings) -> dict[str, bool | float | str]:
        """Take a birth's metrics in; those that are facts about the device, not signals."""
        facts: dict[str, bool | float | str] = {}
        for metric in metrics:
            name = metric.name
            if name is None:
                readings.problems.append(f"metric {metric.called()}: a birth must name its metrics")
                continue
            if metric.alias is not None:
                taken = metric.alias in self._aliases
                self._aliases[metric.alias] = None if taken else (device, name)
                if taken:
                    readings.problems.append(f"metric {metric.called()}: alias {metric.alias} is given twice")
            if name.startswith(PROPERTIES):
                readings.fact(name, metric, facts)
            elif not silent(name):
                readings.take(name, metric, birth=True)
        return facts

    # --- Out -----------------------------------------------------------------------------------------------------------

    def _write(
        self,
        turn: Turn,
        readings: Readings,
        out: Outcome,
        *,
        before: Iterable[tuple[Micros, Body]] = (),
        after: Iterable[tuple[Micros, Body]] = (),
    ) -> None:
        writer = self._writer(turn.count, turn.arrival.digest, out)
        for at, body in (*before, *readings.events(), *after):
            writer.add(at, body)
        if readings.problems:
            refuse(turn.arrival, "; ".join(readings.problems)[:MOST_TOLD], out)

    def _writer(self, count: int, digest: str, out: Outcome) -> Writer:
        return Writer(Stamp(Micros(0), self._source, self._epoch, count * EVENTS_OF_ONE, digest), out)

    def _sent(self, arrival: Arrival) -> Micros:
        sent = arrival.payload.timestamp
        return arrival.at if sent is None or sent > LATEST else Micros(sent * MILLISECOND)

    def _presence(self, device: Device, proposed: Micros, now: Micros) -> Micros:
        """The newest stamp wins, and the node's clock is not ours: what is said later must not be older, nor in the future."""
        device.seen = Micros(max(min(proposed, now), device.seen + 1))
        return device.seen

    def _number(self, arrival: Arrival, out: Outcome) -> int | None:
        """The message's place in the round. One that is absent is 0, as proto2 reads it; some senders leave zeros out."""
        number = arrival.payload.seq or 0
        if number < ROUND:
            return number
        refuse(arrival, f"the sequence number {number} is beyond {ROUND - 1}", out)
        return None

    def _want(self, now: Micros, out: Outcome) -> None:
        """A rebirth would help. It is asked for at once, or when the throttle allows."""
        if not self._rules.asks:
            return
        if not self._wanted:
            self._wanted = True
            self._ask_at = Micros(max(self._ask_at, now + self._rules.stagger))
        self._ask(now, out)

    def _ask(self, now: Micros, out: Outcome) -> None:
        if now >= self._ask_at:
            self._ask_at = Micros(now + self._rules.throttle * 2 ** min(self._tried, 4))
            self._tried += 1
            self._counts.rebirths += 1
            out.rebirths.append(self.node)
