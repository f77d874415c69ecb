"""How far a fault has spread, and how far it will: which devices it affects since when, and which it will reach next.

With a finder's verdict, devices whose numeric signals are watched are affected if that is more likely than not; without one,
marks on what the signals show decide. States always decide by their surprise.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from graph.faultpath.clues import NEVER, STATE_NATS, Clues, Ints
from graph.faultpath.finder import Verdict
from graph.faultpath.influence import Influence
from graph.faultpath.state import Ahead
from schemas.device import DeviceId
from schemas.event import Micros

Floats = NDArray[np.float64]

LIKELY = 0.5
PASSED = 0.3
"""Shares of certainty at which a device counts as affected, and at which the path leads to it: a way has more than one end."""
MOST_AHEAD = 20


class Spread:
    """Of the fault in one connected part of the plant, opened at a time, as known now."""

    def __init__(self, part: int, opened_at: Micros, clues: Clues, influence: Influence, verdict: Verdict | None) -> None:
        self._opened_at = opened_at
        self._clues = clues
        self._influence = influence
        self._verdict = verdict
        self._place = np.array([influence.place[device] for device in clues.devices], dtype=np.int64)
        self._inside = influence.present & (influence.part == part)

    def affected(self) -> dict[DeviceId, Micros]:
        """Onsets, earliest first."""
        if self._verdict is None:
            return self._listed(self._clues.affected())
        return self._listed(self._onsets(self._verdict.already))

    def reached(self) -> Mapping[DeviceId, Micros | None]:
        """Devices that the path leads to, with the onset of those that show one."""
        if self._verdict is None:
            return self._listed(self._clues.reached())
        return dict.fromkeys(self._named(self._verdict.already >= PASSED)) | self.affected()

    def certain(self) -> Mapping[DeviceId, float]:
        """How likely it is that each device is affected, by its numeric signals or by its states."""
        if self._verdict is None:
            return {}
        share = self._verdict.already.copy()
        nats = np.maximum(self._clues.alone, self._clues.conflict)
        share[self._place] = np.maximum(share[self._place], np.where(nats > STATE_NATS, -np.expm1(-nats), 0.0))
        return dict(zip(self._influence.names, share.tolist(), strict=True))

    def forecast(self, origin: int, now: Micros) -> tuple[Ahead, ...]:
        """Devices that will likely be affected but are not yet, and when, soonest first.

        The fault is taken to go on at the pace per hop at which it has come so far.
        """
        if self._verdict is None:
            return ()
        affected = self.affected()
        waiting = self._inside & (self._verdict.affected >= LIKELY) & (self._verdict.already < LIKELY)
        hops = self._influence.hops(origin, most=len(self._influence))
        pace = self._pace(affected, hops)
        ahead = [
            Ahead(name, Micros(max(int(now), int(self._opened_at + pace * hops[place]))), float(self._verdict.affected[place]))
            for place in np.flatnonzero(waiting).tolist()
            if place in hops and (name := self._influence.names[place]) not in affected
        ]
        return tuple(sorted(ahead, key=lambda item: (item.expected, -item.probability, item.device))[:MOST_AHEAD])

    def _pace(self, affected: Mapping[DeviceId, Micros], hops: Mapping[int, int]) -> float:
        """Micros per hop from the origin, in the median."""
        place = self._influence.place
        paces = [max(at - self._opened_at, 0) / hops[place[name]] for name, at in affected.items() if hops.get(place[name])]
        return float(np.median(paces)) if paces else 0.0

    def _onsets(self, likely: Floats) -> Ints:
        """Of the watched devices; one that is affected without having passed its mark is so since the fault was noticed."""
        clues = self._clues
        states = np.minimum(clues.onset_alone, clues.onset_conflict)
        moved = np.minimum(clues.onset_shift, clues.onset_score)
        moved = np.where(moved == NEVER, np.int64(self._opened_at), moved)
        numeric = clues.numeric & (likely[self._place] >= LIKELY)
        onset: Ints = np.where(numeric, np.minimum(states, moved), states)
        if len(onset) and (onset == NEVER).all():
            strangest = int(np.argmax(clues.tail))
            onset[strangest] = clues.onset_score[strangest]
        return onset

    def _named(self, chosen: NDArray[np.bool_]) -> list[DeviceId]:
        return [self._influence.names[place] for place in np.flatnonzero(chosen & self._inside)]

    def _listed(self, onset: Ints) -> dict[DeviceId, Micros]:
        """Devices of this part that have an onset, earliest first."""
        found = [
            (int(at), device)
            for at, device, place in zip(onset, self._clues.devices, self._place, strict=True)
            if at != NEVER and self._inside[place]
        ]
        return {device: Micros(at) for at, device in sorted(found)}
