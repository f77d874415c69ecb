"""Attention of nodes over their recent neighbours.

Products are exchanged so that none is done for each neighbour: q . (We phi) = (We' q) . phi, and
sum(a We phi) = We sum(a phi). A neighbour's row is named by its address: it lies in one of two arrays, and a choice between
arrays costs more than reading the row. Arguments are positional because numba has no others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graph.nn.desk import Reads, Row
from graph.nn.instructions import LANES
from graph.nn.kernels import encode, held
from graph.nn.tiles import BYTES, Floats, Ints, Matrix, compiled, product
from graph.nn.vectors import mix_ages, mix_values, move, plus, raise_row, similarity
from graph.nn.weights import Doubles

WORD_BYTES = 8


class Sources(NamedTuple):
    """Where keys, values and messages lie, from before the batch and from within."""

    recall: Floats  # (slots, 2o)
    new_recall: Floats  # (rows, width)
    width: int
    message: Floats  # (places, o)
    said: Floats  # (events, width): the last part of a row
    said_width: int
    said_at: int


@compiled
def question(  # noqa: PLR0917
    old: Floats, new: Floats, static: Floats, reads: Reads, nodes: Ints, ask_by: Matrix, inputs: Floats, ask: Floats
) -> None:
    """Queries and skips of what nodes remember."""
    d = ask_by.inner
    for row in range(len(nodes)):
        known = static.ctypes.data + BYTES * nodes[row] * d
        plus(held(old, new, reads.memory[row], d), known, inputs.ctypes.data + BYTES * row * d, d)
    product(inputs, 0, d, len(nodes), ask_by, ask, 0)


@compiled
def weigh(scores: Floats, first: int, count: int) -> None:
    """Softmax, in place."""
    highest = scores[first]
    for near in range(first + 1, first + count):
        highest = max(highest, scores[near])
    raise_row(scores.ctypes.data + BYTES * first, highest, count)
    total = np.float32(0)
    for near in range(first, first + count):
        total += scores[near]
    for near in range(first, first + count):
        scores[near] /= total


@compiled
def locate(reads: Reads, sources: Sources, rows: int, size: int, o: int) -> None:
    """What rows read of neighbours, from numbers to addresses."""
    old, new = sources.recall.ctypes.data, sources.new_recall.ctypes.data
    old_message, new_message = sources.message.ctypes.data, sources.said.ctypes.data + BYTES * sources.said_at
    for row in range(rows):
        for place in range(row * size, row * size + reads.near[row]):
            recall, event = reads.recall[place], reads.message[place]
            reads.recall[place] = new + BYTES * recall * sources.width if recall >= 0 else old + BYTES * ~recall * 2 * o
            reads.message[place] = (
                new_message + BYTES * event * sources.said_width if event >= 0 else old_message + BYTES * ~event * o
            )


@compiled
def ask_ages(ask: Floats, rows: int, width: int, wanted_by: tuple[Matrix, ...], wanted: Floats) -> None:
    """What each head of each row wants of an encoding of age: (heads, rows, padded t)."""
    for head in range(len(wanted_by)):
        by = wanted_by[head]
        product(ask, head * by.inner, width, rows, by, wanted, head * rows * by.width)


@compiled
def score(  # noqa: PLR0917
    reads: Reads, first: int, count: int, at: Row, wanted: int, wanted_step: int, heads: int, part: int, times: int
) -> None:
    """The share of each neighbour in each head."""
    size, wide, scale = len(at.share) // heads, len(at.query) // heads, np.float32(1 / np.sqrt(part))
    query, ages = at.query.ctypes.data, at.ages.ctypes.data
    for near in range(count):
        key, edge = reads.recall[first + near], reads.message[first + near]
        age = ages + BYTES * near * times
        for head in range(heads):
            shift = BYTES * head * part
            ask = query + BYTES * head * wide
            found = similarity(ask, key + shift, edge + shift, part, wanted + head * wanted_step, age, times)
            at.share[head * size + near] = found * scale
    for head in range(heads):
        weigh(at.share, head * size, count)


@compiled
def mix(reads: Reads, first: int, count: int, at: Row, mixed: int, mixed_step: int, heads: int, part: int, times: int) -> None:  # noqa: PLR0917
    """Values and encodings by their shares."""
    size, wide = len(at.share) // heads, len(at.query) // heads
    values, edges = reads.recall.ctypes.data + WORD_BYTES * first, reads.message.ctypes.data + WORD_BYTES * first
    for near in range(first, first + count):
        reads.recall[near] += BYTES * heads * part
    for head in range(heads):
        shares = at.share.ctypes.data + BYTES * head * size
        mix_values(shares, values, edges, BYTES * head * part, count, at.values.ctypes.data + BYTES * head * wide, part)
        mix_ages(shares, at.ages.ctypes.data, times, count, mixed + head * mixed_step, times)


@compiled
def attend(  # noqa: PLR0917
    reads: Reads, size: int, at: Row, turns: Doubles, start: Doubles, rows: int, ask: Floats, ask_width: int,
    wanted: Floats, wanted_width: int, mixed: Floats, times: int, heads: int, part: int, out: Floats,
) -> None:  # fmt: skip
    """By shares: values with the skips into `out` (rows, o), encodings of ages into `mixed` (heads, rows, filled t)."""
    wide = len(at.query) // heads
    filled = (times + LANES - 1) // LANES * LANES
    for row in range(rows):
        source = ask.ctypes.data + BYTES * row * ask_width
        for head in range(heads):
            move(source + BYTES * head * part, at.query.ctypes.data + BYTES * head * wide, part)
        first, count = row * size, reads.near[row]
        if count:
            encode(turns, start, reads.age, first, count, at.ages, times)
            wants = wanted.ctypes.data + BYTES * row * wanted_width
            score(reads, first, count, at, wants, BYTES * rows * wanted_width, heads, part, times)
        mix(reads, first, count, at, mixed.ctypes.data + BYTES * row * filled, BYTES * rows * filled, heads, part, times)
        for head in range(heads):
            skip, values = source + BYTES * (heads + head) * part, at.values.ctypes.data + BYTES * head * wide
            plus(skip, values, values, part)
            move(values, out.ctypes.data + BYTES * (row * heads + head) * part, part)


@compiled
def add_ages(mixed: Floats, stride: int, rows: int, aged_by: tuple[Matrix, ...], aged: Floats, out: Floats, part: int) -> None:  # noqa: PLR0917
    """What the mixed encodings add to the embeddings."""
    heads = len(aged_by)
    for head in range(heads):
        by = aged_by[head]
        product(mixed, head * rows * stride, stride, rows, by, aged, 0)
        for row in range(rows):
            found, added = out.ctypes.data + BYTES * (row * heads + head) * part, aged.ctypes.data + BYTES * row * by.width
            plus(found, added, added, part)
            move(added, found, part)
