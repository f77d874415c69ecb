"""How each tool takes what its clause says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from agents.parser import purposes, texts
from agents.parser.cues import Anchor
from agents.parser.drafts import DEVICES, Draft
from agents.parser.orders import DEVICES as ORDERED
from agents.parser.quantities import FOREIGN, UNITS, Quantity
from agents.parser.reading import Clause
from agents.parser.scene import BACK, Device, Scene, Series
from agents.parser.times import amount
from agents.taskgraph import Reference

SERIES = ("signal_history", "signal_statistics", "draw_chart")
IN_NAME = re.compile(
    r"(?:with|has|have|having|containing|contains?|called|named|matching|includ(?:es?|"
    r"ing)) [\"']?(?P<one>[\w-]+)[\"']?(?= in (?:its|their|the) (?:names?|tags?|ids?)|$|[?.,])"
    r"|(?:名字|名称|编号|位号)(?:里|中)?(?:带|有|含|包含)(?:有)?(?P<two>[A-Za-z0-9-]+)|(?:带|含|包含)(?P<three>[A-Za-z0-9-]+)(?:字样)?的",
    re.IGNORECASE,
)
HOPS = re.compile(r"(\d+|[a-z]+|[一二两三四五六七八九十]+)[ -]?(?:hops?|steps?|levels?|edges?|links?|级|层|跳|步)")
VERBS = (
    ("restart", re.compile(r"re-?start|reboot|power[- ]cycl|重启|重新启动")),
    ("reset", re.compile(r"reset|复位|重置")),
    (
        "start",
        re.compile(
            r"start|running$|going$|online$|on-line$|turn\w* on|turn .*on$|switch\w* on|switch .*on$|power\w* up|fire up"
            r"|(?:bring|spin|kick) .*(?:up|on)$|启|起|开动"
        ),
    ),
    ("stop", re.compile(r"stop|halt|kill|off$|down$|停")),
    ("open", re.compile(r"open|打开|开")),
    ("close", re.compile(r"clos|shut|关")),
)
MEASURES = (
    ("maximum", re.compile(r"max|highest|peak|最[大高]|峰值")),
    ("minimum", re.compile(r"(?<![a-z])min|lowest|最[小低]")),
    ("mean", re.compile(r"average|avg|mean|平均|均值")),
)


def handled(scene: Scene, anchor: Anchor, clause: Clause) -> list[Draft]:
    """The tasks that a cue asks for."""
    if anchor.tool in HANDLERS:
        return HANDLERS[anchor.tool](scene, anchor, clause)
    return _for_each_device(scene, anchor, clause)


def given(**arguments: Any) -> dict[str, Any]:
    """Those that are known."""
    return {name: value for name, value in arguments.items() if value is not None}


# --- Devices ------------------------------------------------------------------------------------------------------------------


def _for_each_device(scene: Scene, anchor: Anchor, clause: Clause) -> list[Draft]:
    """Tools that take one device, and little else."""
    devices = scene.devices(clause)
    if not devices and anchor.tool not in ORDERED and (BACK.search(scene.said(clause)) or _only_one(scene)):
        devices = scene.spoken(clause)
    return [
        scene.add(anchor.tool, given(device=device, **_beside(scene, anchor, clause)), anchor.text)
        for device in devices or [None]
    ]


def _only_one(scene: Scene) -> bool:
    """Whether the sentence names one device alone, so that everything in it is about that one."""
    return len({one.devices for one in scene.reading.devices}) == 1


def _beside(scene: Scene, anchor: Anchor, clause: Clause) -> dict[str, Any]:
    """What a tool takes beside the device."""
    said = scene.said(clause)
    match anchor.tool:
        case "show_neighbours":
            hops = HOPS.search(said)
            return given(hops=int(amount(hops[1]) or 1) if hops else None)
        case "command_device":
            return given(verb=next((verb for verb, pattern in VERBS if pattern.search(anchor.text)), None))
        case "shelve_alarm":
            seconds = next((one.value for one in scene.reading.durations if scene.has(clause, one)), None)
            return given(
                duration=None if seconds is None else _number(float(seconds)), reason=purposes.reason(scene, anchor, clause)
            )
        case "isolate_device":
            return given(reason=purposes.reason(scene, anchor, clause))
        case "open_work_order":
            return given(text=purposes.to_do(scene, anchor, clause), priority=scene.severity(clause))
        case _:
            return {}


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _find(scene: Scene, anchor: Anchor, clause: Clause) -> list[Draft]:
    said = scene.reading.text[clause.start : clause.end]
    kinds = [one.name for one in scene.reading.types if scene.has(clause, one)]
    kinds = kinds or [kind for one in scene.reading.devices if scene.has(clause, one) and (kind := scene.reading.kind(one))]
    kind = None if not kinds else scene.reading.names.type_named(kinds[0]) or kinds[0]
    match = IN_NAME.search(said)
    text = next((group for group in match.groups() if group), None) if match else None
    zone = scene.zone(clause)
    scene.context.zone = zone or scene.context.zone
    draft = scene.add("find_devices", given(zone=zone, type=kind, text=text), anchor.text)
    scene.context.measure = (draft.key, "count")
    return [draft]


def _trace(scene: Scene, anchor: Anchor, clause: Clause) -> list[Draft]:
    named = scene.named(clause) or scene.named(clause, lead=True)
    if not named and BACK.search(scene.said(clause)) and scene.context.devices:
        named = [device for device in scene.context.devices[-1:] if isinstance(device, str)]
    held = None if named else scene.drafts.last("trace_fault")
    if held is not None and any(one.tool in DEVICES for one in clause.anchors):
        # "isolate the place where it began": the fault that was traced already.
        scene.context.devices = [Reference(held.key, "origin")]
        return [held]
    drafts = [scene.add("trace_fault", given(device=device), anchor.text) for device in named or [None]]
    scene.context.devices = [Reference(drafts[-1].key, "origin")]
    scene.context.history += [*named, *scene.context.devices]
    scene.context.measure = (drafts[-1].key, "count")
    return drafts


_BARE = re.compile(
    r"\W*(?:the |and |any |all |current |standing |open |active )*alarms?\W*|\W*(?:现有|当前|所有)?的?(?:报警|告警)\W*"
)


def _alarms(scene: Scene, anchor: Anchor, clause: Clause) -> list[Draft]:
    zone = scene.zone(clause)
    devices = [] if zone is not None else scene.devices(clause, optional=True)
    beside = any(one.tool in DEVICES for one in clause.anchors)
    if zone is None and not devices and (beside or _BARE.fullmatch(scene.said(clause))):
        devices = scene.context.devices[-1:]  # in a list of what is asked of a device: "neighbours, alarms and level of ..."
    scene.context.zone = zone or scene.context.zone
    severity = scene.severity(clause)
    drafts = [
        scene.add("list_alarms", given(zone=zone, device=device, severity=severity), anchor.text)
        for device in devices or [None]
    ]
    scene.context.measure = (drafts[-1].key, "count")
    return drafts


def _counted(scene: Scene, anchor: Anchor, clause: Clause) -> list[Draft]:
    """Tools of the plant as a whole that count what they find."""
    periods = scene.periods(clause) if anchor.tool == "show_changes" else []
    draft = scene.add(anchor.tool, given(period=periods[0] if periods else None), anchor.text)
    scene.context.measure = (draft.key, "count")
    return [draft]


def _impact(scene: Scene, anchor: Anchor, clause: Clause) -> list[Draft]:
    if anchor.tool == "assess_impact" and not scene.named(clause) and _OF_FAULT.search(scene.said(clause)):
        return _trace(scene, anchor, clause)
    drafts = _for_each_device(scene, anchor, clause)
    scene.context.measure = (drafts[-1].key, "count")
    return drafts


_OF_FAULT = re.compile(
    r"(?<![a-z])(?:newest|latest|last|this|that|the|current) (?:open )?fault(?![a-z])|(?:最新|最近|这个|这次|当前)的?故障"
)
"""What a fault affects, a trace of it finds."""


def _explain(scene: Scene, anchor: Anchor, clause: Clause) -> list[Draft]:
    drafts = _for_each_device(scene, anchor, clause)
    scene.context.measure = (drafts[-1].key, "strange")
    return drafts


def _retrain(scene: Scene, anchor: Anchor, clause: Clause) -> list[Draft]:
    periods = scene.periods(clause)
    return [scene.add("retrain_model", given(period=periods[0] if periods else None), anchor.text)]


# --- Signals ------------------------------------------------------------------------------------------------------------------


def series_of(scene: Scene, clause: Clause) -> list[Series]:
    """The series that a clause is about: each device with each signal, or one with one where there are as many."""
    devices, signals, periods = scene.named(clause), scene.signals(clause), scene.periods(clause)
    if not devices and signals and not scene.named(clause, lead=True):
        owner = scene.owner(signals[0])
        devices = [] if owner is None else [owner]
    devices = devices or scene.devices(clause)
    if not signals:
        signals = [one.name for one in scene.reading.signals if scene.has(clause, one, lead=True)]
    if not signals and not scene.named(clause) and BACK.search(scene.said(clause)):
        signals = scene.context.signals
    scene.context.signals = signals
    scene.context.devices, scene.context.history = list(devices), scene.context.history + devices
    said: list[str | None] = [*dict.fromkeys(signals)] or [None]
    if len(signals) == len(devices) > 1:
        pairs: list[tuple[Any, str | None]] = list(zip(devices, signals, strict=True))
    else:
        pairs = [(device, signal) for device in devices or [None] for signal in said]
    if len(periods) > 1 and any("/" in period for period in periods):
        scene.ask(f"Which period is meant: {' or '.join(dict.fromkeys(periods))}?")  # hours of another day than today's
    period = periods[0] if periods else None
    return [Series(device, scene.signal(device, signal), period) for device, signal in pairs]


def histories(scene: Scene, clause: Clause, why: str, *, asked: bool) -> list[Draft]:
    """The tasks that fetch a clause's series; those spoken of last, if it names none."""
    names_any = scene.named(clause) or scene.signals(clause) or scene.named(clause, lead=True)
    if not names_any and scene.context.series:
        held = [draft for draft in scene.drafts.tasks if draft.key in scene.context.series]
        periods = scene.periods(clause)
        if not periods or all(draft.arguments.get("period") == periods[0] for draft in held):
            return held
    found = [fetched(scene, one, why, asked=asked) for one in series_of(scene, clause)]
    scene.context.series = [draft.key for draft in found]
    return found


