"""The order of one edge node's messages: one counter, 0 to 255 and round again, over all of its topics.

Brokers may deliver messages of different topics in another order than they were sent. What comes too early waits here until
what is missing has come, or until the session gives up waiting.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from schemas.event import Micros
from schemas.sparkplug.model import Payload
from schemas.sparkplug.topic import Topic

ROUND = 256


class Arrival(msgspec.Struct, frozen=True):
    """A message as it came, at `at`. `digest` names it: the same bytes on the same topic have the same one."""

    topic: Topic
    name: str
    raw: bytes
    payload: Payload
    digest: str
    at: Micros
    retained: bool = False


class Turn(msgspec.Struct, frozen=True):
    """A message whose turn it is, and its number since the birth, as if the counter had no end."""

    count: int
    arrival: Arrival


class Sequence:
    """`count` is the number of the last message since the birth, which has 0."""

    def __init__(self) -> None:
        self.count = 0
        self._next = 0
        self._waiting: dict[int, Arrival] = {}
        self._passed: dict[int, str] = {}

    def begin(self, arrival: Arrival, number: int) -> None:
        """A birth: any number may be its own. What waits stays."""
        self.count = 0
        self._next = (number + 1) % ROUND
        self._passed = {number: arrival.digest}

    def knows(self, arrival: Arrival, number: int) -> bool:
        """Whether this came before: overlapping subscriptions bring messages twice."""
        waiting = self._waiting.get(number)
        return self._passed.get(number) == arrival.digest or (waiting is not None and waiting.digest == arrival.digest)

    def offer(self, arrival: Arrival, number: int) -> Iterator[Turn]:
        """Take a message in; those whose turn it is now, in order.

        One that was given up, and comes after all, has its turn at once. If another message waits under this number, a whole
        round is missing, and nobody waits any longer.
        """
        late = self.count + self._distance(number) + 1 - ROUND
        if late > 0 and number not in self._passed and number not in self._waiting:
            self._passed[number] = arrival.digest
            yield Turn(late, arrival)
            return
        if number in self._waiting:
            yield from self.hurry()
        self._waiting[number] = arrival
        yield from self.ready()

    def ready(self) -> Iterator[Turn]:
        """Those whose turn it is, in order."""
        while (arrival := self._waiting.pop(self._next, None)) is not None:
            yield self._pass(self._next, arrival)

    def hurry(self) -> Iterator[Turn]:
        """All that wait, in order: what is missing will not come."""
        for number in sorted(self._waiting, key=self._distance):
            yield self._pass(number, self._waiting.pop(number))

    def drop_before(self, sent: int) -> Iterator[Turn]:
        """Those that were sent before a time in milliseconds, in order."""
        for number in sorted(self._waiting, key=self._distance):
            if (self._waiting[number].payload.timestamp or 0) < sent:
                yield self._pass(number, self._waiting.pop(number))

    @property
    def oldest(self) -> Micros | None:
        """When the first of those that wait was received."""
        return min((arrival.at for arrival in self._waiting.values()), default=None)

    def _distance(self, number: int) -> int:
        return (number - self._next) % ROUND

    def _pass(self, number: int, arrival: Arrival) -> Turn:
        skipped = self._distance(number)
        for at in range(skipped):
            self._passed.pop((self._next + at) % ROUND, None)
        self.count += skipped + 1
        self._next = (number + 1) % ROUND
        self._passed[number] = arrival.digest
        return Turn(self.count, arrival)
