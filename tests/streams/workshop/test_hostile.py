"""Hostile strings in every place that takes a text: no effect without a permit, nothing but text in what is made of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest

from agents.arguments import ArgumentError, resolved
from agents.catalogue import plant_tools
from agents.entry import Stage
from agents.fakes import FakeEngine, FakeOutlet
from agents.run import TaskState
from agents.taskgraph import Task
from agents.toolset import Effect, Slot, Tool
from agents.workshop import Part, ToolError
from schemas.device import Signal, SignalKind, SignalName
from schemas.event import Connected, Event, Telemetry
from tests.streams.plant import recording, stamp
from tests.streams.workshop.room import NOW, PUMP, Bench, opened
from tests.streams.workshop.test_documents import FORBIDDEN, TEXT, read, tokens

FILE = Path(__file__).parents[2] / "agents" / "instructions" / "hostile.txt"
WRITTEN: list[str] = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines() if line.strip()]
STRINGS = [text for text in WRITTEN if text.isascii() or text.encode(errors="ignore").decode() == text]
"""What is no Unicode is refused at the door (tests/streams/api/test_instructions.py)."""
SAMPLED = STRINGS[::16]
"""A chart takes a quarter of a second."""
GOOD: dict[str, Any] = {"device": PUMP, "signal": "level", "verb": "stop", "value": 1.0}
TOOLS = plant_tools().tools


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Where nothing is permitted, with an alarm that could be acknowledged."""
    ways = {"work-orders": FakeOutlet(), "training": FakeOutlet()}
    with opened(tmp_path, engine=FakeEngine(allowed=False), via=ways) as found:
        yield found


def arguments(tool: Tool, slot: Slot, text: str) -> dict[str, Any]:
    """What the tool needs, and in one place the string."""
    return {one.name: GOOD.get(one.name, "x") for one in tool.inputs if one.required} | {slot.name: text}


@pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool.inputs], ids=lambda tool: tool.id)
async def test_as_an_argument_it_has_no_effect(tool: Tool, bench: Bench) -> None:
    alarm = await bench.alarm()
    before, outlets = bench.room.alarm(alarm), [bench.device, *bench.side.outlets.values()]
    digest = bench.topology.digest()
    for number, text in enumerate(STRINGS):
        for slot in tool.inputs:
            task = Task(f"t{number}", tool.id, arguments(tool, slot, text))
            with suppress(ArgumentError, ToolError):
                final = resolved(tool, task, {})
                call = replace(bench.call(tool.id, key=task.key, text=text), arguments=final)
                outputs = await bench.workshop.use(call)
                assert len(msgspec.json.encode(outputs)) < 4_000_000
                assert tool.effect is not Effect.ACT
    assert not any(outlet.sent for outlet in outlets if isinstance(outlet, FakeOutlet))
    assert bench.room.alarm(alarm) == before
    assert bench.topology.digest() == digest
    assert len(bench.side.ledger.at_stage(Stage.REFUSED)) == len(bench.side.requested)


async def test_in_an_action_it_is_data_as_it_was_written(bench: Bench) -> None:
    """What is permitted is permitted for exactly this text."""
    assert isinstance(bench.side.engine, FakeEngine)
    bench.side.engine.allowed = True
    for number, text in enumerate(STRINGS):
        if not text or len(text) > 2_000:
            continue
        call = bench.call("notify", key=f"n{number}")
        await bench.workshop.use(replace(call, arguments={"to": text, "text": text}))
        assert bench.side.requested[-1].arguments == {"to": text, "text": text}
        assert bench.side.requested[-1].verb == "notify"
    assert bench.device.sent == []


async def test_in_a_report_it_is_text(bench: Bench, tmp_path: Path) -> None:
    harmless: set[str] = set()
    for text in ("a", *STRINGS):
        facts = {text: text, "nested": {text: [text, {text: text}]}}
        parts = tuple(
            Part(
                key="one", tool="find_devices", state=state, outputs=outputs, detail=text, arguments={"text": text, text: text}
            )
            for state, outputs in (
                (TaskState.SUCCEEDED, {"devices": [facts], "explanation": facts, "word": text, "words": [text]}),
                (TaskState.FAILED, {}),
            )
        )
        await bench.workshop.use(bench.call("write_report", parts=parts, text=text))
        report = read(tmp_path, "write_report.md")
        found = tokens(report)
        harmless = harmless or {*found, "text_special", "softbreak"}
        assert found <= harmless, text
        assert all(letter.isprintable() or letter == "\n" for letter in report)


@pytest.mark.parametrize("text", SAMPLED)
async def test_in_a_chart_it_is_text(text: str, tmp_path: Path) -> None:
    name = SignalName(text[:128] or "x")
    events = [Event(stamp(1, NOW - 9), Connected(PUMP, text, signals=(Signal(name, SignalKind.NUMERIC, unit=text),)))]
    events += [Event(stamp(number, NOW - number), Telemetry(PUMP, {name: 1.0 * number})) for number in (2, 3)]
    with opened(tmp_path, events) as bench:
        series = (await bench.use("signal_history", device=PUMP))["series"]
        await bench.use("draw_chart", series=series)
        root = ET.fromstring(read(tmp_path, "draw_chart.svg"))
        assert not {element.tag.rpartition("}")[2] for element in root.iter()} & FORBIDDEN
        assert any(PUMP in (element.text or "") for element in root.iter(TEXT))
        found = await bench.use("find_devices", text=text)
        assert found["count"] in (0, 1)


async def test_in_alarms_it_is_text(tmp_path: Path) -> None:
    with opened(tmp_path, recording(3)) as bench:
        for number, text in enumerate(STRINGS):
            await bench.alarm(name=f"control:{text[:100]} {number}")
        found = await bench.use("list_alarms", device=PUMP)
        assert found["count"] == len(STRINGS)
        explained = (await bench.use("explain_device", device=PUMP))["explanation"]
        assert len(explained["alarms"]) == 500
        part = Part(key="a", tool="list_alarms", state=TaskState.SUCCEEDED, outputs=found, detail="", arguments={})
        await bench.workshop.use(bench.call("write_report", parts=(part,)))
        assert "html_inline" not in tokens(read(tmp_path, "write_report.md"))
