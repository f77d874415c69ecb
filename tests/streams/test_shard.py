"""One partition: what goes in, what is told, what is kept, and that a repeat from any point tells nothing twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec
import pytest

from graph.detection.model import Model
from graph.detection.training import train
from schemas.binding import Header, binary
from schemas.encode import encode
from schemas.event import Event
from streams.cluster import KINDS, RECORD, Names
from streams.crashpoints import CrashPoints
from streams.kafka import FencedError, Note, Partition
from streams.pipeline import Pipeline
from streams.shard import MOST_SITES, Shard, unwatched
from streams.snapshots import topology_of
from streams.statetopic import CHUNK, DamagedStateError, joined, split
from tests.cluster.harness import LATENESS, oracle
from tests.streams.plant import line, recording, wire

NAMES = Names("shard")
EVENTS = recording(260, seed=9, broken_from=180)


@dataclass
class Memory:
    """`Transactions` in memory: `topics` hold what was written, `fails` the attempts that do not come through."""

    topics: dict[str, list[Note]] = field(default_factory=dict)
    fails: list[Exception] = field(default_factory=list)

    async def write(self, notes: Iterable[Note]) -> None:
        whole = list(notes)
        if self.fails:
            raise self.fails.pop()
        for note in whole:
            self.topics.setdefault(note.topic, []).append(note)

    async def close(self) -> None:
        """Nothing to put away."""

    def held(self) -> dict[str, bytes]:
        newest = {note.key: note.value for note in self.topics.get(NAMES.state, [])}
        return {key: value for key, value in newest.items() if value is not None}

    def told(self, kind: str, site: str = "plant") -> list[bytes]:
        return [note.value or b"" for note in self.topics.get(NAMES.findings(kind), []) if note.key == site]


@dataclass(frozen=True)
class Record:
    offset: int
    value: bytes | None
    key: bytes | None = b"plant"
    headers: Sequence[Header] = ()


@pytest.fixture(scope="module")
def model() -> Model:
    return train([recording(500, seed=seed) for seed in range(3)])


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as one:
        yield one


@pytest.fixture
def memory() -> Memory:
    return Memory()


def shard_of(
    memory: Memory, executor: ThreadPoolExecutor, model: Model | None = None, *, most_sites: int = MOST_SITES
) -> Shard:
    return Shard(
        Partition(0),
        partitions=1,
        names=NAMES,
        writer=memory,
        pipeline_of=lambda site: Pipeline(site, model=model, lateness=LATENESS),
        watch=unwatched,
        executor=executor,
        every=0,
        crash=CrashPoints(),
        most_sites=most_sites,
    )


def records(events: Sequence[Event] = EVENTS, *, size: int = 40, start: int = 0) -> list[Record]:
    parts = [events[at : at + size] for at in range(0, len(events), size)]
    return [Record(start + 2 * number, encode(part)) for number, part in enumerate(parts)]


async def test_a_repeat_from_any_snapshot_tells_nothing_twice(
    memory: Memory, executor: ThreadPoolExecutor, model: Model
) -> None:
    """The worker dies after each record, with the newest snapshot several records old."""
    log = records()
    for number in range(len(log)):
        shard = shard_of(memory, executor, model)
        await shard.restore(memory.held())
        begin = max(0, number - 3)
        for record in log[begin : number + 1]:
            await shard.take([record])
        if number % 4 == 0:
            await shard.save()
    expected = oracle("plant", EVENTS, model)
    assert memory.told("alerts") == [msgspec.json.encode(alert) for alert in expected.alerts]
    assert memory.told("faults") == [msgspec.json.encode(fault) for fault in expected.faults]
    assert expected.alerts


async def test_a_snapshot_goes_on_where_it_was_taken(memory: Memory, executor: ThreadPoolExecutor) -> None:
    first = shard_of(memory, executor)
    await first.take(records()[:10])
    assert first.committable == 0
    await first.save()
    assert first.committable == 19
    second = shard_of(memory, executor)
    await second.restore(memory.held())
    await second.take(records())
    await second.save()
    whole = joined("plant", memory.held())
    assert whole is not None
    assert topology_of(whole[1]).digest() == oracle("plant", EVENTS, None).digest
    assert second.sites["plant"].pipeline.counts.duplicate == 0


async def test_sites_of_one_partition_do_not_mix(memory: Memory, executor: ThreadPoolExecutor) -> None:
    shard = shard_of(memory, executor)
    both = itertools.chain.from_iterable(
        (Record(2 * record.offset, record.value, b"one"), Record(2 * record.offset + 1, record.value, b"two"))
        for record in records()
    )
    await shard.take(list(both))
    digests = {name: site.pipeline.topology.digest() for name, site in shard.sites.items()}
    assert digests == dict.fromkeys(("one", "two"), oracle("plant", EVENTS, None).digest)


async def test_only_sites_that_are_safe_let_the_position_move(memory: Memory, executor: ThreadPoolExecutor) -> None:
    shard = shard_of(memory, executor)
    await shard.take([Record(0, line(EVENTS[0]), b"one"), Record(1, line(EVENTS[0]), b"two")])
    await shard.save()
    await shard.take([Record(2, line(EVENTS[1]), b"two"), Record(3, b"{", b"one")])
    assert shard.committable == 2


@pytest.mark.parametrize("mode", ["single", "binary", "batch"])
async def test_every_mode_gives_the_same_graph(mode: str, memory: Memory, executor: ThreadPoolExecutor) -> None:
    shard = shard_of(memory, executor)
    match mode:
        case "single":
            log = [Record(at, line(event)) for at, event in enumerate(EVENTS)]
        case "binary":
            log = [_binary(at, event) for at, event in enumerate(EVENTS)]
        case _:
            log = records()
    await shard.take(log)
    assert shard.sites["plant"].pipeline.topology.digest() == oracle("plant", EVENTS, None).digest


def _binary(at: int, event: Event) -> Record:
    whole = wire(event)
    data = msgspec.json.encode(whole.pop("data"))
    return Record(at, data, headers=binary({name: str(value) for name, value in whole.items()}))


async def test_bad_ones_are_kept_and_the_good_go_on(memory: Memory, executor: ThreadPoolExecutor) -> None:
    shard = shard_of(memory, executor)
    good = [line(event) for event in EVENTS[:4]]
    await shard.take(
        [
            Record(0, good[0]),
            Record(1, b"not an event"),
            Record(2, b"[" + good[1] + b',{"specversion":"1.0"},' + good[2] + b"]"),
            Record(3, None),
            Record(4, good[3], key=b"no such/site"),
            Record(5, good[3]),
        ]
    )
    assert shard.sites["plant"].pipeline.counts.accepted == 4
    dead = [msgspec.json.decode(note.value or b"") for note in memory.topics[NAMES.deadletters]]
    assert [(letter["recordOffset"], letter["offset"]) for letter in dead] == [(1, 0), (2, 1), (3, 0), (4, 0)]
    assert "name of a site" in dead[3]["reason"]
    assert dead[0]["raw"] == "not an event"
    assert shard.invalid == 4
    again = shard_of(memory, executor)
    await again.restore(memory.held())
    await again.take([Record(1, b"not an event"), Record(6, b"[]")])
    assert len(memory.topics[NAMES.deadletters]) == 5
    assert again.invalid == 5


async def test_whoever_invents_sites_fills_no_memory(memory: Memory, executor: ThreadPoolExecutor) -> None:
    shard = shard_of(memory, executor, most_sites=3)
    await shard.take([Record(at, line(EVENTS[0]), f"site-{at}".encode()) for at in range(5)])
    assert len(shard.sites) == 3
    assert shard.invalid == 2
    await shard.take([Record(5, line(EVENTS[1]), b"site-1")])
    assert shard.sites["site-1"].pipeline.counts.accepted == 2


async def test_a_refused_record_of_any_size_can_be_kept(memory: Memory, executor: ThreadPoolExecutor) -> None:
    """Were its letter too large for its topic, the worker would come back to it for ever."""
    await shard_of(memory, executor).take([Record(0, b'"' + b"\x01" * (3 << 20))])
    assert all(len(note.value or b"") < RECORD for note in memory.topics[NAMES.deadletters])


async def test_an_error_is_the_callers(memory: Memory, executor: ThreadPoolExecutor) -> None:
    memory.fails = [FencedError("gone")]
    with pytest.raises(FencedError):
        await shard_of(memory, executor).take([Record(0, b"{")])


def test_a_snapshot_is_whole_or_refused() -> None:
    snapshot = bytes(range(256)) * (CHUNK // 100)
    written = dict(split("plant", snapshot, offset=7, made=dict.fromkeys(KINDS, 1), before=9))
    held = {key: value for key, value in written.items() if value is not None}
    whole = joined("plant", held)
    assert whole is not None
    assert whole[1] == snapshot
    assert written["plant/000008"] is None
    for spoilt in (held | {"plant/000001": b"x"}, {key: value for key, value in held.items() if key != "plant/000000"}):
        with pytest.raises(DamagedStateError, match="plant"):
            joined("plant", spoilt)
    assert joined("other", held) is None
    with pytest.raises(DamagedStateError, match="cannot be read"):
        joined("plant", held | {"plant/manifest": b"{"})
