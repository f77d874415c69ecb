"""The network solver against first principles, and once against EPANET."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from graph.rehearsal.hydraulics import PIPE, PUMP, REDUCER, Rules, Schedule, Tanks, Waterworks, march, pipework
from graph.rehearsal.plant import Floats, Ints, UnsolvableError
from graph.rehearsal.waterworks import Design, design

STEP = 300
NO_TANKS = Tanks(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool))
NO_RULES = Rules(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool))


def undisturbed(works: Waterworks, drawn: Floats, clock: Ints) -> Schedule:
    shape = len(drawn), len(works.work.start)
    return Schedule(drawn, np.ones(shape), np.zeros(shape, dtype=bool), clock, float(STEP))


def a_design(seed: int) -> Design:
    rng = np.random.default_rng(seed)
    while True:
        try:
            return design(rng, 60)
        except UnsolvableError:
            continue


def a_day(made: Design) -> tuple[Schedule, Floats, Floats, Floats]:
    clock = np.arange(0, 86_400, STEP)
    course = 1 + 0.3 * np.sin(2 * np.pi * clock / 86_400)
    drawn = np.hstack([made.demand * course[:, None], np.zeros((len(clock), len(made.works.tanks.area)))])
    plan = undisturbed(made.works, drawn, clock)
    return plan, *march(made.works, plan, made.start)


@pytest.mark.parametrize("seed", [1, 4, 7, 9, 20])
def test_what_flows_to_a_junction_is_what_leaves_it(seed: int) -> None:
    made = a_design(seed)
    plan, _, flows, _ = a_day(made)
    work = made.works.work
    gained = np.zeros((len(flows), int(max(work.start.max(), work.end.max())) + 1))
    for link, (one, other) in enumerate(zip(work.start, work.end, strict=True)):
        gained[:, one] -= flows[:, link]
        gained[:, other] += flows[:, link]
    total = made.demand.sum()
    assert np.abs(gained[:, : work.junctions] - plan.drawn[:, : work.junctions]).max() < 1e-4 * total


@pytest.mark.parametrize("seed", [1, 4, 7, 9, 20])
def test_heads_fall_along_pipes_as_hazen_and_williams_say_so_that_no_loop_gains(seed: int) -> None:
    made = a_design(seed)
    _, heads, flows, _ = a_day(made)
    work = made.works.work
    pipes = np.flatnonzero((work.resistance > 0) & (np.maximum(work.start, work.end) < work.junctions))
    lost = work.resistance[pipes] * np.sign(flows[:, pipes]) * np.abs(flows[:, pipes]) ** 1.852
    fall = heads[:, work.start[pipes]] - heads[:, work.end[pipes]]
    moving = np.abs(flows[:, pipes]) > 1e-5
    assert np.abs(np.where(moving, fall - lost, 0.0)).max() < 5e-3


@pytest.mark.parametrize("seed", [1, 4, 7])
def test_the_power_that_sources_bring_is_lost_in_links_or_drawn(seed: int) -> None:
    made = a_design(seed)
    plan, heads, flows, _ = a_day(made)
    work = made.works.work
    lost = (flows * (heads[:, work.start] - heads[:, work.end])).sum(axis=1)
    drawn = (plan.drawn[:, : work.junctions] * heads[:, : work.junctions]).sum(axis=1)
    outside = [np.where(end >= work.junctions, 1.0, 0.0) for end in (work.start, work.end)]
    brought = (flows * (outside[0] * heads[:, work.start] - outside[1] * heads[:, work.end])).sum(axis=1)
    assert np.allclose(brought, lost + drawn, rtol=1e-4)


@pytest.mark.parametrize("seed", [4, 7, 9])
def test_a_tank_gains_what_flows_into_it(seed: int) -> None:
    made = a_design(seed)
    _, _, flows, states = a_day(made)
    work, tanks = made.works.work, made.works.tanks
    for tank in range(len(tanks.area)):
        node = work.junctions + tank
        gained = flows[:, work.end == node].sum(axis=1) - flows[:, work.start == node].sum(axis=1)
        expected = np.clip(states[:-1, tank] + gained[:-1] * STEP / tanks.area[tank], 0, tanks.height[tank])
        assert np.allclose(states[1:, tank], expected)


def test_parallel_pipes_share_a_flow_by_their_resistances() -> None:
    start, end = np.array([1, 1]), np.array([0, 0])
    work = pipework(1, start, end, resistance=np.array([100.0, 400.0]))
    works = Waterworks(work, NO_TANKS, NO_RULES, np.array([50.0]), np.full(2, 0.01))
    heads, flows, _ = march(works, undisturbed(works, np.array([[0.1]]), np.array([0])), np.zeros(0))
    ratio = 4 ** (1 / 1.852)
    assert flows[0] == pytest.approx([0.1 * ratio / (1 + ratio), 0.1 / (1 + ratio)], rel=1e-5)
    assert heads[0, 0] == pytest.approx(50 - 100 * flows[0, 0] ** 1.852)


@pytest.mark.parametrize("inlet", [80.0, 35.0])
def test_a_reducer_holds_the_head_behind_it_where_there_is_enough(inlet: float) -> None:
    kind = np.array([REDUCER, PIPE])
    parts = {"setting": np.array([40.0, 0.0]), "resistance": np.array([0.0, 100.0])}
    work = pipework(2, np.array([2, 0]), np.array([0, 1]), kind=kind, **parts)
    works = Waterworks(work, NO_TANKS, NO_RULES, np.array([inlet]), np.full(2, 0.01))
    heads, _, _ = march(works, undisturbed(works, np.array([[0.0, 0.02]]), np.array([0])), np.zeros(0))
    assert heads[0, 0] == pytest.approx(min(inlet, 40.0), abs=1e-3)
    assert heads[0, 1] == pytest.approx(min(inlet, 40.0) - 100 * 0.02**1.852, abs=1e-3)


def a_plant() -> Waterworks:
    """A well, a pump to junction 0, a ring 0-1-2, and a tank at junction 2; junction 1 draws."""
    start, end = np.array([4, 0, 1, 0, 2]), np.array([0, 1, 2, 2, 3])
    resistance = np.array([0.0, *(10.67 * 500 / (120**1.852 * 0.2**4.871) * np.array([1.0, 1.5, 2.0, 0.4]))])
    lift, droop = np.zeros(5), np.zeros(5)
    lift[0], droop[0] = 4 / 3 * 45, 45 / 3 / 0.03**2
    kind = np.array([PUMP, PIPE, PIPE, PIPE, PIPE])
    work = pipework(3, start, end, kind=kind, resistance=resistance, lift=lift, droop=droop)
    tanks = Tanks(np.array([np.pi * 25]), np.array([45.0]), np.array([6.0]), np.zeros(1, dtype=bool))
    return Waterworks(work, tanks, NO_RULES, np.array([10.0]), np.full(5, 0.01))


def test_a_control_runs_the_pump_between_two_levels() -> None:
    rules = Rules(np.array([0]), np.array([0]), np.array([2.0]), np.array([5.0]), np.zeros(1, dtype=bool))
    works = a_plant()._replace(rules=rules)
    drawn = np.tile([0.0, 0.02, 0.0, 0.0], (600, 1))
    _, flows, states = march(works, undisturbed(works, drawn, np.arange(600) * STEP % 86_400), np.array([3.0, 1.0]))
    running = flows[:, 0] > 1e-4
    assert np.abs(np.diff(running.astype(int))).sum() >= 4
    assert states[50:, 0].min() > 1.5
    assert states[50:, 0].max() < 5.5


def test_a_part_that_is_cut_off_loses_all_head() -> None:
    works = a_plant()
    plan = undisturbed(works, np.array([[0.0, 0.02, 0.0, 0.0]]), np.array([0]))
    plan.opening[:, 1:3] = 0.0
    heads, _, _ = march(works, plan, np.array([3.0]))
    assert heads[0, 1] < -1000


def test_epanet_agrees(tmp_path: Path) -> None:
    wntr = pytest.importorskip("wntr")
    works, rows = a_plant(), 36
    network = wntr.network.WaterNetworkModel()
    network.options.time.duration = (rows - 1) * STEP
    for name in ("hydraulic_timestep", "report_timestep", "pattern_timestep"):
        setattr(network.options.time, name, STEP)
    network.options.hydraulic.headloss = "H-W"
    for name, draw in (("0", 0.0), ("1", 0.02), ("2", 0.0)):
        network.add_junction(name, base_demand=draw, elevation=5)
    network.add_tank("3", elevation=45, init_level=3, min_level=0, max_level=6, diameter=10)
    network.add_reservoir("4", base_head=10)
    network.add_curve("curve", "HEAD", [(0.03, 45)])
    network.add_pump("p0", "4", "0", pump_type="HEAD", pump_parameter="curve")
    for number, (one, other, factor) in enumerate((("0", "1", 1.0), ("1", "2", 1.5), ("0", "2", 2.0), ("2", "3", 0.4))):
        network.add_pipe(f"p{number + 1}", one, other, length=500 * factor, diameter=0.2, roughness=120, minor_loss=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = wntr.sim.EpanetSimulator(network).run_sim(file_prefix=str(tmp_path / "run"))
    drawn = np.tile([0.0, 0.02, 0.0, 0.0], (rows, 1))
    heads, flows, _ = march(works, undisturbed(works, drawn, np.arange(rows) * STEP), np.array([3.0]))
    assert np.abs(heads - theirs.node["head"][["0", "1", "2", "3", "4"]].to_numpy()).max() < 0.05
    assert np.abs(flows - theirs.link["flowrate"][[f"p{number}" for number in range(5)]].to_numpy()).max() < 1e-4
