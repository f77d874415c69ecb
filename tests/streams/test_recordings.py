"""Reading recordings: compressed, damaged, overlong, and several at once."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.decode import Limits
from schemas.event import Event
from schemas.finding import Invalid
from streams.recordings import UnreadableError, chunks, events, merged, ordered
from tests.streams.plant import line, recording

EVENTS = recording(100)
Write = Callable[[str, list[Event]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, some: list[Event]) -> Path:
        path = tmp_path / name
        body = b"".join(line(event) + b"\n" for event in some)
        path.write_bytes(gzip.compress(body) if name.endswith(".gz") else body)
        return path

    return written


def test_plain_and_compressed_hold_the_same(write: Write) -> None:
    assert list(events(write("a.ndjson", EVENTS))) == EVENTS
    assert list(events(write("a.ndjson.gz", EVENTS))) == EVENTS


def test_progress_adds_up_to_the_file(write: Write) -> None:
    for name in ("a.ndjson", "a.ndjson.gz"):
        path = write(name, EVENTS)
        told: list[int] = []
        assert sum(len(decoded.events) for decoded in chunks(path, advance=told.append)) == len(EVENTS)
        assert sum(told) == path.stat().st_size


def test_a_truncated_file_cannot_be_read(write: Write) -> None:
    path = write("a.ndjson.gz", EVENTS)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UnreadableError, match=r"a\.ndjson\.gz"):
        list(events(path))


def test_a_damaged_file_cannot_be_read(write: Write) -> None:
    path = write("a.ndjson.gz", EVENTS)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"a\.ndjson\.gz"):
        list(events(path))


def test_what_is_no_compressed_file_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson.gz"
    path.write_bytes(line(EVENTS[0]))
    with pytest.raises(UnreadableError, match=r"a\.ndjson\.gz"):
        list(events(path))


def test_a_missing_file_and_a_folder_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.ndjson", tmp_path):
        with pytest.raises(UnreadableError, match=str(path)):
            list(events(path))


def test_an_overlong_line_is_one_invalid_line(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    good = [line(event) for event in EVENTS[:3]]
    path.write_bytes(good[0] + b"\n" + b"x" * 300_000 + b"\n" + good[1] + b"\n\n" + good[2])
    found = list(chunks(path, limits=Limits(message=100_000)))
    assert [event for decoded in found for event in decoded.events] == EVENTS[:3]
    assert [offset for decoded in found for offset in decoded.offsets] == [0, 2, 4]
    (invalid,) = (invalid for decoded in found for invalid in decoded.invalid)
    assert invalid.offset == 1
    assert "longer than" in invalid.reason
    assert len(invalid.raw) == 100_000


def test_an_event_with_something_far_behind_it_is_invalid(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(line(EVENTS[0]) + b" " * 200_000 + b"{}\n" + line(EVENTS[1]) + b" " * 200_000 + b"\n")
    found = list(chunks(path, limits=Limits(message=100_000)))
    assert [invalid.offset for decoded in found for invalid in decoded.invalid] == [0, 1]


def test_ordered_sorts_and_takes_repeats_out(write: Write) -> None:
    assert list(ordered(write("a.ndjson", [*reversed(EVENTS), *EVENTS[::3]]))) == EVENTS


def test_files_that_overlap_are_interleaved(write: Write) -> None:
    paths = [write("a.ndjson", EVENTS[::2]), write("b.ndjson.gz", EVENTS[1::2])]
    refused: list[Invalid] = []
    both = [event for batch in merged(paths, refused.append) for event in batch]
    assert sorted(both, key=lambda event: event.stamp) == EVENTS
    assert [event.stamp.at for event in both] == [event.stamp.at for event in EVENTS]
    assert not refused


def test_invalid_lines_are_refused_and_the_rest_goes_on(write: Write) -> None:
    path = write("a.ndjson", EVENTS)
    lines = path.read_bytes().splitlines()
    lines[5] = b"{}"
    lines[250] = b"\xff"
    path.write_bytes(b"\n".join(lines))
    refused: list[Invalid] = []
    left = [event for batch in merged([path], refused.append) for event in batch]
    assert len(left) == len(EVENTS) - 2
    assert [invalid.offset for invalid in refused] == [5, 250]
