"""How far a gateway may forget."""

from __future__ import annotations

from schemas.event import Micros, Stamp
from schemas.finding import Mark
from streams.watermark import MOST_SOURCES, Watermarks


def stamps(*sequences: int, epoch: int = 1, source: str = "/gw") -> list[Stamp]:
    return [Stamp(Micros(0), source, epoch, sequence, f"{epoch}-{sequence}") for sequence in sequences]


def test_a_gap_holds_the_mark_until_it_is_filled() -> None:
    marks = Watermarks()
    assert marks.advance(stamps(1, 2, 4)) == [Mark("/gw", 1, 2)]
    assert marks.advance(stamps(3)) == [Mark("/gw", 1, 4)]


def test_a_repeat_does_not_move_it() -> None:
    marks = Watermarks()
    marks.advance(stamps(1, 2))
    assert marks.advance(stamps(1, 2)) == [Mark("/gw", 1, 2)]


def test_a_new_boot_starts_anew_and_an_old_one_is_over() -> None:
    marks = Watermarks()
    marks.advance(stamps(7, 8))
    assert marks.advance(stamps(1, epoch=2)) == [Mark("/gw", 2, 1)]
    assert marks.advance(stamps(9)) == []


def test_it_survives_a_restart() -> None:
    marks = Watermarks()
    marks.advance(stamps(1, 3))
    again = Watermarks.restored([("/gw", marks.state("/gw"))])
    assert again.advance(stamps(2)) == [Mark("/gw", 1, 3)]


def test_events_without_a_sequence_have_no_mark() -> None:
    assert Watermarks().advance(stamps(0, epoch=0)) == []


def test_invented_sources_fill_no_memory() -> None:
    marks = Watermarks()
    for number in range(MOST_SOURCES + 10):
        marks.advance(stamps(1, source=f"/gw-{number}"))
    assert len(marks.all()) == MOST_SOURCES
    assert marks.advance(stamps(2, source="/gw-0")) == [Mark("/gw-0", 1, 2)]
