"""How strange the sampled signals are: views of their residuals, each scaled by its own tail in history.

Views: the residual given all else now, the same smoothed over a few steps, and the smoothed innovation given the past; with a
graph network also its residual given the neighbours now, the same smoothed, and the smoothed one given the causes and the
time of day. A smoothed view forgets a large deviation quickly once it is over. A signal that stays strange for days on end
slowly becomes usual: its tail grows by Robbins and Monro's quantile rule (1951), twofold in `HABIT_DAYS` of being beyond it
all the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from graph.detection.conditional import DAY, DAY_SCALE, Linear, Rows, Scale, fit
from graph.detection.table import STALE_STEPS, Row
from graph.detection.thresholds import ALARMS_PER_DAY, LEAST_ALARMS, TAIL_SHARE, alarm_threshold, tails
from graph.detection.wander import Wander
from graph.nn.predictor import Predictor
from schemas.event import Micros

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PLAIN, LEARNT = 3, 5
"""Residuals of the linear maps (`Linear`), and with those of the network (`Predictor`) behind them."""
SINGLE, SMOOTHED = (0, 3), (0, 1, 3, 4)
"""The residuals that are looked at one by one, and those that are smoothed."""
SMOOTHING = 0.2
SMOOTH_SPREAD = np.sqrt(SMOOTHING / (2 - SMOOTHING))
"""Of smoothed white noise."""
QUICK = 0.5
LEVEL_TO_FORGET, GAP_TO_FORGET = 1.5, 3.0
CLIP = 6.0
"""Spreads: what one reading can add to a smoothed view."""
LEAST_RESIDUAL = 0.02
"""Share of a signal's own spread: a smaller residual is rounding."""
HABIT_DAYS = 3.0
DEVICE_NATS = 5.5
"""The least tail excess at which a single signal is anomalous: about one step in twelve thousand."""
DEVICE_SHARE = 2e-4
PLANT_TAIL = 0.99
ERRORS, ALONE_ERRORS = 1.0, 2.0
"""Standard errors by which tails may be longer than history shows; in a single recording nothing tells how others differ."""
SMOOTHED_UNSEEN = 1.3
"""By which tails of views are longer than history shows: smoothed values follow one another, so there are fewer of them."""


class Numeric(msgspec.Struct, frozen=True):
    """All that training leaves of d sampled signals. `spread` is (residuals, d), arrays of views are (views, d)."""

    step: int
    scale: Scale
    linear: Linear
    spread: Floats
    start: Floats
    excess: Floats
    plant_start: Floats
    plant_excess: Floats
    plant_floor: float
    plant_threshold: float
    limits: Floats
    wander: Wander

    @property
    def columns(self) -> int:
        return len(self.scale.mean)

    @property
    def views(self) -> int:
        return len(self.start)


class Strangeness(msgspec.Struct, frozen=True):
    """One step: `plant` in units of its threshold; per signal `scores` in units of its limit, `excess` in tail excesses,

    `residual` and `marginal` signed, in spreads: given all else, and given the time of day alone.
    """

    plant: float
    scores: Floats
    excess: Floats
    residual: Floats
    marginal: Floats


