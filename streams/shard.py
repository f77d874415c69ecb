"""One partition of the events topic and the sites in it: what a worker holds, hands over, and takes over.

In the order that makes it safe: 1. a bulk of records is decoded; 2. each site's pipeline takes its events in; 3. what was
found, what was refused, and how much of both has been told by now go out in one transaction; 4. from time to time the snapshots
are written, each with the position from which its site goes on; 5. last, the position of the partition is committed. A crash
anywhere repeats from the snapshots, and the repeat makes the same findings under the same numbers, so those that were told are
not told again. Fed by the worker; knows nothing of how records are fetched.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from agents.facts import requested
from schemas.action import Action
from schemas.event import Event
from schemas.finding import Alert, Fault
from streams.analysis import made_to_stay
from streams.cluster import KINDS, Names
from streams.crashpoints import CrashPoint, CrashPoints
from streams.fetched import DeadRecord, Fetched, Read, parts_of, place_of, read_records, site_of
from streams.kafka import Note, Partition, partition_of
from streams.pipeline import Pipeline, Reaction
from streams.statetopic import TOLD, Manifest, joined, sites, split

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
REFUSED = "deadletters"
MOST_SITES = 1_000
"""Of one partition: whoever invents keys fills no memory."""
SNAPSHOTS_AT_ONCE = 8 << 20
"""Bytes of small snapshots that go into one transaction."""
PARTITIONER = "let the producer choose by murmur2, as Java's clients do (librdkafka: partitioner=murmur2_random)"
NO_SITE = "the key is no name of a site (letters, digits, '_', '.', '-'; at most 64)"
SAVING_SHARE = 10
"""Snapshots take at most one part in so many of the time."""


class Observer(Protocol):
    """Who follows a site's pipeline while it is here: the projection."""

    def noticed(self) -> None:
        """The pipeline has taken in events, or was restored."""
        ...

    async def close(self) -> None: ...


class Transactions(Protocol):
    """Where a shard writes: all of the notes, or none."""

    async def write(self, notes: Iterable[Note]) -> None:
        """Raises FencedError, ConnectionError."""
        ...

    async def close(self) -> None: ...


Watch = Callable[[Partition, "Site"], Observer | None]


def unwatched(_: Partition, __: Site) -> None:
    """Nobody follows."""


@dataclass
class Site:
    """A pipeline, how far it has come, and what it has found so far: `made` by itself, `told` to subscribers."""

    pipeline: Pipeline
    position: int = 0
    made: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    told: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    chunks: int = 0
    unsaved: int | None = None
    """The first record that no snapshot knows."""

    observer: Observer | None = None

    def take(self, events: Sequence[Event], after: int) -> Reaction:
        """Take events in; whoever reads pipeline and position in the model thread reads what belongs together.

        Actions leave with what is known of their devices, for the gateway that decides on them.
        """
        reaction = self.pipeline(events)
        self.position = after
        topology, now = self.pipeline.topology, self.pipeline.now
        reaction.actions = [requested(action, topology, now) for action in reaction.actions]
        return reaction

    def restore(self, found: tuple[Manifest, bytes] | None) -> None:
        """Go on from a snapshot, if there is one; in the model thread. Raises SnapshotError."""
        if found is not None:
            manifest, snapshot = found
            with made_to_stay():
                self.pipeline.restore(snapshot)
            self.position, self.chunks = manifest.offset, manifest.chunks
            self.made |= manifest.made

    def noticed(self) -> None:
        if self.observer is not None:
            self.observer.noticed()

    def new(self, reaction: Reaction) -> Iterator[tuple[str, int, bytes]]:
        """Findings that were not told yet, with their kinds and numbers."""
        found: tuple[Sequence[Alert | Fault | Action], ...] = (
            reaction.alerts,
            [state.finding() for state in reaction.faults],
            reaction.actions,
        )
        for kind, findings in zip(KINDS, found, strict=True):
            for finding in findings:
                self.made[kind] += 1
                if self.made[kind] > self.told[kind]:
                    yield kind, self.made[kind], msgspec.json.encode(finding)


