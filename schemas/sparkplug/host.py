"""A host's view of all edge nodes: takes a message apart and hands it to the session of its node.

Used by `streams.sparkplug`, which brings messages and time, stores what comes out and sends the requests for rebirths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from schemas.decode import shown
from schemas.event import Micros
from schemas.finding import Invalid
from schemas.sparkplug.codec import decode, encode
from schemas.sparkplug.command import Write
from schemas.sparkplug.datatype import Datatype
from schemas.sparkplug.mapping import MILLISECOND, REBIRTH, Counts
from schemas.sparkplug.model import Held, Metric, Payload, SparkplugError
from schemas.sparkplug.outcome import Outcome
from schemas.sparkplug.sequence import Arrival
from schemas.sparkplug.session import Rules, Session
from schemas.sparkplug.topic import EdgeNode, MessageType, Topic, parse

MOST_NODES = 10_000
COMPRESSED = "SPBV1.0_COMPRESSED"


class Host:
    """All sessions of one connection. Calls come from one thread, with times that do not go back."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.counts = Counts()
        self.sessions: dict[EdgeNode, Session] = {}
        self._rules = rules or Rules()
        self._timed: set[EdgeNode] = set()

    def take(self, topic: str, raw: bytes, now: Micros, *, retained: bool = False) -> Outcome:
        """A message, received now. STATE and commands to devices say nothing about nodes."""
        out = Outcome()
        self.counts.received += 1
        try:
            arrival = _arrival(topic, raw, now, retained=retained)
            if arrival is not None:
                self._session_takes(arrival, out)
        except SparkplugError as error:
            out.refused.append((topic, Invalid(offset=0, reason=str(error), pointer="", raw=shown(raw))))
        self.counts.refused += len(out.refused)
        return out

    def tick(self, now: Micros) -> Outcome:
        """Time has passed."""
        return self._all(lambda session, out: session.tick(now, out), list(self._timed))

    def lost(self, now: Micros) -> Outcome:
        """The connection to the broker is gone."""
        return self._all(lambda session, out: session.lost(now, out), list(self.sessions))

    def back(self, now: Micros) -> Outcome:
        """There is a connection again."""
        return self._all(lambda session, out: session.missed(now, out), list(self.sessions))

    def write(self, node: EdgeNode, write: Write, now: Micros) -> tuple[str, bytes]:
        """Topic and payload of the command to a device, or to the node. Raises SparkplugError: then nothing is to be sent."""
        session = self.sessions.get(node)
        if session is None:
            raise SparkplugError(f"{write.device_id} is not there: no birth of it stands")
        kind = MessageType.NCMD if write.device is None else MessageType.DCMD
        topic = node.topic(kind, write.device)
        return topic, session.write(write, now)

    @property
    def due(self) -> Micros | None:
        """When `tick` has something to do."""
        times = [self.sessions[node].due for node in self._timed]
        return min((at for at in times if at is not None), default=None)

    def _session_takes(self, arrival: Arrival, out: Outcome) -> None:
        node = arrival.topic.node
        assert node is not None
        session = self.sessions.get(node)
        if arrival.topic.kind is MessageType.NCMD:
            if session is not None and asks_rebirth(arrival.payload):
                session.asked(arrival.at)
                self._time(session)
            return
        if session is None:
            if len(self.sessions) >= MOST_NODES:
                raise SparkplugError(f"there are more than {MOST_NODES} edge nodes")
            session = self.sessions[node] = Session(node, self._rules, self.counts)
        session.take(arrival, out)
        self._time(session)

    def _all(self, step: Callable[[Session, Outcome], None], nodes: list[EdgeNode]) -> Outcome:
        out = Outcome()
        for node in sorted(nodes):
            step(session := self.sessions[node], out)
            self._time(session)
        self.counts.refused += len(out.refused)
        return out

    def _time(self, session: Session) -> None:
        if session.due is None:
            self._timed.discard(session.node)
        else:
            self._timed.add(session.node)


def _arrival(topic: str, raw: bytes, now: Micros, *, retained: bool) -> Arrival | None:
    """A message about a node, taken apart. Raises SparkplugError."""
    parsed: Topic = parse(topic)
    if parsed.kind in {MessageType.STATE, MessageType.DCMD}:
        return None
    payload = decode(raw)
    if payload.uuid == COMPRESSED:
        raise SparkplugError("a compressed payload, which the specification does not know; send it uncompressed")
    digest = hashlib.blake2b(b"%d/%s%s" % (len(topic), topic.encode(), raw), digest_size=16).hexdigest()
    if payload.timestamp is None:
        # Without a time of its own, the same bytes may come again and mean something new.
        digest = hashlib.blake2b(f"{digest} at {now}".encode(), digest_size=16).hexdigest()
    return Arrival(parsed, topic, raw, payload, digest, now, retained)


def asks_rebirth(payload: Payload) -> bool:
    """Whether a command asks its node for a rebirth."""
    return any(metric.name == REBIRTH and metric.value is True for metric in payload.metrics)


def rebirth_request(node: EdgeNode, now: Micros) -> tuple[str, bytes]:
    """Topic and payload of the command that asks a node for its births. It has no sequence number, and the metric no alias.

    >>> rebirth_request(EdgeNode("plant", "line 1"), Micros(0))[0]
    'spBv1.0/plant/NCMD/line 1'
    """
    at = now // MILLISECOND
    metric = Metric(name=REBIRTH, timestamp=at, datatype=Datatype.BOOLEAN, held=Held.BOOLEAN, value=True)
    return node.topic(MessageType.NCMD), encode(Payload(timestamp=at, metrics=(metric,)))
