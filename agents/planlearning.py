"""Examples of a tool set to a model of its plans: what `openautoglm plan-train` does. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.encoder import Encoder
from agents.planfiles import Request, Truth
from agents.planner import digest, framed, linked, read, tool_vectors
from agents.toolset import ToolSet
from graph.nn.toolgraph.chains import LONGEST
from graph.nn.toolgraph.model import Learnt

AT_ONCE = 64
READING = 0.25
"""The part of the work that is reading the instructions with the encoder, about."""


def learn(
    tools: ToolSet,
    examples: Sequence[tuple[Request, Truth]],
    encoder: Encoder,
    *,
    seed: int,
    advance: Callable[[float], None] = lambda _: None,
) -> Learnt:
    """A model. `advance` is told the share of the work that was done.

    Raises:
        ImportError: torch is not installed.
        ValueError: there are no examples.
    """
    from graph.nn.toolgraph.training import Examples, train  # noqa: PLC0415 - torch takes seconds to load, and few need it

    texts = [request.instruction.strip() for request, _ in examples]
    vectors, states = [np.zeros((0, encoder.dimensions), np.float32)], list[NDArray[Any]]()
    for begin in range(0, len(texts), AT_ONCE):
        part = texts[begin : begin + AT_ONCE]
        found = read(encoder, part)
        vectors.append(np.stack([vector for vector, _ in found]))
        states += [state.astype(np.float16) for _, state in found]
        advance(READING * len(part) / len(texts))
    learnt = Examples(
        texts,
        np.concatenate(vectors),
        states,
        [_chain(tools, truth) for _, truth in examples],
        tool_vectors(tools, encoder),
        framed(linked(tools)),
        digest(tools),
        encoder.name,
    )
    return train(learnt, seed=seed, advance=lambda share: advance((1 - READING) * share))


def _chain(tools: ToolSet, truth: Truth) -> tuple[int, ...]:
    """Each tool once, where it comes first."""
    return tuple(dict.fromkeys(tools.place(task) for task in truth.tasks))[:LONGEST]
