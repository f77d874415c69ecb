"""`plan`, `plan-train`: instructions to chains of tools, for any tools that a file describes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from agents.encoder import MINILM, EncoderMissingError, LayeredEncoder, open_encoder
from agents.planfiles import PlanFileError, Planned, Request, matched, requests, truths, write
from agents.planlearning import Heard, learn
from agents.planner import Planner
from agents.toolset import ToolFileError, ToolSet
from graph.nn.toolgraph.generic import GenericWeightsError
from graph.nn.toolgraph.model import PlanModelError, save
from streams.cli.terminal import Exit, Json, fail, print_json, progress, say

Tools = Annotated[Path, typer.Option("--tools", help="JSON file of tools and their links.")]
Requests = Annotated[Path, typer.Option("--requests", help="NDJSON file: id and instruction, one request a line.")]
UNREADABLE = (ToolFileError, PlanFileError, PlanModelError, GenericWeightsError)


def plan(
    tools: Tools,
    requests_file: Requests,
    out: Annotated[Path, typer.Option("--out", help="File for the plans, one a line.")],
    model: Annotated[
        Path | None, typer.Option("--model", help="Folder of a model for these tools; without it, none is needed.")
    ] = None,
    json: Json = False,
) -> None:
    """Choose tools for each instruction, in order, and say why."""
    began = time.monotonic()
    try:
        asked = requests(requests_file)
        planner = Planner.open(ToolSet.load(tools), model)
    except UNREADABLE as error:
        fail(str(error), Exit.UNREADABLE)
    except EncoderMissingError as error:
        fail(str(error), Exit.USAGE)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", Exit.UNREADABLE)
    loaded = time.monotonic()
    try:
        with out.open("wb") as file:
            write(_plans(planner, asked), file)
    except OSError as error:
        fail(f"--out {out}: {error.strerror}", Exit.USAGE)
    each = 1000 * (time.monotonic() - loaded) / max(len(asked), 1)
    facts = {
        "plans": len(asked),
        "encoder": planner.encoder.name,
        "loading": round(loaded - began, 1),
        "msEach": round(each, 1),
    }
    if json:
        print_json([facts])
    else:
        say(f"{len(asked)} plans in {time.monotonic() - loaded:.1f} s ({each:.1f} ms each) with {planner.encoder.name}: {out}")


def _plans(planner: Planner, asked: list[Request]) -> Iterator[Planned]:
    with progress("planning", float(len(asked))) as advance:
        for request in asked:
            yield Planned.of(request.id, planner.plan(request.instruction))
            advance(1.0)


def _heard(began: float, heard: Heard) -> None:
    found = f", held out: tools F1 {heard.figures[0]:.3f}, links F1 {heard.figures[1]:.3f}" if heard.figures else ""
    passed = time.monotonic() - began
    left = max(passed * (1 / heard.share - 1), 0.0)
    at = f"member {heard.member}, round {heard.round} of {heard.of}"
    say(f"{at}: loss {heard.loss:.3f}{found}; {passed:.0f} s passed, about {left:.0f} s left")


def plan_train(
    tools: Tools,
    requests_file: Requests,
    truth: Annotated[Path, typer.Option("--truth", help="NDJSON file: id and the right tasks in order, one a line.")],
    model: Annotated[Path, typer.Option("--model", help="Folder for the model.")],
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal models.")] = 0,
    encoder: Annotated[
        str | None, typer.Option("--encoder", help="Model that reads sentences; without it the fastest one installed.")
    ] = None,
    json: Json = False,
) -> None:
    """Learn to plan with these tools from instructions and the tasks that were right for them (needs torch)."""
    began = time.monotonic()
    try:
        known = ToolSet.load(tools)
        examples = matched(requests(requests_file), truths(truth, known))
        if not examples:
            fail(f"{truth}: has no tasks for any request of {requests_file}", Exit.UNREADABLE)
        reader = open_encoder(encoder, fast=True)
        if not isinstance(reader, LayeredEncoder):
            say(f"{reader.name} is taken as it is: only {MINILM} (the extra 'nlp') is taught along, which finds more")
        with progress("reading and learning", 1.0) as advance:
            learnt = learn(known, examples, reader, seed=seed, advance=advance, told=partial(_heard, began))
    except UNREADABLE as error:
        fail(str(error), Exit.UNREADABLE)
    except EncoderMissingError as error:
        fail(str(error), Exit.USAGE)
    except ImportError:
        fail("torch is not installed: install the extra 'nn' (in a clone: make dev)", Exit.USAGE)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", Exit.UNREADABLE)
    try:
        save(learnt, model)
    except OSError as error:
        fail(f"--model {model}: {error.strerror}", Exit.USAGE)
    facts = {"model": str(model), "examples": len(examples), "seconds": round(time.monotonic() - began, 1)}
    if json:
        print_json([facts | {"encoder": learnt.manifest.encoder, "figures": learnt.manifest.figures}])
    else:
        say(f"learnt from {len(examples)} examples in {facts['seconds']} s: {model}; held out: {learnt.manifest.figures}")