class Shard:
    """`pipeline_of` makes the pipeline of a site that is new here; `executor` is the one thread that touches pipelines."""

    def __init__(
        self,
        partition: Partition,
        *,
        partitions: int,
        names: Names,
        writer: Transactions,
        pipeline_of: Callable[[str], Pipeline],
        watch: Watch,
        executor: Executor,
        every: float,
        crash: CrashPoints,
        most_sites: int = MOST_SITES,
    ) -> None:
        self.partition = partition
        self._partitions = partitions
        self.sites: dict[str, Site] = {}
        self.next: int | None = None
        """The first record that was not taken yet; None before the first."""
        self.invalid = 0
        self._refused_before = 0
        self._names = names
        self._writer = writer
        self._pipeline_of = pipeline_of
        self._watch = watch
        self._executor = executor
        self._every = every
        self._crash = crash
        self._most_sites = most_sites
        self._saved = time.monotonic()
        self._pause = every

    # --- Take over and hand over ---------------------------------------------------------------------------------------

    async def restore(self, held: Mapping[str, bytes]) -> None:
        """Go on from what the state topic holds. Raises DamagedStateError, SnapshotError."""
        for name in sites(held):
            site = Site(self._pipeline_of(name))
            if f"{name}/{TOLD}" in held:
                site.told |= msgspec.json.decode(held[f"{name}/{TOLD}"], type=dict[str, int])
            await self._in_model_thread(partial(site.restore, joined(name, held)))
            self._add(name, site)
        if REFUSED in held:
            self._refused_before, self.invalid = msgspec.json.decode(held[REFUSED], type=tuple[int, int])

    def _add(self, name: str, site: Site) -> None:
        logger.info("site %s: partition %d", name, self.partition)
        self.sites[name] = site
        site.observer = self._watch(self.partition, site)
        site.noticed()

    async def renew(self) -> None:
        """Make sure that no other worker had this partition in between. Raises FencedError, ConnectionError."""
        await self._writer.write([self._refused_note()])

    @property
    def committable(self) -> int | None:
        """All records before this one are in snapshots, or were of no site; None if nothing was taken yet."""
        return min((site.unsaved for site in self.sites.values() if site.unsaved is not None), default=self.next)

    async def close(self) -> None:
        observers = [site.observer for site in self.sites.values() if site.observer is not None]
        await asyncio.gather(*(observer.close() for observer in observers))
        await self._writer.close()

    # --- Take in -------------------------------------------------------------------------------------------------------

    async def take(self, records: Sequence[Fetched]) -> None:
        """Take in records, in their order, and tell what they give rise to, in as many transactions as their size asks for.

        Raises FencedError or ConnectionError; the shard is of no use then, and is to be taken over anew.
        """
        for part in parts_of(records):
            await self._take(part)

    async def _take(self, records: Sequence[Fetched]) -> None:
        notes: list[Note] = []
        refused: list[DeadRecord] = []
        for name, part in self._by_site(records).items():
            refusal = self._refusal(name)
            read = await self._in_model_thread(partial(read_records, self.partition, name, part, refusal))
            refused += read.refused
            if refusal is None:
                notes += await self._react(read, part)
        notes += self._dead(refused)
        self._crash.reached(CrashPoint.PROCESSED)
        if notes:
            await self._writer.write(notes)
            self._crash.reached(CrashPoint.FINDINGS_SAVED)
        self.next = records[-1].offset + 1

    def _refusal(self, name: str) -> str | None:
        """Why records of this name are not taken, if they are not."""
        if not name:
            return NO_SITE
        belongs = partition_of(name.encode(), self._partitions)
        if belongs != self.partition:
            return f"site {name} belongs to partition {belongs}, this is {self.partition}: {PARTITIONER}"
        new = name not in self.sites and len(self.sites) >= self._most_sites
        return f"a new site, and there are {self._most_sites} in this partition already" if new else None

    def _by_site(self, records: Sequence[Fetched]) -> dict[str, list[Fetched]]:
        """Those that a site does not know yet; order matters within a site alone. Empty: of no site."""
        parts: dict[str, list[Fetched]] = {}
        for record in records:
            name = site_of(record.key)
            site = self.sites.get(name)
            if site is None or record.offset >= site.position:
                parts.setdefault(name, []).append(record)
        return parts

    async def _react(self, read: Read, part: Sequence[Fetched]) -> list[Note]:
        """What is to be told of one site: its new findings, and how many it has told with them."""
        site = self.sites.get(read.site)
        if site is None:
            if not read.events:
                return []  # nothing valid makes no site
            self._add(read.site, site := Site(self._pipeline_of(read.site)))
        reaction = await self._in_model_thread(partial(site.take, read.events, part[-1].offset + 1))
        site.noticed()
        if site.unsaved is None:
            site.unsaved = part[0].offset
        notes = [self._finding(read.site, *found) for found in site.new(reaction)]
        if notes:
            site.told = {kind: max(site.made[kind], site.told[kind]) for kind in KINDS}
            notes.append(Note(self._names.state, f"{read.site}/{TOLD}", msgspec.json.encode(site.told)))
        return notes

    def _finding(self, site: str, kind: str, number: int, body: bytes) -> Note:
        headers = (("content-type", b"application/json"), ("number", str(number).encode()))
        return Note(self._names.findings(kind), site, body, headers)

    def _dead(self, refused: Iterable[DeadRecord]) -> list[Note]:
        fresh = sorted((dead for dead in refused if dead.record_offset >= self._refused_before), key=place_of)
        if not fresh:
            return []
        self.invalid += len(fresh)
        self._refused_before = fresh[-1].record_offset + 1
        notes = [Note(self._names.deadletters, str(dead.partition), msgspec.json.encode(dead)) for dead in fresh]
        return [*notes, self._refused_note()]

    def _refused_note(self) -> Note:
        return Note(self._names.state, REFUSED, msgspec.json.encode((self._refused_before, self.invalid)))

    # --- Save ----------------------------------------------------------------------------------------------------------

    @property
    def due(self) -> bool:
        """Whether it is time for snapshots, and there is something new."""
        return time.monotonic() - self._saved >= self._pause and any(site.unsaved is not None for site in self.sites.values())

    async def save(self) -> None:
        """Write the snapshots of all sites that went on. Raises FencedError, ConnectionError."""
        began = time.monotonic()
        saving: list[tuple[Site, int]] = []
        notes: list[Note] = []
        for name, site in [(name, site) for name, site in self.sites.items() if site.unsaved is not None]:
            parts = await self._snapshot(name, site)
            saving.append((site, sum(1 for note in parts if note.value is not None) - 1))
            notes += parts
            if sum(len(note.value or b"") for note in notes) > SNAPSHOTS_AT_ONCE:
                await self._write_snapshots(saving, notes)
        await self._write_snapshots(saving, notes)
        self._crash.reached(CrashPoint.CHECKPOINT_SAVED)
        self._saved = time.monotonic()
        self._pause = max(self._every, SAVING_SHARE * (self._saved - began))

    async def _snapshot(self, name: str, site: Site) -> list[Note]:
        snapshot = await self._in_model_thread(site.pipeline.snapshot)
        parts = split(name, snapshot, offset=site.position, made=site.made, before=site.chunks)
        return [Note(self._names.state, key, value) for key, value in parts]

    async def _write_snapshots(self, saving: list[tuple[Site, int]], notes: list[Note]) -> None:
        if notes:
            self._crash.reached(CrashPoint.CHECKPOINT_WRITTEN)
            await self._writer.write(notes)
            for site, chunks in saving:
                site.chunks, site.unsaved = chunks, None
            saving.clear()
            notes.clear()

    async def _in_model_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)