def fetched(scene: Scene, one: Series, why: str, *, asked: bool) -> Draft:
    draft = scene.add("signal_history", given(device=one.device, signal=one.signal, period=one.period), why, asked=asked)
    scene.context.measure = (draft.key, "latest")
    return draft


def _history(scene: Scene, anchor: Anchor, clause: Clause) -> list[Draft]:
    return histories(scene, clause, anchor.text, asked=True)


def _of_series(scene: Scene, anchor: Anchor, clause: Clause) -> list[Draft]:
    """Statistics and charts, each directly after the history that feeds it."""
    tools = list(dict.fromkeys(one.tool for one in clause.anchors if one.tool in SERIES[1:]))
    if anchor.tool != tools[0]:
        return []  # done with the first one
    found: list[Draft] = []
    sources = histories(scene, clause, anchor.text, asked=False)
    for source in sources:
        for tool in tools:
            why = next(one.text for one in clause.anchors if one.tool == tool)
            found.append(scene.add(tool, {"series": Reference(source.key, "series")}, why))
            if tool == "signal_statistics":
                scene.context.measure = (found[-1].key, measure(why) or "mean")
    return found


def measure(said: str) -> str | None:
    return next((output for output, pattern in MEASURES if pattern.search(said)), None)


def _compare(scene: Scene, anchor: Anchor, clause: Clause) -> list[Draft]:
    periods = list(dict.fromkeys(scene.periods(clause)))
    period, reference = (periods[0], periods[1]) if len(periods) > 1 else (None, periods[0] if periods else None)
    drafts = []
    for one in series_of(scene, clause):
        arguments = given(device=one.device, signal=one.signal, period=period, reference=reference)
        drafts.append(scene.add("compare_periods", arguments, anchor.text))
        scene.context.measure = (drafts[-1].key, "change")
    return drafts


