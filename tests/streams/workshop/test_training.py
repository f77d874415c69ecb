"""A model learnt from the log in a process of its own, and what is said when nothing comes of it."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from agents.dispatcher import Answered, NotSentError
from graph.detection.model import load
from schemas.action import Action, Cause
from schemas.event import ActionStatus, Micros, rfc3339
from schemas.frame import pack
from streams.broker import SqliteLog
from streams.folder import Folder
from streams.workshop.training import Training
from tests.streams.plant import START, STEP, recording

SITE = "s"


def action(begin: int, end: int, *, verb: str = "retrain") -> Action:
    arguments = {"from": rfc3339(Micros(begin)), "until": rfc3339(Micros(end))}
    cause = Cause(instruction_id="run-1", task="t", principal="eve", role="engineer")
    at = rfc3339(Micros(START))
    return Action(
        action_id="action-1",
        site=SITE,
        verb=verb,
        via="training",
        arguments=arguments,
        cause=cause,
        requested_at=at,
        expires_at=at,
    )


async def test_a_model_of_the_period(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    events = recording(400)
    with closing(SqliteLog(folder.log)) as log:
        await log.append(SITE, [pack(events[at : at + 50]) for at in range(0, len(events), 50)])
        training = Training(folder, SITE, budget=20)
        answered = await training.send(action(START, START + 300 * STEP))
    assert answered.status is ActionStatus.SUCCEEDED, answered.detail
    model = load(folder.models / "action-1")
    assert model.digest in answered.detail
    assert len(model.layout.sampled) == 4
    assert model.figures.readings == 299 * 4


async def test_one_at_a_time_though_asked_at_once(tmp_path: Path) -> None:
    training = Training(Folder(tmp_path), SITE)
    asked = action(START, START + STEP)
    first, second = await asyncio.gather(training.send(asked), training.send(asked), return_exceptions=True)
    assert isinstance(first, Answered)
    assert (first.detail, str(second)) == (
        "the history holds no readings of any device",
        "a model is being trained; one at a time",
    )


async def test_nothing_to_learn_and_nothing_asked(tmp_path: Path) -> None:
    training = Training(Folder(tmp_path), SITE)
    answered = await training.send(action(START, START + STEP))
    assert (answered.status, answered.detail) == (ActionStatus.FAILED, "the history holds no readings of any device")
    with pytest.raises(NotSentError):
        await training.send(action(START, START + STEP, verb="stop"))
    training.close()
    with pytest.raises(NotSentError, match="the service ends"):
        await training.send(action(START, START + STEP))
