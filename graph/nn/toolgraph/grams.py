"""A sentence as words, pairs of words, pieces of words and where they stand: what the networks read beside its vector.

Digits count only by their number, so that no card or flight number is learnt by heart. Chinese is read character by character.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

WORD = re.compile(r"[\u3400-\u9fff]|0+|[^\W\d_\u3400-\u9fff]+|[,.;:?!，。；？！]")
DIGITS = re.compile(r"\d+")
MOST_WORDS = 120
QUARTERS = 4
PIECE = 4


def words(text: str) -> list[str]:
    """At most `MOST_WORDS`, in lower case.

    >>> words("Pump P-101: 停泵!")
    ['pump', 'p', '0', ':', '停', '泵', '!']
    """
    return WORD.findall(DIGITS.sub("0", text.lower()))[:MOST_WORDS]


def grams(text: str) -> Counter[str]:
    """Words, neighbours, words one apart, words with the quarter of the sentence they stand in, and pieces of four letters."""
    said = words(text)
    found = [*said]
    found += [f"{first} {second}" for first, second in pairwise(said)]
    found += [f"{first}_{second}" for first, second in zip(said, said[2:], strict=False)]
    found += [f"{word}@{QUARTERS * place // len(said)}" for place, word in enumerate(said)]
    found += [f"#{word[at : at + PIECE]}" for word in dict.fromkeys(said) for at in range(len(word) - PIECE + 1)]
    return Counter(found)


class Vocabulary:
    """Grams that are known, and how much each says: the rarer, the more."""

    def __init__(self, known: Sequence[str], weight: Floats) -> None:
        self.known, self.weight = tuple(known), weight
        self._place = {gram: place for place, gram in enumerate(self.known)}

    def __len__(self) -> int:
        return len(self.known)

    @classmethod
    def of(cls, texts: Iterable[str], *, least: int) -> Vocabulary:
        """Grams that stand in `least` of the texts or more."""
        count, seen = 0, Counter[str]()
        for text in texts:
            count += 1
            seen.update(grams(text).keys())
        known = sorted((gram for gram, times in seen.items() if times >= least), key=lambda gram: (-seen[gram], gram))
        weight = [np.log(count / seen[gram]) + 0.3 for gram in known]
        return cls(known, np.array(weight, np.float32))

    def row(self, text: str) -> tuple[Ints, Floats]:
        """Places and weights of the grams of a text; the weights' length is 1."""
        found = [(self._place[gram], times) for gram, times in grams(text).items() if gram in self._place]
        places = np.array([place for place, _ in found], np.int64)
        weights = (1 + np.log(np.array([times for _, times in found], np.float32))) * self.weight[places]
        return places, (weights / max(float(np.linalg.norm(weights)), 1e-6)).astype(np.float32)
