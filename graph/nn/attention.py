"""Attention of nodes over their recent neighbours.

Products are exchanged so that none is done for each neighbour: q . (We phi) = (We' q) . phi, and
sum(a We phi) = We sum(a phi). A neighbour's row is named by its address: it lies in one of two arrays, and a choice between
arrays costs more than reading the row. Arguments are positional because numba has no others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graph.nn.curves import exponential
from graph.nn.desk import Reads, Row
from graph.nn.kernels import copy, encode, fetch, gather_at
from graph.nn.tiles import LANES, Floats, Ints, Matrix, blend, compiled, product, similarity
from graph.nn.weights import Doubles

BYTES = 4


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
        fetch(old, new, reads.memory[row], inputs, row * d, d)
        gather_at(static, nodes[row] * d, inputs, row * d, d)
    product(inputs, 0, d, len(nodes), ask_by, ask, 0)


@compiled
def weigh(scores: Floats, first: int, count: int) -> None:
    """Softmax, in place."""
    highest = scores[first]
    for near in range(first + 1, first + count):
        highest = max(highest, scores[near])
    total = np.float32(0)
    for near in range(first, first + count):
        scores[near] = exponential(scores[near] - highest)
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
    ages, values = at.ages.ctypes.data, at.values.ctypes.data
    for near in range(count):
        key, edge = reads.recall[first + near], reads.message[first + near]
        for head in range(heads):
            shift = BYTES * head * part
            value, into = key + BYTES * heads * part + shift, values + BYTES * head * wide
            age = ages + BYTES * near * times
            blend(at.share[head * size + near], value, edge + shift, part, into, age, times, mixed + head * mixed_step)


@compiled
def attend(  # noqa: PLR0917
    reads: Reads, size: int, at: Row, turns: Doubles, start: Doubles, rows: int, ask: Floats, ask_width: int,
    wanted: Floats, wanted_width: int, mixed: Floats, heads: int, part: int, out: Floats,
) -> None:  # fmt: skip
    """By shares: values with the skips into `out` (rows, o), encodings of ages into `mixed` (heads, rows, filled t)."""
    times, wide = len(turns), len(at.query) // heads
    filled = (times + LANES - 1) // LANES * LANES
    for place in range(heads * rows * filled):
        mixed[place] = 0
    for row in range(rows):
        for head in range(heads):
            copy(ask, row * ask_width + head * part, at.query, head * wide, part)
        for column in range(heads * wide):
            at.values[column] = 0
        first, count = row * size, reads.near[row]
        if count:
            encode(turns, start, reads.age, first, count, at.ages)
            wants, mixes = wanted.ctypes.data + BYTES * row * wanted_width, mixed.ctypes.data + BYTES * row * filled
            score(reads, first, count, at, wants, BYTES * rows * wanted_width, heads, part, times)
            mix(reads, first, count, at, mixes, BYTES * rows * filled, heads, part, times)
        skip = row * ask_width + heads * part
        for head in range(heads):
            for column in range(part):
                out[row, head * part + column] = ask[skip + head * part + column] + at.values[head * wide + column]


@compiled
def add_ages(mixed: Floats, stride: int, rows: int, aged_by: tuple[Matrix, ...], aged: Floats, out: Floats, part: int) -> None:  # noqa: PLR0917
    """What the mixed encodings add to the embeddings."""
    for head in range(len(aged_by)):
        by = aged_by[head]
        product(mixed, head * rows * stride, stride, rows, by, aged, 0)
        for row in range(rows):
            for column in range(part):
                out[row, head * part + column] += aged[row * by.width + column]