class Follower:
    """What a numeric model remembers between steps."""

    def __init__(self, model: Numeric, *, forming_habits: bool = True) -> None:
        self.model = model
        self.predictor: Predictor | None = None
        self._smoothed = [place for place in SMOOTHED if place < len(model.spread)]
        self._single = [place for place in SINGLE if place < len(model.spread)]
        self.forget()
        self._pace = np.log(2) * model.step / (HABIT_DAYS * DAY) if forming_habits else 0.0

    def forget(self) -> None:
        """Begin anew."""
        self._past: Floats | None = None
        self._smooth = np.zeros((len(self._smoothed), self.model.columns))
        self._habit = np.zeros((self.model.views, self.model.columns))
        self._silent = np.zeros(self.model.columns, dtype=bool)
        self._earlier: deque[Floats] = deque(maxlen=STALE_STEPS - 1)

    def follow(self, row: Row, silent: Bools | None = None) -> Strangeness:
        """Score, then learn. Signals that are `silent` (d) are taken to be what all others make expect.

        When one falls silent, what was smoothed is as before the steps in which it was thought to stand still.
        """
        model = self.model
        now = model.scale.apply(row.values)
        past = now if self._past is None else self._past
        day = model.scale.day(np.array([row.at], dtype=np.int64))[0]
        features = np.concatenate([now, past, day])
        if silent is None:
            self._silent[:] = False
        else:
            features = model.linear.completed(features, np.flatnonzero(silent))
            self._smooth = self._earlier[0] if (silent & ~self._silent).any() and self._earlier else self._smooth
            self._silent = silent
        self._earlier.append(self._smooth)
        residuals = model.linear.residuals(features)
        if silent is not None:
            residuals[:2] /= np.sqrt(1 + model.linear.doubt(np.flatnonzero(silent), model.spread[0]) / model.spread[:2] ** 2)
        self._past = features[: model.columns]
        known = ~np.isnan(row.values)
        if len(model.spread) == LEARNT:
            residuals = np.concatenate([residuals, self._predicted(row.at, features, residuals, known)])
        return self.judge(residuals, known)

    def _predicted(self, at: Micros, features: Floats, residuals: Floats, known: Bools) -> Floats:
        """What the network leaves unexplained (2, d)."""
        assert self.predictor is not None
        now, day = features[: self.model.columns], features[2 * self.model.columns :] / DAY_SCALE
        return self.predictor.follow(at, now, known, day, now - residuals[[0, 2]])

    def judge(self, residuals: Floats, known: Bools) -> Strangeness:
        """From residuals (PLAIN or LEARNT, d) and which signals are at hand (d) to strangeness."""
        model = self.model
        excess = self.excesses(residuals, known)
        plant = ((excess.max(axis=1) - model.plant_start) / model.plant_excess).max()
        best = excess.max(axis=0)
        scaled = np.where(known, residuals / model.spread, 0.0)
        return Strangeness(
            plant=max(0.0, float((plant - model.plant_floor) / (model.plant_threshold - model.plant_floor))),
            scores=np.maximum(best / model.limits, 0.0),
            excess=best,
            residual=scaled[0],
            marginal=scaled[2],
        )

    def excesses(self, residuals: Floats, known: Bools) -> Floats:
        """How far each view of each signal is in its tail (views, d), in mean excesses; negative before the tail begins."""
        model = self.model
        scaled = np.where(known, residuals / model.spread, 0.0)
        self._smooth = smooth(self._smooth, np.clip(scaled[self._smoothed], -CLIP, CLIP))
        views = np.abs(np.concatenate([scaled[self._single], self._smooth / SMOOTH_SPREAD]))
        views = np.where(known, views, 0.0) / np.exp(self._habit)
        beyond = np.where(known, (views > model.start) - TAIL_SHARE, 0.0)
        self._habit = np.maximum(self._habit + self._pace * beyond, 0.0)
        found: Floats = (views - model.start) / model.excess
        return found

    def state(self) -> tuple[bytes, ...]:
        past = b"" if self._past is None else self._past.tobytes()
        earlier = tuple(part.tobytes() for part in self._earlier)
        return (past, self._smooth.tobytes(), self._habit.tobytes(), self._silent.tobytes(), *earlier)

    def restore(self, state: Sequence[bytes]) -> None:
        past, smoothed, habit = (np.frombuffer(part, dtype=np.float64).copy() for part in state[:3])
        for silent in state[3:4]:  # snapshots had nothing of it once
            self._silent = np.frombuffer(silent, dtype=bool).copy()
        self._earlier.extend(np.frombuffer(part, dtype=np.float64).reshape(self._smooth.shape) for part in state[4:])
        self._past = past if len(past) else None
        self._smooth = smoothed.reshape(self._smooth.shape)
        self._habit = habit.reshape(self._habit.shape)


def smooth(level: Floats, value: Floats) -> Floats:
    """One step of exponential smoothing that lets go of a large level at once when the deviation is over."""
    over = (np.abs(level) > LEVEL_TO_FORGET) & (np.abs(value - level) > GAP_TO_FORGET) & (np.abs(value) < np.abs(level))
    moved: Floats = level + np.where(over, QUICK, SMOOTHING) * (value - level)
    return moved


def train_numeric(parts: Sequence[Rows], step: int, folds: int, network: Sequence[Floats] = ()) -> Numeric:
    """Learn from recordings. Tails and thresholds come from blocks of history that the fit has not seen.

    `network` are the residuals (n, 2, d) of those blocks, in the order of `split`, by networks that have not seen them either.
    """
    scale = Scale.learn(parts)
    blocks = split(parts, folds)
    unseen = [found for group in blocks for found in _residuals_unseen(blocks, group)]
    if network:
        unseen = [np.concatenate(pair, axis=1) for pair in zip(unseen, network, strict=True)]
    known = [~np.isnan(part.values) for group in blocks for part in group]
    errors = ERRORS if len(parts) > 1 else ALONE_ERRORS
    return calibrate(fit(parts, scale), scale, step=step, unseen=unseen, known=known, errors=errors)


