"""The audit: one line for everything that happens to an action, each chained to the one before it.

A line's digest is the SHA-256 of the digest before it and of the line's canonical JSON (sorted members, no blanks). So whoever
changes, removes, inserts or moves a line must compute all digests after it anew, and whoever has kept a later head finds out.
Arguments of actions are not in it, as they may hold secrets: only the digest of the whole record is.
Written by whoever keeps the ledger.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from agents.entry import Entry
from schemas.event import Micros, rfc3339

NOTHING = bytes(32)
"""What the first line is chained to."""
BEGINNING = "beginning"
"""The step of a first line that is about the records of before."""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What happened, when (`at` by the plant's time, `recordedAt` by the wall's), to what, who asked, who had a word in it.

    `record` is the digest of the whole record, which is at `place` of the history. In the first line of a chain that began when
    there were records already, `place` is the last of them, and `record` is of all.
    """

    number: int
    recorded_at: str
    step: str
    place: int
    record: str
    at: str = ""
    site: str = ""
    action_id: str = ""
    verb: str = ""
    device_id: str = ""
    principal: str = ""
    role: str = ""
    stage: str = ""
    by: str = ""
    allowed: bool | None = None
    policies: tuple[str, ...] = ()
    undoes: str = ""
    detail: str = ""
    claimed: bool = False


_HEAD = re.compile(r"(?:\d{1,18}:)?[0-9a-f]{64}")


class Head(NamedTuple):
    """The end of a chain; to be kept elsewhere, since only it shows that lines are missing at the end."""

    number: int
    digest: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.digest.hex()}"


class Row(NamedTuple):
    """A line as it is kept."""

    number: int
    line: bytes
    digest: bytes


class HeadError(ValueError):
    """What was given is no head."""


class BrokenError(Exception):
    """The chain does not hold; `number` is the first line that is wrong."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"line {number}: {reason}")
        self.number = number


def line_of(entry: Entry, *, number: int, place: int, raw: bytes, recorded_at: Micros) -> Line:
    action, decision = entry.action, entry.decision
    return Line(
        number=number,
        recorded_at=rfc3339(recorded_at),
        step=entry.step,
        place=place,
        record=hashlib.sha256(raw).hexdigest(),
        at=rfc3339(entry.at),
        site=action.site,
        action_id=action.action_id,
        verb=action.verb,
        device_id=action.device_id or "",
        principal=action.cause.principal,
        role=action.cause.role,
        stage=entry.stage,
        by=entry.by,
        allowed=None if decision is None else decision.allowed,
        policies=() if decision is None else decision.policies,
        undoes=action.cause.undoes or "",
        detail=entry.detail,
        claimed=entry.claimed_at is not None,
    )


def beginning(records: Iterable[tuple[int, bytes]], *, recorded_at: Micros) -> Line:
    """The first line where there are records already."""
    last, digest = digest_of(records)
    return Line(number=1, recorded_at=rfc3339(recorded_at), step=BEGINNING, place=last, record=digest)


def digest_of(records: Iterable[tuple[int, bytes]]) -> tuple[int, str]:
    """The last place, and the digest of all."""
    whole, last = hashlib.sha256(), 0
    for place, raw in records:
        whole.update(b"%d:%d:" % (place, len(raw)) + raw)
        last = place
    return last, whole.hexdigest()


def row_of(line: Line, before: bytes) -> Row:
    raw = msgspec.json.encode(line, order="sorted")
    return Row(line.number, raw, _chained(before, raw))


def _chained(before: bytes, raw: bytes) -> bytes:
    return hashlib.sha256(before + raw).digest()


def checked(rows: Iterable[Row], *, head: str | None = None) -> Iterator[tuple[Line, bytes]]:
    """The lines and digests of a chain, as far as it holds. `head`: one that was kept, or its digest; it must be among them.

    Raises BrokenError, HeadError.
    """
    if head is not None and _HEAD.fullmatch(head) is None:
        raise HeadError("a head is a number, a colon and 64 hexadecimal digits, or these alone")
    before, expected, found = NOTHING, 1, head in (None, NOTHING.hex(), str(Head(0, NOTHING)))
    for row in rows:
        if row.number != expected:
            raise BrokenError(expected, f"is not there; the next one is {row.number}")
        if _chained(before, row.line) != row.digest:
            raise BrokenError(expected, "is not the one that was written here")
        line = _read(row)
        found = found or head in (row.digest.hex(), f"{row.number}:{row.digest.hex()}")
        before, expected = row.digest, expected + 1
        yield line, row.digest
    if not found:
        raise BrokenError(
            expected, "the head that was kept is not in this chain: lines are missing at its end, or it is another"
        )


def _read(row: Row) -> Line:
    try:
        line = msgspec.json.decode(row.line, type=Line)
    except msgspec.DecodeError as error:
        raise BrokenError(row.number, f"is no line: {error}") from None
    if line.number != row.number:
        raise BrokenError(row.number, f"says that it is line {line.number}")
    return line


class Newest(NamedTuple):
    """Of an action: the line that its newest record is of, and that record's digest."""

    number: int
    record: str
    claimed: bool


def compare(
    lines: Iterable[Line],
    *,
    record: Callable[[int], bytes | None],
    before: Callable[[int], Iterable[tuple[int, bytes]]],
    seen: Callable[[int, int, Entry], None],
    decode: Callable[[bytes], Any],
) -> tuple[dict[str, Newest], int, int]:
    """Hold the records against the lines: the newest of each action, the last place, the last line. Raises BrokenError.

    `record` is what is at a place; `before` are all records up to one; `seen` is told of each that holds, with its
    line's number and its place.
    """
    newest: dict[str, Newest] = {}
    place = number = 0
    for line in lines:
        number = line.number
        if line.step == BEGINNING:
            old = list(before(line.place))
            if number != 1 or digest_of(old) != (line.place, line.record):
                raise BrokenError(number, "the records of before the chain are not those that were there")
            for old_place, raw in old:
                entry: Entry = decode(raw)
                seen(1, old_place, entry)
                _note(newest, entry.action.action_id, Newest(1, digest_of_record(raw), entry.claimed_at is not None))
        else:
            kept = record(line.place)
            if line.place <= place or kept is None or digest_of_record(kept) != line.record:
                raise BrokenError(number, f"the record at {line.place} is not the one that was written with it")
            seen(number, line.place, decode(kept))
            _note(newest, line.action_id, Newest(number, line.record, line.claimed))
        place = line.place
    return newest, place, number


def _note(newest: dict[str, Newest], action_id: str, found: Newest) -> None:
    held = newest.get(action_id)
    if held is None or found.claimed or not held.claimed:
        newest[action_id] = found


def digest_of_record(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
