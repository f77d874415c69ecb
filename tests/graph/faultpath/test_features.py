"""What speaks for an origin, on chains of resistors without noise, on plants renamed, and on any input at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.detection.evidence import Sensing
from graph.detection.wander import LAGS, Wander
from graph.faultpath.clues import MOST_ROWS, Clues
from graph.faultpath.features import LARGEST, NAMES, Evidence, Floats, Patterns, features
from graph.faultpath.influence import Influence
from graph.faultpath.network import GROUNDS, Network
from tests.graph.faultpath.plants import at, graph, restless, shown, step

TANKS, PIPES = ("t0", "t1", "t2", "t3", "t4"), ("p0", "p1", "p2", "p3")
CHAIN = tuple(pairwise([*(name for pair in zip(TANKS, PIPES, strict=False) for name in pair), "t4"]))
KINDS = dict.fromkeys(TANKS, "tank") | dict.fromkeys(PIPES, "pipe")
GROUND = GROUNDS[1]


def chain() -> tuple[Influence, Network]:
    """Five tanks with four pipes between them, drawn from t0 to t4."""
    return plant([*TANKS, *PIPES], CHAIN, KINDS)


def plant(
    devices: Sequence[str], links: Sequence[tuple[str, str]], kinds: Mapping[str, str] | None = None
) -> tuple[Influence, Network]:
    influence = Influence(graph(devices, links, kinds=kinds))
    network = influence.network
    assert network is not None
    return influence, network


def table(influence: Influence, network: Network, sensing: Sensing, clues: Clues) -> Floats:
    evidence = Evidence.of(influence, clues, sensing)
    return features(influence, network, clues, evidence, Patterns(network, evidence))


def of(found: Floats, influence: Influence, name: str) -> dict[str, float]:
    """One feature by device."""
    return dict(zip(influence.names, found[:, NAMES.index(name)].tolist(), strict=True))


def answer(influence: Influence, network: Network, sensing: Sensing, cause: str, size: float) -> dict[str, float]:
    """The shifts of devices when `cause` is disturbed, the largest of so many spreads."""
    devices = [device for device, _ in sensing.columns]
    cause_at, sensors_at = at(influence, [cause])[0], at(influence, devices)
    exact = network.answers(np.array(sensors_at))[GROUNDS.index(GROUND)][:, cause_at]
    return dict(zip(devices, (exact / np.abs(exact).max() * size).tolist(), strict=True))


def test_names_are_told_apart() -> None:
    assert len(set(NAMES)) == len(NAMES)


# --- What a leak, a break and a wrong sensor look like ------------------------------------------------------------------------


@pytest.mark.parametrize("leak", TANKS)
def test_a_leak_is_the_place_whose_answer_is_seen(leak: str) -> None:
    influence, network = chain()
    sensing = restless(*((name, "level") for name in TANKS))
    clues, _ = shown(sensing, answer(influence, network, sensing, leak, -20.0))
    found = table(influence, network, sensing, clues)
    for shrunk in ("1.0", "0.1"):
        assert of(found, influence, f"answer plain {GROUND} {shrunk}")[leak] == pytest.approx(1)
        assert of(found, influence, f"answer signed plain {GROUND} {shrunk}")[leak] == pytest.approx(-1)
        rank = of(found, influence, f"answer rank plain {GROUND} {shrunk}")
        assert max(rank, key=rank.__getitem__) == leak
    assert of(found, influence, "largest departure") == {name: float(name == leak) for name in influence.names}


@pytest.mark.parametrize("broken", PIPES)
def test_a_pipe_that_breaks_is_known_by_the_difference_over_its_ends(broken: str) -> None:
    influence, network = chain()
    sensing = restless(*((name, "level") for name in TANKS))
    clues, _ = shown(sensing, answer(influence, network, sensing, broken, 10.0))
    rank = of(table(influence, network, sensing, clues), influence, f"answer rank plain {GROUND} 1.0")
    assert rank[broken] == 1.0 == max(rank.values())


def test_a_leak_between_sensors_is_found_where_no_sensor_is() -> None:
    """Sensors at both ends and in the middle; the leak is at t1, and t1 alone explains all that they show."""
    influence, network = chain()
    sensing = restless(("t0", "level"), ("t2", "level"), ("t4", "level"))
    clues, _ = shown(sensing, answer(influence, network, sensing, "t1", -12.0))
    found = table(influence, network, sensing, clues)
    share = of(found, influence, f"answer plain {GROUND} 1.0")
    assert share["t1"] == pytest.approx(1)
    assert all(value < 1 - 1e-6 for name, value in share.items() if name != "t1")
    assert of(found, influence, "sensor")["t1"] == 0.0


def test_each_quantity_has_a_scale_of_its_own_unless_whitened() -> None:
    """Flows three times as strange as levels make the plain answer no worse; the whitened one must do with one scale."""
    influence, network = chain()
    sensing = restless(*((name, "level") for name in TANKS), *((name, "flow") for name in PIPES))
    seen = answer(influence, network, sensing, "t1", 6.0)
    clues, _ = shown(sensing, {name: value * (3.0 if name in PIPES else 1.0) for name, value in seen.items()})
    found = table(influence, network, sensing, clues)
    assert of(found, influence, f"answer plain {GROUND} 1.0")["t1"] == pytest.approx(1)
    assert of(found, influence, f"answer plain {GROUND} 0.1")["t1"] < 0.99


def test_a_wrong_sensor_stands_out_alone() -> None:
    influence, network = chain()
    sensing = restless(*((name, "level") for name in TANKS))
    clues, _ = shown(sensing, {"t2": 8.0})
    found = table(influence, network, sensing, clues)
    only = {name: float(name == "t2") for name in influence.names}
    for name in ("largest departure", "departure ratio", "departure early", "departure late", "tail ratio", "residual ratio"):
        assert of(found, influence, name) == only
    for name in ("departure stands out", "residual stands out"):
        outstanding = of(found, influence, name)
        assert outstanding["t2"] > 0 >= max(value for device, value in outstanding.items() if device != "t2")
    assert set(of(found, influence, "concentration").values()) == {1.0}
    assert set(of(found, influence, "second departure").values()) == {0.0}
    assert set(of(found, influence, "share departed").values()) == {0.2}
    assert of(found, influence, "near first")["t2"] == 1.0
    assert of(found, influence, "near first")["t0"] == pytest.approx(1 / 5)


def test_departures_count_from_before_the_fault_was_noticed() -> None:
    """A shift of 4 that had been there before is what was to be expected where signals stay as they are."""
    count = len(TANKS)
    stays = Wander(np.full((LAGS + 1, count), 1.0 - 1e-9), np.ones(count), np.ones(count), np.eye(count))
    sensing = Sensing(tuple((name, "level") for name in TANKS), stays)
    clues, _ = shown(sensing, {})
    clues.rows[:, 0] = 4.0
    influence, _ = chain()
    assert Evidence.of(influence, clues, sensing).departure == pytest.approx(np.zeros(count), abs=1e-6)


def test_devices_that_show_nothing_have_no_departure() -> None:
    influence, _ = chain()
    sensing = restless(*((name, "level") for name in TANKS))
    clues, _ = shown(sensing, {"t0": 8.0, "t1": 8.0})
    hidden = Evidence.of(influence, clues.without([0]), sensing)
    assert hidden.departure[0] == hidden.early[0] == hidden.late[0] == hidden.rough[0] == 0.0
    assert hidden.departure[1] == pytest.approx(8.0 / np.sqrt(1.02))


def test_signals_of_devices_that_the_plant_does_not_have_are_left_out() -> None:
    influence, _ = plant(["t0", "p0", "t1"], [("t0", "p0"), ("p0", "t1")])
    sensing = restless(("ghost", "level"), ("t0", "level"), ("t1", "level"))
    clues, _ = shown(sensing, {"ghost": 9.0})
    found = Evidence.of(influence, clues, sensing)
    assert found.place.tolist() == at(influence, ["t0", "t1"])


# --- Names and numbers mean nothing -------------------------------------------------------------------------------------------

NETWORK = (
    ("a", "p"),
    ("p", "b"),
    ("b", "q"),
    ("q", "c"),
    ("c", "r"),
    ("r", "a"),
    ("b", "s"),
    ("s", "d"),
    ("d", "t"),
    ("t", "a"),
)
PLACES = ("a", "b", "c", "d")


@pytest.mark.parametrize("seed", range(5))
def test_other_names_and_another_order_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    devices = [*PLACES, *"pqrst"]
    kinds = {name: "bus" if name in PLACES else "line" for name in devices}
    shift = dict(zip(devices, rng.normal(0, 5, len(devices)).tolist(), strict=True))
    renamed = dict(zip(devices, (f"x{number}" for number in rng.permutation(len(devices))), strict=True))
    order = rng.permutation(len(devices))

    def made(called: Mapping[str, str], turned: Sequence[int]) -> dict[str, Floats]:
        influence, network = plant(
            [called[devices[place]] for place in turned],
            [(called[one], called[other]) for one, other in NETWORK],
            {called[name]: kind for name, kind in kinds.items()},
        )
        sensing = restless(*((called[devices[place]], "value") for place in turned))
        clues, _ = shown(sensing, {called[name]: value for name, value in shift.items()})
        found = table(influence, network, sensing, clues)
        return dict(zip(devices, found[at(influence, called.values())], strict=True))

    one = made({name: name for name in devices}, range(len(devices)))
    other = made(renamed, order.tolist())
    for name in devices:
        assert other[name] == pytest.approx(one[name], abs=1e-9)


# --- Any input at all ---------------------------------------------------------------------------------------------------------

LEVELS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
SHIFTS = st.floats(allow_nan=True, allow_infinity=True)


@st.composite
def plants(draw: st.DrawFn) -> tuple[Influence, Network, list[str]]:
    """One to six devices of three types with any edges, some of them sensed."""
    devices = [f"d{number}" for number in range(draw(st.integers(1, 6)))]
    ends = st.sampled_from(devices)
    links = draw(st.lists(st.tuples(ends, ends).filter(lambda pair: pair[0] != pair[1]), max_size=8)) if devices[1:] else []
    kinds = {name: draw(st.sampled_from(("tank", "pipe", "bus"))) for name in devices}
    sensed = draw(st.lists(ends, min_size=1, unique=True))
    return *plant(devices, links, kinds), sensed


@settings(derandomize=True, database=None, max_examples=150, deadline=None)
@given(plants(), st.data())
def test_features_are_finite_whatever_a_fault_shows(made: tuple[Influence, Network, list[str]], data: st.DataObject) -> None:
    influence, network, sensed = made
    sensing = restless(*((name, data.draw(st.sampled_from(("level", "flow")))) for name in sensed))
    values = st.fixed_dictionaries(dict.fromkeys(sensed, LEVELS))
    clues = Clues.begin(step(0, sensed, 0.0), np.zeros(len(sensed)))
    for second in range(data.draw(st.integers(1, 4))):
        if data.draw(st.booleans()):
            clues.notice()
        score, tail, conditional, shift = (data.draw(values) for _ in range(4))
        clues.add(step(second, sensed, 2.0, sensing=sensing, score=score, tail=tail, conditional=conditional, shift=shift))
    clues.rows = np.array(data.draw(st.lists(st.lists(SHIFTS, min_size=len(sensed), max_size=len(sensed)), min_size=1)))
    clues.rows, clues.opened = clues.rows[:MOST_ROWS], data.draw(st.integers(0, len(clues.rows)))
    found = table(influence, network, sensing, clues)
    assert found.shape == (len(influence), len(NAMES))
    assert np.isfinite(found).all()


def test_departures_have_a_bound() -> None:
    influence, _ = chain()
    sensing = restless(*((name, "level") for name in TANKS))
    clues, _ = shown(sensing, {"t0": 1e300, "t1": -1e300})
    assert Evidence.of(influence, clues, sensing).departure.tolist() == [LARGEST, -LARGEST, 0.0, 0.0, 0.0]
