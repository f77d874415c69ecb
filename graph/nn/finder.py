"""Applies the origin network to a live plant: keeps what depends on the topology alone until that changes."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, softmax

from graph.detection.evidence import Sensing
from graph.faultpath.clues import Clues
from graph.faultpath.features import Evidence, Patterns, features
from graph.faultpath.finder import Verdict
from graph.faultpath.influence import Influence
from graph.nn.origins import Neighbourhood, OriginNetwork

LEAST_SIGNALS = 2


class GraphFinder:
    """One per site; holds no state but caches."""

    def __init__(self, network: OriginNetwork) -> None:
        self._network = network
        self._known: tuple[Influence, Sensing] | None = None

    def judge(self, influence: Influence, clues: Clues, sensing: Sensing) -> Verdict | None:
        """Probabilities for all devices of the graph."""
        network = influence.network
        if network is None or clues.rows.shape != (len(clues.rows), len(sensing.columns)) or not len(clues.rows):
            return None
        evidence = Evidence.of(influence, clues, sensing)
        if len(evidence.place) < LEAST_SIGNALS:
            return None
        if self._known is None or self._known[0] is not influence or self._known[1] is not sensing:
            self._known = influence, sensing
            self._patterns = Patterns(network, evidence)
            pairs = np.array(sorted(influence.relations), dtype=np.int64).reshape(-1, 2).T
            self._neighbourhood = Neighbourhood(len(influence), pairs)
        table = features(influence, network, clues, evidence, self._patterns)
        logits = self._network(table, self._neighbourhood).astype(float)
        likely = np.where(influence.present, logits[:, 0], -np.inf)
        return Verdict(softmax(likely), *expit(logits[:, 1:]).T)