def _set(scene: Scene, anchor: Anchor, clause: Clause) -> list[Draft]:
    devices, said = scene.devices(clause), scene.signals(clause)
    values = [one for one in scene.reading.quantities if scene.has(clause, one)]
    after = [one for one in values if one.start >= anchor.start] or values
    found: list[Draft] = []
    for place, device in enumerate(devices or [None]):
        value = after[min(place, len(after) - 1)] if len(after) >= len(devices) > 1 else (after[-1] if after else None)
        signal = said[0] if said else (value.signal if value else None) or scene.context.unit or _unit_behind(scene, value)
        _check_value(scene, device, signal, value, len(after) > len(devices or [None]))
        scene.context.unit = signal
        arguments = given(
            device=device, signal=scene.signal(device, signal), value=None if value is None else _number(value.value)
        )
        found.append(scene.add("set_point", arguments, anchor.text))
    return found


def _unit_behind(scene: Scene, value: Quantity | None) -> str | None:
    """The signal that the next value's unit speaks of: `pump 1 to 1300 and pump 2 to 1250 rpm`."""
    later = () if value is None or value.unit else scene.reading.quantities
    return next((one.signal for one in later if value and one.start > value.start and one.signal), None)


def _check_value(scene: Scene, device: Device | None, signal: str | None, value: Quantity | None, many: bool) -> None:  # noqa: FBT001
    """Ask where a number may mean something else: several, or a unit that is not the signal's."""
    if many:
        scene.ask(f"Which of the numbers is {device} to be set to?")
    if value is not None and value.unit and signal in UNITS and value.unit not in UNITS[signal]:
        scene.ask(f"{value.value:g} {value.unit} is no {signal}. To which value is {device} to be set?")
    if value is not None and value.unit in FOREIGN:
        scene.ask(f"In which unit does {device} take its {signal}? {value.unit} is not converted here.")


