"""Prints what a rehearsal holds: `python -m graph.rehearsal --seed 3 --count 5`, a line for each plant."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np

from graph.rehearsal import FAMILIES, Rehearsal, rehearse


def summary(made: Rehearsal) -> str:
    """Devices, sensors, history, trials, and the mean shares of devices and of sensors that a physical fault affects."""
    sensed = {device for device, _ in made.sensors}
    faults = [trial for trial in made.trials if trial.ends and not trial.sensor_fault]
    devices = np.mean([len(trial.affected) / len(made.devices) for trial in faults] or [0])
    sensors = np.mean([len(sensed & trial.affected.keys()) / len(sensed) for trial in faults] or [0])
    seen = sum(trial.ends > 0 for trial in made.trials) / max(made.draws, 1)
    rows = sum(len(run) for run in made.history)
    return (
        f"{made.family:8}{made.step // 1_000_000:5} s {len(made.devices):5} devices {len(made.sensors):4} sensors "
        f"{rows:6} rows {len(made.trials):4} trials {devices:5.2f} of devices {sensors:5.2f} of sensors affected "
        f"{seen:5.2f} of faults seen"
    )


def lines(seeds: range, family: str | None, trials: int) -> Iterator[str]:
    kinds: Counter[str] = Counter()
    for seed in seeds:
        begun = time.perf_counter()
        made = rehearse(seed, family=family, trials=trials)
        kinds.update(trial.kind for trial in made.trials)
        yield f"{seed:5} {summary(made)} {time.perf_counter() - begun:6.1f} s\n"
    yield from (f"{count:6} {kind}\n" for kind, count in kinds.most_common())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1, help="plants, of seeds one after the other")
    parser.add_argument("--family", choices=sorted(FAMILIES))
    parser.add_argument("--trials", type=int, default=40)
    options = parser.parse_args()
    for line in lines(range(options.seed, options.seed + options.count), options.family, options.trials):
        sys.stdout.write(line)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
