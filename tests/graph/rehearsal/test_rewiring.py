"""What plants promise that are rebuilt while they run."""

from functools import cache

import numpy as np
import pytest

from graph.rehearsal import FAMILIES, UnsolvableError
from graph.rehearsal.courses import Course, Rewired
from graph.rehearsal.plant import Fault
from graph.rehearsal.rehearse import Family
from graph.rehearsal.rewiring import CHANGES, KINDS, LINKS, PLACES, STEP, rewired
from graph.rehearsal.rings import Rings
from graph.topology import Topology
from schemas.device import DeviceId
from schemas.event import Connected, Event, Linked, Micros, Stamp, Unlinked

CASES = sorted(LINKS)
A, B, C, D = (DeviceId(name) for name in "ABCD")
AB, BC, CD, DA, BD, BE = (DeviceId(name) for name in ("ab", "bc", "cd", "da", "bd", "be"))
SQUARE = {AB: (A, B), BC: (B, C), CD: (C, D), DA: (D, A)}


@cache
def made(family: str) -> Rewired:
    return rewired(5, family, faults=4, history_days=1.5)


def courses(family: str) -> list[Course]:
    plant = made(family)
    return [*plant.courses, *(later.course for later in plant.aftermaths)]


def after(plant: Rewired, course: Course | None = None) -> Topology:
    """The graph as announced, with all changes of a course."""
    bodies: list[Connected | Linked | Unlinked] = list(plant.bodies())
    for change in course.changes if course else ():
        bodies += [*change.gone, *change.come]
    return Topology().merge(
        Event(Stamp(Micros(0), "plant", 0, number, str(number)), body) for number, body in enumerate(bodies)
    )


def degrees(topology: Topology) -> dict[str, int]:
    return {device.device_id: len(list(topology.edges_of(device.device_id))) for device in topology.devices()}


@pytest.mark.parametrize("family", CASES)
def test_the_seed_decides_all(family: str) -> None:
    one, other = made(family), rewired(5, family, faults=4, history_days=1.5)
    assert (one.devices, one.links, one.sensors) == (other.devices, other.links, other.sensors)
    for first, second in zip(one.courses, other.courses, strict=True):
        assert (first.changes, first.incidents) == (second.changes, second.incidents)
        assert np.array_equal(first.readings, second.readings)


@pytest.mark.parametrize("family", CASES)
def test_each_kind_of_rebuilding_has_a_course_and_an_aftermath(family: str) -> None:
    plant = made(family)
    assert tuple(course.kind for course in plant.courses) == KINDS
    assert tuple(later.course.kind for later in plant.aftermaths) == KINDS
    for course in courses(family):
        assert len(course.changes) == CHANGES
        assert len(course.incidents) == 4
        assert course.readings.shape[1] == len(plant.sensors)
        assert np.isfinite(course.readings).all()
    assert all({change.row for change in later.course.changes} == {0} for later in plant.aftermaths)


@pytest.mark.parametrize("family", CASES)
def test_faults_come_before_between_and_after_changes(family: str) -> None:
    for course in made(family).courses:
        rows = [change.row for change in course.changes]
        assert rows == sorted(set(rows))
        for fault in course.incidents:
            assert 0 < fault.begins < fault.ends <= fault.settled <= len(course.readings)
            assert not any(fault.begins <= row < fault.ends for row in rows)
            assert fault.affected[fault.origin] == fault.begins
            assert all(fault.begins <= onset < fault.ends for onset in fault.affected.values())
        assert course.incidents[0].ends < rows[0] < rows[-1] < course.incidents[-1].begins


@pytest.mark.parametrize("family", CASES)
def test_a_spare_is_joined_when_it_stands_in_for_another_link(family: str) -> None:
    plant, course = made(family), made(family).courses[KINDS.index("rerouted")]
    before, later = degrees(after(plant)), degrees(after(plant, course))
    for change in course.changes:
        (gone,) = {one.source for one in change.gone} & {one.target for one in change.gone}
        (come,) = {one.source for one in change.come} & {one.target for one in change.come}
        assert (before[gone], later[gone]) == (2, 0)
        assert (before.get(come, 0), later[come]) == (0, 2)
        assert not {gone, come} & {device for device, _ in plant.sensors}


@pytest.mark.parametrize("family", CASES)
def test_cut_links_are_gone_and_cannot_break(family: str) -> None:
    plant, course = made(family), made(family).aftermaths[KINDS.index("cut")].course
    cut = {one.source for change in course.changes for one in change.gone} & {
        one.target for change in course.changes for one in change.gone
    }
    links = {name for name, number in degrees(after(plant)).items() if number == 2} & cut
    assert len(links) >= CHANGES
    gone = {name for name in links if degrees(after(plant, course))[name] == 0}
    assert len(gone) >= CHANGES
    assert not gone & {device for fault in course.incidents for device in fault.affected}


@pytest.mark.parametrize("family", CASES)
def test_a_moved_sensor_reads_another_place(family: str) -> None:
    plant, course = made(family), made(family).courses[KINDS.index("moved")]
    relation = PLACES[family][1]
    before, later = after(plant), after(plant, course)
    for change in course.changes:
        (old,), (new,) = change.gone, change.come
        assert (old.target, old.relation) == (new.target, relation)
        assert old.source != new.source
        assert [edge.source for edge in before.edges_of(old.target)] == [old.source]
        assert [edge.source for edge in later.edges_of(new.target)] == [new.source]
        column = [device for device, _ in plant.sensors].index(old.target)
        lead, rest = (
            course.readings[change.row - 24 : change.row, column],
            course.readings[change.row : change.row + 24, column],
        )
        assert abs(lead.mean() - rest.mean()) > min(lead.std(), rest.std())


def built(family: str) -> Family:
    rng = np.random.default_rng(3)
    while True:
        try:
            return FAMILIES[family](rng, STEP)
        except UnsolvableError:
            continue


@pytest.mark.parametrize("family", CASES)
def test_what_is_out_of_service_carries_nothing(family: str) -> None:
    plant, rng = built(family), np.random.default_rng(0)
    clock = np.arange(12) * STEP
    inputs, state = plant.inputs(rng, clock), plant.start(rng)
    columns = [number for number, one in enumerate(plant.channels) if one.kind == LINKS[family] and not one.hidden]
    usual = plant.simulate(inputs, clock, state).values
    for column in columns:
        try:
            out = [Fault("out", plant.channels[column].device, 4, 8)]
            run = plant.simulate(inputs, clock, state, out)
        except UnsolvableError:
            continue
        assert np.abs(run.values[4:8, column]).max() < 1e-3 < np.abs(usual[:, column]).max() + 1e-2
        assert np.allclose(run.values[:4], usual[:4])
        return
    pytest.fail("no link can be taken out")


def test_another_way_round_a_ring() -> None:
    rings = Rings(np.random.default_rng(0), SQUARE, ())
    assert rings.way(A, B, without={AB}) == [BC, CD, DA]
    assert rings.way(A, B, without={AB, CD}) == []
    assert len(rings.cuts(1, ())) == 1
    with pytest.raises(UnsolvableError):
        rings.cuts(2, ())


def test_the_spare_and_what_it_stands_in_for_lie_on_one_ring() -> None:
    ring = {**SQUARE, BE: (B, DeviceId("E"))}
    for seed in range(5):
        ((link, spare),) = Rings(np.random.default_rng(seed), ring, {AB}).pairs(1)
        assert {link, spare} <= {BC, CD, DA}
    with pytest.raises(UnsolvableError):
        Rings(np.random.default_rng(0), ring, {AB}).pairs(2)