# --- People and documents -----------------------------------------------------------------------------------------------------


def _notify(scene: Scene, anchor: Anchor, clause: Clause) -> list[Draft]:
    told = texts.told(scene.reading.text, anchor, clause.end)
    text = None if told.text is None or not texts.is_said(told.text.text) else texts.is_told(told.text.text)
    found: list[Draft] = []
    if text is None and all(one.tool == "notify" for one in clause.anchors) and scene.signals(clause) and scene.named(clause):
        found = histories(scene, clause, anchor.text, asked=True)  # "send the flow of FT-301 to the process engineers"
    return [*found, scene.add("notify", given(to=told.to or None, text=text), anchor.text)]


_HEADING = re.compile(
    r"\s*[:：]|\s*[,，]?\s*(?:including|with|covering|containing|包括|包含|内容)|(?<=of)|(?<=on)|(?<=about)(?= )"
)
"""What comes behind a report is what it consists of."""


def _report(scene: Scene, anchor: Anchor, clause: Clause) -> list[Draft]:
    """With the readings that it is said to be about, where nothing else asks for them."""
    found: list[Draft] = []
    if all(one.tool == "write_report" for one in clause.anchors):
        if scene.signals(clause) and scene.named(clause):
            found = histories(scene, clause, anchor.text, asked=True)
        else:
            scene.devices(clause)  # what is spoken of from here on
    scene.drafts.heading = scene.drafts.heading or any(
        _HEADING.match(scene.reading.lower, place) for place in (anchor.end, clause.end)
    )
    return [*found, scene.add("write_report", {}, anchor.text)]


Handler = Callable[[Scene, Anchor, Clause], list[Draft]]
HANDLERS: dict[str, Handler] = {
    "find_devices": _find,
    "trace_fault": _trace,
    "list_faults": _counted,
    "show_changes": _counted,
    "list_alarms": _alarms,
    "assess_impact": _impact,
    "explain_device": _explain,
    "show_neighbours": _impact,
    "retrain_model": _retrain,
    "signal_history": _history,
    "signal_statistics": _of_series,
    "draw_chart": _of_series,
    "compare_periods": _compare,
    "set_point": _set,
    "notify": _notify,
    "write_report": _report,
}
