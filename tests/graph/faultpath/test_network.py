"""Places, links and answers of networks small enough to invert by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from graph.faultpath.network import FAR, GROUNDS, LENGTH_POWER, TIGHT, WIDTH_POWER, Floats, Network
from schemas.device import Relation

Drawn = list[tuple[int, int, Relation]]


def feeds(*pairs: tuple[int, int]) -> Drawn:
    return [(one, other, Relation.FEEDS) for one, other in pairs]


def answers_of(network: Network) -> tuple[Floats, ...]:
    """Of all devices to all devices."""
    return network.answers(np.arange(network.count))


def firmly(network: Network) -> Floats:
    """The same with all places held with ground 1."""
    return answers_of(network)[GROUNDS.index(1.0)]


def chain(*properties: dict[str, float]) -> Network:
    """Tanks and pipes in turn: tank 0, pipe 1, tank 2, pipe 3, tank 4; drawn from the first tank to the last."""
    kinds = ["tank", "pipe", "tank", "pipe", "tank"]
    return Network(5, feeds(*pairwise(range(5))), kinds, properties or [{}] * 5)


def test_a_type_of_which_each_has_two_neighbours_is_a_link() -> None:
    network = chain()
    assert network.is_link.tolist() == [False, True, False, True, False]
    assert network.is_leaf.tolist() == [False] * 5  # the tank in the middle has two neighbours, so tanks are no leaves
    assert network.degree.tolist() == [1, 2, 2, 2, 1]
    assert network.hops[0].tolist() == [0, 1, 2, 3, 4]


def test_one_pipe_with_a_third_neighbour_makes_places_of_all_pipes() -> None:
    kinds = ["tank", "pipe", "tank", "pipe", "tank", "meter"]
    network = Network(6, feeds(*pairwise(range(5)), (3, 5)), kinds)
    assert network.is_link.tolist() == [False] * 6
    assert network.is_leaf.tolist() == [False] * 5 + [True]


def test_a_ring_of_one_type_has_places_only() -> None:
    assert not Network(3, feeds((0, 1), (1, 2), (2, 0)), ["bus"] * 3).is_link.any()


def test_commands_make_no_link_a_place() -> None:
    """A controller acts on pipe 1, which is near it then, but nothing flows between them."""
    kinds = ["tank", "pipe", "tank", "pipe", "tank", "controller"]
    network = Network(6, [*feeds(*pairwise(range(5))), (5, 1, Relation.CONTROLS)], kinds)
    assert network.is_link.tolist() == [False, True, False, True, False, False]
    assert network.hops[5].tolist() == [2, 1, 2, 3, 4, 0]


def test_a_chain_answers_as_the_inverse_of_its_laplacian() -> None:
    network = chain()
    for ground, answers in zip(GROUNDS, answers_of(network), strict=True):
        laplacian = np.array([[1 + ground, -1, 0], [-1, 2 + ground, -1], [0, -1, 1 + ground]])
        assert answers[np.ix_([0, 2, 4], [0, 2, 4])] == pytest.approx(np.linalg.inv(laplacian))


def test_a_chain_by_hand() -> None:
    """With ground 1: L = [[2, -1, 0], [-1, 3, -1], [0, -1, 2]], det 8, inverse [[5, 2, 1], [2, 4, 2], [1, 2, 5]] / 8."""
    answers = firmly(chain()) * 8
    assert answers[0, [0, 2, 4]].tolist() == pytest.approx([5, 2, 1])
    assert answers[2, [0, 2, 4]].tolist() == pytest.approx([2, 4, 2])
    assert answers[1, [0, 2, 4]].tolist() == pytest.approx([3, -2, -1])  # what flows from tank 0 to tank 2
    assert answers[[0, 2, 4], 1].tolist() == pytest.approx([3, -2, -1])  # pipe 1 breaks: in at tank 0, out at tank 2
    assert answers[1, 1] == pytest.approx(5)


def test_a_place_gives_more_to_what_is_near() -> None:
    for answers in answers_of(chain()):
        assert answers[0, 0] > answers[2, 0] > answers[4, 0] > 0


def test_flow_has_the_sign_of_the_direction_in_which_a_link_was_drawn() -> None:
    kinds = ["tank", "pipe", "tank"]
    along, against = (firmly(Network(3, feeds(*way), kinds)) for way in (((0, 1), (1, 2)), ((2, 1), (1, 0))))
    assert along[1, 0] > 0 > against[1, 0]
    places = [0, 2]
    assert along[1, places] == pytest.approx(-against[1, places])
    assert along[places, 1] == pytest.approx(-against[places, 1])
    assert along[1, 1] == pytest.approx(against[1, 1])  # turned twice
    assert along[np.ix_(places, places)] == pytest.approx(against[np.ix_(places, places)])


def test_conductance_follows_length_and_diameter() -> None:
    """Pipe 3 is twice as wide and four times as long as pipe 1; the median of both counts as 1."""
    network = chain({}, {"length": 100.0, "diameter": 0.2}, {}, {"length": 400.0, "diameter": 0.4}, {})
    one, other = network.conductance[[1, 3]]
    assert other / one == pytest.approx(2**WIDTH_POWER / 4**LENGTH_POWER)
    assert (one + other) / 2 == pytest.approx(1)


@pytest.mark.parametrize("wrong", [{}, {"length": 5.0}, {"length": "5", "diameter": 1.0}, {"length": -1.0, "diameter": 1.0}])
def test_a_link_that_does_not_say_what_it_is_conducts_like_the_better_ones(wrong: dict[str, object]) -> None:
    known = {"length": 100.0, "diameter": 0.2}
    network = Network(5, feeds(*pairwise(range(5))), ["tank", "pipe", "tank", "pipe", "tank"], [{}, known, {}, wrong, {}])
    assert network.conductance.tolist() == [1.0] * 5


def test_an_edge_between_places_is_a_tight_one() -> None:
    network = Network(2, feeds((0, 1)), ["bus", "load"])
    ground = GROUNDS[0]
    laplacian = np.array([[TIGHT + ground, -TIGHT], [-TIGHT, TIGHT + ground]])
    assert answers_of(network)[0] == pytest.approx(np.linalg.inv(laplacian))


def test_two_pipes_side_by_side_conduct_twice_as_well() -> None:
    kinds = ["tank", "tank", "pipe", "pipe", "drain"]
    answers = firmly(Network(5, feeds((0, 2), (2, 1), (0, 3), (3, 1), (1, 4)), kinds))
    laplacian = np.array([[3, -2, 0], [-2, 3 + TIGHT, -TIGHT], [0, -TIGHT, 1 + TIGHT]])
    assert answers[np.ix_([0, 1, 4], [0, 1, 4])] == pytest.approx(np.linalg.inv(laplacian))
    assert answers[2] == pytest.approx(answers[3])


def test_parts_that_nothing_joins_do_not_answer_each_other() -> None:
    kinds = ["tank", "pipe", "tank"] * 2
    network = Network(6, feeds((0, 1), (1, 2), (3, 4), (4, 5)), kinds)
    assert (network.hops[:3, 3:] == FAR).all()
    for answers in answers_of(network):
        assert (answers[:3, 3:] == 0).all()
        assert answers[:3, :3] == pytest.approx(answers[3:, 3:])


def test_a_device_alone_is_held_by_its_ground() -> None:
    network = Network(1, [], ["tank"])
    assert [answers.tolist() for answers in answers_of(network)] == [[[pytest.approx(1 / ground)]] for ground in GROUNDS]
    assert network.rare.tolist() == [0.0]
    assert network.gives.tolist() == [0.0]


def test_two_links_in_a_row_leave_each_other_out() -> None:
    """Between pipe 1 and pump 2 is no place: neither carries anything, and their answers are finite."""
    network = Network(4, feeds(*pairwise(range(4))), ["tank", "pipe", "pump", "tank"])
    assert network.is_link.tolist() == [False, True, True, False]
    answers = firmly(network)
    assert answers[np.ix_([0, 3], [0, 3])] == pytest.approx(np.eye(2))
    assert np.isfinite(answers).all()


def test_what_gives_and_what_takes() -> None:
    network = Network(4, feeds((0, 1), (1, 2), (1, 3)), ["source", "bus", "load", "load"])
    assert network.gives.tolist() == [1.0, pytest.approx(1 / 3), -1.0, -1.0]
    assert network.rare == pytest.approx([np.log(4), np.log(4), np.log(2), np.log(2)])


def test_without_flows_all_edges_are_read_as_such() -> None:
    network = Network(3, [(0, 1, Relation.AFFECTS), (1, 2, Relation.AFFECTS)], ["tank", "pipe", "tank"])
    assert network.is_link.tolist() == [False, True, False]


def test_the_answer_of_some_devices_is_their_part_of_all() -> None:
    network = chain({}, {"length": 100.0, "diameter": 0.2}, {}, {"length": 400.0, "diameter": 0.4}, {})
    for some, every in zip(network.answers(np.array([3, 0, 3])), answers_of(network), strict=True):
        assert some == pytest.approx(every[[3, 0, 3]])
        places = np.ix_([0, 2, 4], [0, 2, 4])
        assert every[places] == pytest.approx(every[places].T)
