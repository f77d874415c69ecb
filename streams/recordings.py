"""Recordings: NDJSON files of events, plain or gzip, read in chunks.

Used by `train`, `replay` and `validate`. A line that is no event never stops a run; a file that cannot be read does.
"""

from __future__ import annotations

import gzip
import heapq
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from schemas.decode import LIMITS, Decoded, Limits, decode_lines
from schemas.event import Event
from schemas.finding import Invalid

CHUNK = 1 << 16
"""Bytes read at a time: some 250 lines, the decoder's best."""
BATCH = 256
Advance = Callable[[int], None]


class UnreadableError(Exception):
    """A file is missing, is no file, or is damaged."""


def chunks(path: Path, *, limits: Limits = LIMITS, advance: Advance | None = None) -> Iterator[Decoded]:
    """The decoded lines of a file, some hundred at a time; `advance` is told the bytes of the file that were read.

    Raises UnreadableError.
    """
    try:
        with path.open("rb") as raw, _unpacked(path, raw) as file:
            start = told = 0
            while lines := _lines(file, limits.message):
                yield decode_lines(lines, start=start, limits=limits)
                start += len(lines)
                if advance is not None:
                    advance(raw.tell() - told)
                    told = raw.tell()
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UnreadableError(f"{path}: {reason}") from error


def _unpacked(path: Path, raw: BinaryIO) -> AbstractContextManager[BinaryIO | gzip.GzipFile]:
    return gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else nullcontext(raw)


def _lines(file: BinaryIO | gzip.GzipFile, most: int) -> list[bytes]:
    """The next lines; one that is longer than `most` bytes is cut, so that no line can fill the memory."""
    lines: list[bytes] = []
    size = 0
    while size < CHUNK:
        line = file.readline(most + 2)
        if not line:
            break
        if not line.endswith(b"\n") and len(line) > most:
            _skip(file)
            line = line.rstrip().ljust(most + 2, b"\0")  # so that it stays too long for an event, whatever was cut off
        lines.append(line)
        size += len(line)
    return lines


def _skip(file: BinaryIO | gzip.GzipFile) -> None:
    while (rest := file.readline(CHUNK)) and not rest.endswith(b"\n"):
        pass


def events(path: Path, *, advance: Advance | None = None) -> Iterator[Event]:
    """The valid events of a file, as they stand in it."""
    return chain.from_iterable(decoded.events for decoded in chunks(path, advance=advance))


def ordered(path: Path, *, advance: Advance | None = None) -> Iterator[Event]:
    """The valid events of a file in the order of their stamps, repeats taken out."""
    last = None
    for event in sorted(events(path, advance=advance), key=lambda event: event.stamp):
        if last is None or event.stamp != last.stamp:
            yield event
        last = event


def merged(
    paths: Sequence[Path], refuse: Callable[[Invalid], None], *, advance: Advance | None = None
) -> Iterator[list[Event]]:
    """The events of several files, interleaved by their times, in batches; invalid lines go to `refuse`.

    Files that overlap in time are read side by side, as if their gateways had been live together.
    """
    streams = [_valid(path, refuse, advance) for path in paths]
    if len(streams) == 1:
        yield from streams[0]
        return
    flat = [chain.from_iterable(stream) for stream in streams]
    batch: list[Event] = []
    for event in heapq.merge(*flat, key=lambda event: event.stamp.at):
        batch.append(event)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    yield batch


def _valid(path: Path, refuse: Callable[[Invalid], None], advance: Advance | None) -> Iterator[list[Event]]:
    for decoded in chunks(path, advance=advance):
        for invalid in decoded.invalid:
            refuse(invalid)
        yield decoded.events
