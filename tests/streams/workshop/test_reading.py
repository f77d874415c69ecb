"""Tools that read: what they put out is named as the catalogue says, true of the plant, and bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.catalogue import plant_tools
from agents.toolset import Effect
from agents.workshop import ToolError
from schemas.device import DeviceId, Signal, SignalKind, SignalName
from schemas.event import Connected, Event, Telemetry
from tests.streams.plant import DEVICES, START, recording, stamp
from tests.streams.workshop.room import PIPE, PUMP, TANK, fault, opened

READING = [tool.id for tool in plant_tools().tools if tool.effect is Effect.READ]
ARGUMENTS: dict[str, dict[str, Any]] = {
    name: {"device": PUMP} for name in ("show_neighbours", "assess_impact", "explain_device", "signal_history")
}


def test_every_tool_of_the_catalogue_is_there(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        assert bench.workshop.names == {tool.id for tool in plant_tools().tools}


@pytest.mark.parametrize("tool", READING)
async def test_outputs_are_those_of_the_catalogue(tool: str, tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        await bench.alarm(PIPE, fault=fault())
        arguments = ARGUMENTS.get(tool, {})
        if tool == "compare_periods":
            arguments = {"device": PUMP, "period": "PT30M", "reference": "PT1H"}
        if tool == "signal_statistics":
            arguments = {"series": (await bench.use("signal_history", device=PUMP))["series"]}
        outputs = await bench.use(tool, **arguments)
        assert set(outputs) == {slot.name for slot in plant_tools()[tool].outputs}
        assert msgspec.json.decode(msgspec.json.encode(outputs)) == outputs
        assert len(msgspec.json.encode(outputs)) < 4_000_000


async def test_devices_by_zone_type_and_name(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        assert (await bench.use("find_devices"))["count"] == len(DEVICES)
        found = await bench.use("find_devices", zone="north", type="pump", text="PUMP")
        assert [device["device"] for device in found["devices"]] == [PUMP]
        assert (await bench.use("find_devices", type="boiler")) == {"devices": [], "count": 0}
        with pytest.raises(ToolError, match="no zone south: north"):
            await bench.use("find_devices", zone="south")


async def test_a_long_list_is_cut_and_its_count_is_not(tmp_path: Path) -> None:
    births = [Event(stamp(number, START), Connected(DeviceId(f"d-{number}"), "valve")) for number in range(1, 1201)]
    with opened(tmp_path, births) as bench:
        found = await bench.use("find_devices", type="valve")
        assert (len(found["devices"]), found["count"]) == (500, 1200)


async def test_around_a_device_and_behind_it(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        near = await bench.use("show_neighbours", device="pipe-1")
        assert {device["device"] for device in near["devices"]} == {"pump-1", "junction-1"}
        down = await bench.use("assess_impact", device=PUMP)
        assert [device["device"] for device in down["devices"]] == ["pipe-1", "junction-1", "tank-1"]
        for tool in ("show_neighbours", "assess_impact", "explain_device"):
            with pytest.raises(ToolError, match="no device pump-9"):
                await bench.use(tool, device="pump-9")


async def test_the_fault_that_is_meant(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        with pytest.raises(ToolError, match="no fault is open"):
            await bench.use("trace_fault")
        older, newer = fault("fault-1"), fault("fault-2", opened=1_000_000, origin=PUMP)
        await bench.journal.save([], [newer, older])
        assert (await bench.use("trace_fault"))["origin"] == PUMP
        assert (await bench.use("trace_fault", device=PIPE))["fault"]["faultId"] == "fault-1"
        found = await bench.use("trace_fault", device=TANK)
        assert (found["fault"]["faultId"], found["devices"], found["count"]) == ("fault-2", [PUMP, TANK], 2)
        assert found["path"][0]["lagSeconds"] == 12.0
        with pytest.raises(ToolError, match="no open fault concerns junction-1"):
            await bench.use("trace_fault", device="junction-1")
        closed = msgspec.structs.replace(newer, closed_at=newer.updated_at, updated_at="2026-01-05T12:00:00Z")
        await bench.journal.save([], [closed])
        assert [one["faultId"] for one in (await bench.use("list_faults"))["faults"]] == ["fault-1"]


async def test_alarms_of_the_plant_a_zone_and_a_device(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        await bench.alarm(PUMP)
        await bench.alarm(TANK, name="control:full")
        assert (await bench.use("list_alarms"))["count"] == 2
        assert [one["device"] for one in (await bench.use("list_alarms", device=TANK))["alarms"]] == [TANK]
        assert (await bench.use("list_alarms", zone="north", severity="critical"))["count"] == 0
        with pytest.raises(ToolError, match="no zone x"):
            await bench.use("list_alarms", zone="x")


async def test_why_a_device_is_strange(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        assert (await bench.use("explain_device", device=PUMP))["strange"] is False
        await bench.alarm(PUMP)
        found = await bench.use("explain_device", device=PUMP)
        assert found["strange"] is True
        assert found["explanation"]["alarms"][0]["signalShares"] == [{"name": "level", "share": 1.0}]


async def test_history_of_the_only_signal(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        found = await bench.use("signal_history", device=PUMP, period="PT10M")
        assert (found["count"], len(found["series"]["points"])) == (11, 11)
        assert found["latest"] == found["series"]["points"][-1][1] == bench.topology.readings(PUMP)[SignalName("level")].value
        figures = await bench.use("signal_statistics", series=found["series"])
        values = [value for _, value in found["series"]["points"]]
        assert (figures["minimum"], figures["maximum"], figures["latest"]) == (min(values), max(values), values[-1])
        assert figures["mean"] == pytest.approx(sum(values) / len(values))


async def test_which_signal_is_said_where_there_are_several(tmp_path: Path) -> None:
    signals = (Signal(SignalName("flow"), SignalKind.NUMERIC), Signal(SignalName("mode"), SignalKind.CATEGORICAL))
    events = [Event(stamp(1, START), Connected(PUMP, "pump", signals=signals))]
    with opened(tmp_path, events) as bench:
        assert (await bench.use("signal_history", device=PUMP))["series"]["signal"] == "flow"
        with pytest.raises(ToolError, match="mode of pump-1 has no numbers"):
            await bench.use("signal_history", device=PUMP, signal="mode")
        more = Telemetry(PUMP, {SignalName("head"): 1.0})
        bench.topology.merge([Event(stamp(2, START + 1), more)])
        with pytest.raises(ToolError, match=r"which signal of pump-1: flow, head\?"):
            await bench.use("signal_history", device=PUMP)
        with pytest.raises(ToolError, match="pump-1 has no signal Flow: flow, head"):
            await bench.use("signal_history", device=PUMP, signal="Flow")


async def test_two_periods_beside_each_other(tmp_path: Path) -> None:
    events = [
        Event(
            stamp(number, START + number * 60_000_000), Telemetry(PUMP, {SignalName("level"): 10.0 if number <= 60 else 15.0})
        )
        for number in range(1, 120)
    ]
    with opened(tmp_path, events) as bench:
        hours = ("2026-01-05T00:00:00Z", "2026-01-05T01:00:00Z", "2026-01-05T01:01:00Z", "2026-01-05T02:00:00Z")
        found = await bench.use("compare_periods", device=PUMP, period="/".join(hours[2:]), reference="/".join(hours[:2]))
        assert found["change"] == 50.0
        assert (found["statistics"]["period"]["mean"], found["statistics"]["reference"]["count"]) == (15.0, 59)
        with pytest.raises(ToolError, match="no readings of level in yesterday; the oldest is of 2026-01-05T00:01:00Z"):
            await bench.use("compare_periods", device=PUMP, reference="yesterday", period="PT30M")


async def test_a_long_series_is_thinned_and_its_figures_are_of_all(tmp_path: Path) -> None:
    events = [
        Event(stamp(number, START + number * 1000), Telemetry(PUMP, {SignalName("level"): 99.0 if number == 7777 else 1.0}))
        for number in range(1, 30_001)
    ]
    with opened(tmp_path, events) as bench:
        found = await bench.use("signal_history", device=PUMP, period="P1D")
        series = found["series"]
        assert (found["count"], series["thinned"], series["statistics"]["maximum"]) == (30_000, True, 99.0)
        assert len(series["points"]) <= 10_000
        assert max(value for _, value in series["points"]) == 99.0
        assert len(msgspec.json.encode(found)) < 1_000_000


async def test_what_is_no_series_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        wrongs: list[Any] = [{}, [], "x", {"device": 1}, None]
        for wrong in wrongs:
            with pytest.raises(ToolError, match="series: not one"):
                await bench.use("signal_statistics", series=wrong)
        empty = (await bench.use("signal_history", device=PUMP, period="last-month"))["series"]
        with pytest.raises(ToolError, match="has no readings"):
            await bench.use("signal_statistics", series=empty)
        with pytest.raises(ToolError, match="nothing to draw"):
            await bench.use("draw_chart", series=empty)


def test_readings_of_the_recording_are_kept() -> None:
    """The tests above rest on it."""
    assert sum(isinstance(event.body, Telemetry) for event in recording(120)) == 120 * len(DEVICES)
