"""A process: what goes in comes out, late."""

import numpy as np
import pytest

from graph.rehearsal.flowline import Line, Spoilt, march


def a_line(**parts: np.ndarray) -> Line:
    """Unit 0 feeds 1 in two steps and 2 in three, half of its flow each."""
    start, end, delay = np.array([0, 0]), np.array([1, 2]), np.array([2, 3])
    ones, nothing = np.ones(3), np.zeros(3)
    nominal = np.array([2.0, 1.0, 1.0])
    whole = Line(start, end, delay, np.array([0.5, 0.5]), nominal, ones, ones, nothing, nothing, np.full(3, 60.0), nothing)
    return whole._replace(**parts)


def run(line: Line, supply: np.ndarray, spoilt: Spoilt | None = None) -> np.ndarray:
    rows = len(supply)
    inputs = np.zeros((rows, 3)), np.zeros((rows, 3))
    inputs[0][:, 0], inputs[1][:, 0] = supply, 20.0
    sound = Spoilt(np.ones((rows, 3)), np.ones((rows, 3)), np.ones((rows, 2)), np.ones((rows, 3)))
    return march(line, *inputs, spoilt or sound, np.zeros(9 + 2 * 2 * 3))[0]


def test_a_pulse_arrives_after_the_delay_of_its_connection() -> None:
    out = run(a_line(), np.array([1.0, 0, 0, 0, 0, 0]))
    assert out[:, 0].tolist() == [1, 0, 0, 0, 0, 0]
    assert out[:, 1].tolist() == [0, 0, 0.5, 0, 0, 0]
    assert out[:, 2].tolist() == [0, 0, 0, 0.5, 0, 0]


def test_in_the_end_as_much_leaves_as_comes() -> None:
    out = run(a_line(inertia=np.array([4.0, 9.0, 2.0])), np.full(400, 2.0))
    assert out[-1, :3] == pytest.approx([2, 1, 1])
    assert out[-1, 3:6] == pytest.approx([20, 20, 20])


def test_a_blocked_connection_turns_its_flow_to_the_other() -> None:
    spoilt = Spoilt(np.ones((50, 3)), np.ones((50, 3)), np.tile([0.0, 1.0], (50, 1)), np.ones((50, 3)))
    assert run(a_line(), np.full(50, 2.0), spoilt)[-1, :3] == pytest.approx([2, 0, 2])


def test_a_drive_brings_its_unit_to_the_set_point() -> None:
    line = a_line(gain=np.array([0, 100.0, 0]), tuning=np.array([0, 0.002, 0]))
    assert run(line, np.full(900, 2.0))[-1, 4] == pytest.approx(60, abs=0.1)
