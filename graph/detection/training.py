"""Learns a detector from history: recordings that are mostly normal and carry no labels.

Everything that later decides (tails, limits, thresholds) comes from parts of history which the fit in question has not seen.
Nothing here is drawn at random; the seed is kept with the model because the contract has one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec
import numpy as np

from graph.detection.conditional import DAY, DAY_SCALE, DENSE_COLUMNS, Linear, Rows, Scale, fit
from graph.detection.discrete import Discrete, Watch, by_device, plant_surprise
from graph.detection.layout import Layout, learn_layout
from graph.detection.model import Figures, Model
from graph.detection.numeric import Numeric, split, train_numeric
from graph.detection.readings import Recording
from graph.detection.silence import watched
from graph.detection.spells import LEAST_RUNS, build, pairs_over_edges, tally
from graph.detection.states import States
from graph.detection.table import Floats
from graph.detection.thresholds import alarm_threshold
from graph.nn.hearing import Hearing
from graph.nn.predictor import Learnt, Predictor
from graph.topology import Topology
from schemas.event import Event, Micros

Progress = Callable[[float, str], None]

FOLDS = 8
FEW_FOLDS = 3
STRETCHES = 5
"""Blocks that few recordings are cut into."""
LEAST_RECORDINGS = 4
DISCRETE_FOLDS = 5
DIFFER = 2.0
"""Recordings differ when, left out, they look so much stranger to a model of the others than to one of their own."""
LEAST_SETTLE_ROWS, MOST_SETTLE_ROWS = 100, 2000
LEAST_PLANT_NATS = 1.0
LEAST_NETWORK_ROWS = 2000
"""Of less history a network with ten thousand weights learns the noise."""


class NothingToLearnError(Exception):
    """The history holds no readings."""


class Fit(Protocol):
    """Fits a graph network to recordings of sampled signals (`graph.nn.training.fit`); None where they are too short."""

    def __call__(
        self,
        parts: Sequence[Rows],
        scale: Scale,
        linear: Linear,
        hearing: Hearing,
        *,
        step: int,
        seed: int,
        seconds: float | None,
        progress: Progress | None,
    ) -> Learnt | None: ...


def train(
    recordings: Iterable[Iterable[Event]],
    *,
    seed: int = 0,
    budget: float | None = None,
    progress: Progress | None = None,
    network: Fit | None = None,
) -> Model:
    """Learn from recordings, each a stream of events in order. `budget` in seconds is honoured by fewer folds and steps.

    Without a way to fit a `network` there is none, only the linear maps.

    Raises NothingToLearnError.
    """
    began = time.monotonic()
    say = progress or _silent
    topology = Topology()
    taken = []
    for number, events in enumerate(recordings, 1):
        taken.append(Recording.of(events, topology))
        say(0.5 * (1 - 1 / (1 + number)), f"read {number} recordings")
    hasty = budget is not None and time.monotonic() - began > budget / 3
    model = learn(taken, topology, seed=seed, hasty=hasty, progress=say)
    if network is not None and model.numeric is not None:
        left = None if budget is None else max(budget - (time.monotonic() - began), 1.0)
        model = with_network(model, taken, topology, network, hasty=hasty, seconds=left, progress=say)
    say(1.0, "trained")
    figures = msgspec.structs.replace(model.figures, seconds=round(time.monotonic() - began, 3))
    return msgspec.structs.replace(model, figures=figures)


def learn(
    recordings: Sequence[Recording], topology: Topology, *, seed: int = 0, hasty: bool = False, progress: Progress | None = None
) -> Model:
    """The same from recordings that are already taken in."""
    say = progress or _silent
    recordings = [recording for recording in recordings if len(recording)]
    if not recordings:
        raise NothingToLearnError("the history holds no readings of any device")
    layout = learn_layout(recordings, topology)
    say(0.5, f"{len(layout.sampled)} sampled signals, {len(layout.states)} of states, step {layout.step / 1e6:g} s")
    silences: Counter[str] = Counter()
    numeric, settle = _learn_numeric(recordings, layout, silences, hasty=hasty) if layout.sampled else (None, 0)
    say(0.75, "numeric part trained" if layout.sampled else "no numeric part")
    discrete = _learn_discrete(recordings, layout, topology, hasty=hasty) if layout.states else None
    return Model(layout, numeric, discrete, None, settle, seed, _figures(recordings, silences))


def with_network(
    model: Model,
    recordings: Sequence[Recording],
    topology: Topology,
    fit_network: Fit,
    *,
    hasty: bool = False,
    seconds: float | None = None,
    progress: Progress,
) -> Model:
    """The same model with a graph network, its views calibrated on history that the network in question has not seen.

    Three networks are fitted: one for each half of history, to judge the other half, and one for all of it, which is kept.
    """
    layout = model.layout
    parts = _parts(recordings, layout, Counter())
    if sum(map(len, parts)) < LEAST_NETWORK_ROWS:
        return model
    folds = folds_for(parts, len(layout.sampled), hasty=hasty)
    blocks = split(parts, folds)
    hearing = Hearing.live(topology, layout.sampled)
    shares = iter(((0.75, 0.82), (0.82, 0.89), (0.89, 0.98)))

    def fitted(some: Sequence[Rows]) -> tuple[Learnt | None, Scale, Linear]:
        scale, (begin, end) = Scale.learn(some), next(shares)
        linear = fit(some, scale)
        learnt = fit_network(
            some,
            scale,
            linear,
            hearing,
            step=layout.step,
            seed=model.seed,
            seconds=None if seconds is None else seconds / 3.5,
            progress=lambda share, text: progress(begin + (end - begin) * share, text),
        )
        return learnt, scale, linear

    halves = [[part for group in blocks[half::2] for part in group] for half in range(2)]
    judges = [fitted(halves[1 - half]) for half in range(2)] if all(halves) else []
    whole = fitted(parts)[0] if judges else None
    if whole is None or any(learnt is None for learnt, _, _ in judges):
        return model
    unseen = [
        predicted(*judges[number % 2], hearing, part)  # type: ignore[arg-type]
        for number, group in enumerate(blocks)
        for part in group
    ]
    numeric = train_numeric(parts, layout.step, folds, unseen)
    return msgspec.structs.replace(model, numeric=numeric, predictor=whole)


def predicted(learnt: Learnt, scale: Scale, linear: Linear, hearing: Hearing, rows: Rows) -> Floats:
    """What a network leaves unexplained of a recording (n, 2, d)."""
    predictor = Predictor(learnt, hearing)
    now, past, day = scale.features(rows)
    expected = now[:, None] - linear.many(np.concatenate([now, past, day], axis=1))[:, [0, 2]]
    known = ~np.isnan(rows.values)
    found = [
        predictor.follow(int(at), now[row], known[row], day[row] / DAY_SCALE, expected[row]) for row, at in enumerate(rows.at)
    ]
    return np.array(found)


def _silent(_share: float, _text: str) -> None:
    """Nobody listens."""


def _figures(recordings: Sequence[Recording], silences: Counter[str]) -> Figures:
    days = sum(recording.end - recording.start for recording in recordings) / DAY
    gone = sum(recording.disconnects for recording in recordings)
    return Figures(
        recordings=len(recordings),
        readings=sum(len(recording) for recording in recordings),
        days=days,
        disconnects_per_day=gone / days if days else 0.0,
        silences_per_day={device: count / days for device, count in sorted(silences.items())} if silences else msgspec.UNSET,
    )


# --- Sampled signals --------------------------------------------------------------------------------------------------------


def _learn_numeric(
    recordings: Sequence[Recording], layout: Layout, silences: Counter[str], *, hasty: bool
) -> tuple[Numeric | None, int]:
    """Also counts how often each device falls silent."""
    columns = len(layout.sampled)
    parts = _parts(recordings, layout, silences)
    if sum(map(len, parts)) < LEAST_SETTLE_ROWS:
        return None, LEAST_SETTLE_ROWS
    model = train_numeric(parts, layout.step, folds_for(parts, columns, hasty=hasty))
    if len(parts) < LEAST_RECORDINGS or hasty or columns > DENSE_COLUMNS:
        return model, 0
    settle = int(np.clip(np.median([len(part) for part in parts]), LEAST_SETTLE_ROWS, MOST_SETTLE_ROWS))
    return (None, settle) if _differ(parts, model, settle) else (model, 0)


def _parts(recordings: Sequence[Recording], layout: Layout, silences: Counter[str]) -> list[Rows]:
    """The rows of recordings that have any."""
    parts = [Rows.of(list(watched(recording, layout, silences)), len(layout.sampled)) for recording in recordings]
    return [part for part in parts if len(part) > 1]


def folds_for(parts: Sequence[Rows], columns: int, *, hasty: bool) -> int:
    if hasty or columns > DENSE_COLUMNS:
        return FEW_FOLDS
    return min(FOLDS, len(parts)) if len(parts) >= LEAST_RECORDINGS else STRETCHES


def _differ(parts: Sequence[Rows], model: Numeric, settle: int) -> bool:
    """Whether a recording is told better by what its own first rows teach than by all the other recordings."""
    own = [train_numeric([part.part(0, settle)], model.step, STRETCHES) for part in parts if len(part) >= settle]
    if len(own) < LEAST_RECORDINGS:
        return False
    ratios = [(model.spread[0] * model.scale.spread) / (each.spread[0] * each.scale.spread) for each in own]
    return float(np.median(np.median(ratios, axis=1))) > DIFFER


# --- States -------------------------------------------------------------------------------------------------------------------


def _learn_discrete(recordings: Sequence[Recording], layout: Layout, topology: Topology, *, hasty: bool) -> Discrete:
    pairs = pairs_over_edges(layout, topology)
    devices = [device for device, _ in layout.states]
    pieces = -(-LEAST_RUNS // len(recordings))
    tallies = [tally(recording, layout, pairs, pieces) for recording in recordings]
    whole = build(tallies, layout, pairs, devices)
    folds = min(FEW_FOLDS if hasty else DISCRETE_FOLDS, len(recordings))
    scores: list[Floats] = []
    for fold in range(folds):
        others = [part for number, part in enumerate(tallies) if number % folds != fold] if folds > 1 else tallies
        model = build(others, layout, pairs, devices)
        scores += [replayed_surprise(recording, layout, model) for recording in recordings[fold::folds]]
    days = sum(map(len, scores)) * layout.step / DAY
    threshold = alarm_threshold(scores, days=days, recordings=len(recordings))
    return msgspec.structs.replace(whole, threshold=max(threshold, LEAST_PLANT_NATS))


def replayed_surprise(recording: Recording, layout: Layout, model: Discrete) -> Floats:
    """The plant's surprise at each step of a recording."""
    names = sorted(set(model.devices))
    places = np.array([names.index(device) for device in model.devices], dtype=np.int64)
    states, watch = States(layout), Watch(model)
    states.begin(watch, recording.start)
    found, due = [], -(-recording.start // layout.step) * layout.step
    for at, key, value in recording:
        while due < at:
            found.append(_look(watch, Micros(due), places, len(names)))
            due += layout.step
        states.set(watch, key, value, at)
    while due <= recording.end:
        found.append(_look(watch, Micros(due), places, len(names)))
        due += layout.step
    return np.array(found)


def _look(watch: Watch, at: Micros, places: np.ndarray[tuple[int, ...], np.dtype[np.int64]], devices: int) -> float:
    surprise = watch.look(at)
    return plant_surprise(by_device(np.maximum(surprise.alone, surprise.conflict), places, devices))
