"""What a worker's consumer fetched: records to the events of a site, and what is refused of them, with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from schemas.binding import BindingError, Header, message
from schemas.decode import Decoded, decode, decode_lines, shown
from schemas.event import Event
from schemas.finding import Invalid
from streams.kafka import Partition

SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
AT_ONCE = 4 << 20
"""Bytes of records that are taken in together: compressed records may be a thousand times as large as what was fetched."""
RAW = 65_536
"""Characters that are kept of a refused input; all of it stays in the events topic as long as that is kept."""


class Fetched(Protocol):
    """A record as the driver gives it."""

    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[Header]: ...


class DeadRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An input that was refused: which record held it, where in it, and why."""

    partition: int
    record_offset: int
    offset: int
    reason: str
    pointer: str
    raw: str


class Read(NamedTuple):
    """The events of one site from a run of records, or what was refused of them."""

    site: str
    events: list[Event]
    refused: list[DeadRecord]


def parts_of(records: Sequence[Fetched]) -> Iterator[Sequence[Fetched]]:
    """Runs of bounded size; never none."""
    start = size = 0
    for at, record in enumerate(records):
        length = len(record.value or b"")
        if size + length > AT_ONCE and at > start:
            yield records[start:at]
            start, size = at, 0
        size += length
    yield records[start:]


def site_of(key: bytes | None) -> str:
    """A record's key, if it can be the name of a site; empty if not."""
    name = (key or b"").decode(errors="replace")
    return name if SITE.fullmatch(name) else ""


def read_records(partition: Partition, site: str, records: Sequence[Fetched], refusal: str | None) -> Read:
    """Decode records of one site, or refuse them all. Single events are read in bulk, which is several times as fast."""
    read = Read(site, [], [])
    singles: list[tuple[int, bytes]] = []
    for record in records:
        try:
            text = _text(record, refusal)
        except BindingError as error:
            invalid = Invalid(offset=0, reason=str(error), pointer="", raw=shown(record.value or b""))
            read.refused.append(dead_record(partition, record.offset, invalid))
            continue
        if text[:1] == b"{":
            singles.append((record.offset, text))
            continue
        _singles(read, partition, singles)
        singles = []
        _keep(read, partition, decode(text), [record.offset])
    _singles(read, partition, singles)
    return read


def _text(record: Fetched, refusal: str | None) -> bytes:
    if refusal is not None:
        raise BindingError(refusal)
    return message(record.headers, record.value)


def _singles(read: Read, partition: Partition, singles: Sequence[tuple[int, bytes]]) -> None:
    if singles:
        _keep(read, partition, decode_lines([text for _, text in singles]), [offset for offset, _ in singles])


def _keep(read: Read, partition: Partition, decoded: Decoded, offsets: Sequence[int]) -> None:
    """`offsets`: of the record of each line, or of the one record that held the batch."""
    read.events.extend(decoded.events)
    for invalid in decoded.invalid:
        whole = len(offsets) == 1
        place = invalid if whole else msgspec.structs.replace(invalid, offset=0)
        read.refused.append(dead_record(partition, offsets[0 if whole else invalid.offset], place))


def dead_record(partition: Partition, offset: int, invalid: Invalid) -> DeadRecord:
    return DeadRecord(
        partition=partition,
        record_offset=offset,
        offset=invalid.offset,
        reason=invalid.reason,
        pointer=invalid.pointer,
        raw=invalid.raw[:RAW],
    )


def place_of(dead: DeadRecord) -> tuple[int, int]:
    return dead.record_offset, dead.offset