def split(parts: Sequence[Rows], folds: int) -> list[list[Rows]]:
    """Blocks to leave out in turn: whole recordings where there are enough, else stretches of them."""
    usable = [part for part in parts if len(part) > 1]
    if len(usable) < folds:
        usable = [
            part.part(len(part) * cut // folds, len(part) * (cut + 1) // folds) for part in usable for cut in range(folds)
        ]
    return [group for fold in range(folds) if (group := usable[fold::folds])]


def _residuals_unseen(blocks: Sequence[Sequence[Rows]], group: Sequence[Rows]) -> Iterable[Floats]:
    others = [part for other in blocks if other is not group for part in other]
    scale = Scale.learn(others)
    linear = fit(others, scale)
    return [linear.many(np.concatenate(scale.features(part), axis=1)) for part in group]


def calibrate(
    linear: Linear, scale: Scale, *, step: int, unseen: Sequence[Floats], known: Sequence[Bools], errors: float = ERRORS
) -> Numeric:
    """From residuals of history (n, PLAIN or LEARNT, d), a list of blocks, to tails, limits and the plant's threshold."""
    spread = np.maximum(np.sqrt((np.concatenate(unseen) ** 2).mean(axis=0)), LEAST_RESIDUAL)
    columns = len(scale.mean)
    views = sum(place < len(spread) for place in (*SINGLE, *SMOOTHED))
    ones, zeros = np.ones((views, columns)), np.zeros((views, columns))
    model = Numeric(
        step=step,
        scale=scale,
        linear=linear,
        spread=spread,
        start=zeros,
        excess=ones,
        plant_start=zeros[:, 0],
        plant_excess=ones[:, 0],
        plant_floor=0.0,
        plant_threshold=1.0,
        limits=ones[0],
        wander=Wander.learn([part[:, 2] / spread[2] for part in unseen], scale.spread * spread[2]),
    )
    shown = _replayed(Follower(model, forming_habits=False), unseen, known)
    start, excess = tails(np.concatenate(shown))
    model = msgspec.structs.replace(model, start=start, excess=excess)
    return _thresholds(model, _replayed(Follower(model), unseen, known), errors)


def _replayed(follower: Follower, unseen: Sequence[Floats], known: Sequence[Bools]) -> list[Floats]:
    """Each block's tail excesses by view (n, views, d), as a follower sees them that starts each block anew."""
    found = []
    for part, at_hand in zip(unseen, known, strict=True):
        follower.forget()
        found.append(np.array([follower.excesses(row, here) for row, here in zip(part, at_hand, strict=True)]))
    return found


def _plant_threshold(plant: Sequence[Floats], days: float) -> float:
    """From blocks of history in mean excesses. Of a history too short for one alarm the exponential tail is drawn on."""
    shortage = LEAST_ALARMS / max(ALARMS_PER_DAY * days, 1e-6)
    return alarm_threshold(plant, days=days, recordings=0) + max(0.0, float(np.log(shortage)))


def _singles(model: Numeric) -> int:
    """Views that are not smoothed; they come first."""
    return sum(place < len(model.spread) for place in SINGLE)


def _thresholds(model: Numeric, excesses: Sequence[Floats], errors: float) -> Numeric:
    highest = [part.max(axis=2) for part in excesses]
    stacked = np.concatenate(highest)
    start = np.quantile(stacked, PLANT_TAIL, axis=0)
    over = stacked > start
    excess = np.maximum(np.where(over, stacked - start, 0).sum(axis=0) / np.maximum(over.sum(axis=0), 1), 1e-6)
    plant = [((part - start) / excess).max(axis=1) for part in highest]
    floor = float(np.median(np.concatenate(plant)))
    unsure = 1 + errors / np.sqrt(TAIL_SHARE * len(stacked))
    best = np.concatenate([part.max(axis=1) for part in excesses])
    return msgspec.structs.replace(
        model,
        plant_start=start,
        plant_excess=excess * np.where(np.arange(model.views) < _singles(model), 1.0, SMOOTHED_UNSEEN) * unsure,
        plant_floor=floor,
        plant_threshold=max(_plant_threshold(plant, len(stacked) * model.step / DAY), floor + 1e-3),
        limits=np.maximum(np.quantile(best, 1 - DEVICE_SHARE, axis=0), DEVICE_NATS),
    )
