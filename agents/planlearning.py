"""Examples of a tool set to a model of its plans: what `openautoglm plan-train` does. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from agents.encoder import Encoder, LayeredEncoder
from agents.planfiles import Request, Truth
from agents.planner import digest, framed, linked, read, tool_vectors
from agents.toolset import ToolSet
from graph.nn.toolgraph.chains import LONGEST
from graph.nn.toolgraph.model import Learnt

READING = 0.05
"""The part of the work that is reading the instructions with the encoder, about."""
BELOW, ABOVE = 2, 4
"""The encoder's layers from `BELOW` up to `ABOVE` are taught with the network; those after are left out."""


@dataclass(frozen=True)
class Heard:
    """How learning goes. `share`: of all the work; `figures`: F1 of tools and links on what is held out, where looked at."""

    member: int
    round: int
    of: int
    loss: float
    share: float
    figures: tuple[float, float] | None


def learn(
    tools: ToolSet,
    examples: Sequence[tuple[Request, Truth]],
    encoder: Encoder,
    *,
    seed: int,
    advance: Callable[[float], None] = lambda _: None,
    told: Callable[[Heard], None] = lambda _: None,
) -> Learnt:
    """A model. `advance` is told the share of the work that was done; `told` is called after each round.

    Raises:
        ImportError: torch is not installed.
        ValueError: there are no examples.
    """
    from graph.nn.toolgraph.training import Examples, train  # noqa: PLC0415 - torch takes seconds to load, and few need it

    done = 0.0

    def further(share: float) -> None:
        nonlocal done
        done += share
        advance(share)

    texts = [request.instruction.strip() for request, _ in examples]
    below, layers = (BELOW, encoder.weights[BELOW:ABOVE]) if isinstance(encoder, LayeredEncoder) else (0, ())
    found = []
    for text in texts:
        found.append(read(encoder, text, below))
        further(READING / len(texts))
    learnt = Examples(
        texts,
        np.stack([vector for vector, _ in found]) if found else np.zeros((0, encoder.dimensions), np.float32),
        [states.astype(np.float16) for _, states in found],
        [_chain(tools, truth) for _, truth in examples],
        tool_vectors(tools, encoder),
        framed(linked(tools)),
        digest(tools),
        encoder.name,
        below,
        layers,
    )
    return train(
        learnt,
        seed=seed,
        advance=lambda share: further((1 - READING) * share),
        told=lambda member, at, figures: told(Heard(member + 1, at.number, at.of, at.loss, done, figures)),
    )


def _chain(tools: ToolSet, truth: Truth) -> tuple[int, ...]:
    """Each tool once, where it comes first."""
    return tuple(dict.fromkeys(tools.place(task) for task in truth.tasks))[:LONGEST]
