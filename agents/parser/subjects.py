"""What a condition is about: the output of a task that is there, or of one that has to be made for it."""

from __future__ import annotations

import re

from agents.parser.conditions import Conditional
from agents.parser.cues import anchors
from agents.parser.drafts import Draft
from agents.parser.handlers import fetched, given, measure, series_of
from agents.parser.quantities import FOREIGN, UNITS
from agents.parser.reading import Clause, Fragment
from agents.parser.scene import BACK, Scene, Series
from agents.parser.signals import chosen
from agents.taskgraph import Condition, Reference

COUNTING = ("trace_fault", "assess_impact", "list_alarms", "list_faults", "show_changes", "find_devices", "show_neighbours")
_ROSE = re.compile(
    r"rose|risen|rises|(?<![a-z])up(?![a-z])|more|increas|changed?|grew|grown|slower|worse|higher|faster|涨|升|高了?|慢|增|变|多了?|差"
)
_FELL = re.compile(r"fell|fallen|drop|(?<![a-z])down(?![a-z])|decreas|shrank|sank|降|跌|少了?|低了|下滑")
_ALARMS = re.compile(r"alarm|报警|告警")
_FAULTS = re.compile(r"faults?(?! (?:affects|at|of|on))|故障")
_CHANGES = re.compile(r"changes?(?![a-z])|变动|变更|变化|增减")
_FAULT = re.compile(r"fault|problem|故障")
_ODD = re.compile(r"strange|odd|weird|unusual|anomal|abnormal|wrong|异常|不正常|不对|有问题")
_OTHER_WAY = re.compile(
    r"(?<![a-z])(?:no|none|not|nothing|fine|ok|okay|normal|\w+n't|without|all right)(?![a-z])|没|无|(?<!不)正常|不(?!正常|对)"
)
_AFFECTED = re.compile(r"affect|hit|impact|depend|go down|take down|lose|影响|波及|连累|牵连")


def condition_of(scene: Scene, one: Conditional, lead: list[Fragment]) -> Condition | None:
    """The condition as the scheduler takes it; None (and a question) if it is about nothing."""
    clause = Clause([Fragment(one.start, one.end, then=False, orelse=False, stop=False, mark="")], [], lead, conditional=True)
    if one.comparison is None and one.strange is None and one.some is None:
        return scene.active[0] if scene.active else scene.asked or _affirmed(scene, one.start)
    if one.strange is not None:
        draft = _explanation(scene, clause)
        return None if draft is None else Condition(task=draft.key, output="strange", is_=one.strange)
    if one.some is not None:
        found = _counted(scene, clause, one.of or scene.said(clause))
        if found is None:
            return None
        return (
            Condition(task=found.key, output="count", above=0)
            if one.some
            else Condition(task=found.key, output="count", below=1)
        )
    return _compared(scene, clause, one)


def _affirmed(scene: Scene, start: int) -> Condition | None:
    """`if so`, `if there are any`, after what was only to be looked at, and not asked the other way round."""
    key, output = scene.context.measure or ("", "")
    said = scene.reading.lower[:start]
    if _OTHER_WAY.search(said):
        return None
    if output == "count":
        return Condition(task=key, output=output, above=0)
    return Condition(task=key, output=output, is_=True) if output == "strange" and _ODD.search(said) else None


def _explanation(scene: Scene, clause: Clause) -> Draft | None:
    named = scene.named(clause)
    held = scene.drafts.last("explain_device")
    if held is not None and (not named or held.arguments.get("device") in named):
        return held
    devices = named or scene.context.devices[-1:]
    if not devices:
        scene.ask("Which device is meant to behave strangely?")
        return None
    scene.context.devices = devices
    scene.context.history += devices
    return scene.add("explain_device", given(device=devices[-1]), scene.said(clause), asked=False)


def _compared(scene: Scene, clause: Clause, one: Conditional) -> Condition | None:
    comparison = one.comparison
    assert comparison is not None
    said = scene.reading.lower[one.start : comparison.start]
    above, below = comparison.above, comparison.below
    if comparison.unit in FOREIGN:
        words = scene.reading.text[comparison.start : comparison.end]
        scene.ask(f"In which unit is {words!r} to be compared? It is not converted here.")
    source = _subject(scene, clause, said, unit=comparison.unit, whole=scene.said(clause))
    if source is None:
        scene.ask(f"What is meant to be {scene.reading.text[comparison.start : comparison.end]!r}?")
        return None
    if source[1] == "change" and _FELL.search(said) and not _ROSE.search(said):
        above, below = (None if below is None else -below), (None if above is None else -above)
    if one.negated:
        # Of what is counted, "not above 2" is below 3; of a measure the very limit is left out.
        step = 1 if source[1] == "count" else 0
        above, below = (None if below is None else below - step), (None if above is None else above + step)
    return Condition(task=source[0], output=source[1], above=_whole(above), below=_whole(below))


def _whole(value: float | None) -> float | None:
    return int(value) if value is not None and value == int(value) else value


def _subject(scene: Scene, clause: Clause, said: str, *, unit: str, whole: str) -> tuple[str, str] | None:
    """Task and output."""
    if output := measure(said):
        return _statistics(scene, clause, output)
    compared = scene.drafts.last("compare_periods") or _comparison(scene, clause, whole)
    if compared is not None and (_ROSE.search(said) or _FELL.search(said) or unit in {"%", "percent", "per cent"}):
        return compared.key, "change"
    if not unit and (counted := _of_noun(scene, clause, whole)) is not None:
        return counted
    if scene.signals(clause) or (scene.named(clause) and unit):
        return _latest(scene, clause)
    return scene.context.measure or _looked_at(scene, clause, unit)


def _looked_at(scene: Scene, clause: Clause, unit: str) -> tuple[str, str] | None:
    """`check LT-3, if it is above 5 m ...`: the device named before, if the unit is that of one of its signals."""
    signal = next((name for name, units in UNITS.items() if unit and unit in units), None)
    device = next(iter(scene.spoken(clause)), None)
    said = scene.said(clause)
    if device is None or signal is None or (said.isascii() and not BACK.search(said)):
        return None
    signals = scene.reading.names.signals_of(device)
    known = chosen(signals, signal)
    if known is None:
        return None
    scene.context.devices = [device]
    one = Series(device, known if len(signals) > 1 else None, None)
    return fetched(scene, one, scene.said(clause), asked=False).key, "latest"


def _comparison(scene: Scene, clause: Clause, whole: str) -> Draft | None:
    """The comparison that a condition speaks of itself: 今天比昨天慢了8%以上."""
    periods = list(dict.fromkeys(scene.periods(clause)))
    grown = (_ROSE.search(whole) or _FELL.search(whole)) and re.search(r"%|percent|per cent", whole)
    if not periods or not (grown or any(anchor.tool == "compare_periods" for anchor in anchors(whole))):
        return None
    one = series_of(scene, clause)[0]
    period, reference = (periods[0], periods[1]) if len(periods) > 1 else (None, periods[0])
    arguments = given(device=one.device, signal=one.signal, period=period, reference=reference)
    return scene.add("compare_periods", arguments, whole, asked=False)


def _of_noun(scene: Scene, clause: Clause, whole: str) -> tuple[str, str] | None:
    if _AFFECTED.search(whole):
        named = scene.named(clause)
        held = scene.drafts.last("trace_fault", "assess_impact", "show_neighbours")
        if held is None and not named and _FAULT.search(whole):
            held = scene.add("trace_fault", {}, whole, asked=False)
            scene.context.devices = [Reference(held.key, "origin")]
        if held is None or (named and held.arguments.get("device") not in named):
            devices = named or scene.context.devices[-1:] or scene.behind(clause.end)
            scene.context.devices = devices
            scene.context.history += devices
            held = scene.add("assess_impact", given(device=devices[-1] if devices else None), whole, asked=False)
        return held.key, "count"
    for pattern in (_ALARMS, _FAULTS, _CHANGES):
        if pattern.search(whole):
            held = _counted(scene, clause, whole)
            return None if held is None else (held.key, "count")
    held = scene.drafts.last(*COUNTING)
    return None if held is None else (held.key, "count")


def _counted(scene: Scene, clause: Clause, noun: str) -> Draft | None:
    """The task that counts what a noun names, made if there is none for the zone or device that is named."""
    if _ALARMS.search(noun):
        zone, devices = scene.zone(clause), scene.named(clause)
        wanted = given(zone=zone, device=devices[0] if devices and zone is None else None, severity=scene.severity(clause))
        if devices:
            scene.context.devices = devices[:1]
            scene.context.history += devices[:1]
        held = scene.drafts.last("list_alarms")
        if held is not None and all(held.arguments.get(name) == value for name, value in wanted.items()):
            return held
        return scene.add("list_alarms", wanted, noun, asked=False)
    if _FAULTS.search(noun):
        return scene.drafts.last("list_faults") or scene.add("list_faults", {}, noun, asked=False)
    if _CHANGES.search(noun):
        periods = scene.periods(clause)
        wanted = given(period=periods[0] if periods else None)
        return scene.drafts.last("show_changes") or scene.add("show_changes", wanted, noun, asked=False)
    if _AFFECTED.search(noun):
        found = _of_noun(scene, clause, noun)
        return None if found is None else next(draft for draft in scene.drafts.tasks if draft.key == found[0])
    return scene.drafts.last(*COUNTING)


def _statistics(scene: Scene, clause: Clause, output: str) -> tuple[str, str]:
    held = scene.drafts.last("signal_statistics")
    named = scene.named(clause) or scene.signals(clause)
    if held is not None and not _is_other(scene, clause, held):
        return held.key, output
    sources = [draft.key for draft in scene.drafts.tasks if draft.key in scene.context.series]
    if named or not sources:
        source = fetched(scene, series_of(scene, clause)[0], scene.said(clause), asked=False).key
    else:
        source = sources[-1]
    scene.context.series = [source]
    draft = scene.add("signal_statistics", {"series": Reference(source, "series")}, scene.said(clause), asked=False)
    return draft.key, output


def _is_other(scene: Scene, clause: Clause, held: Draft) -> bool:
    """Whether a condition speaks of another series than a task's."""
    source = next(draft for draft in scene.drafts.tasks if draft.key == held.arguments["series"].task)
    named, signals = scene.named(clause), scene.signals(clause)
    if named and source.arguments.get("device") not in named:
        return True
    return any(scene.signal(source.arguments.get("device"), signal) != source.arguments.get("signal") for signal in signals)


def _latest(scene: Scene, clause: Clause) -> tuple[str, str]:
    one = series_of(scene, clause)[0]
    held = scene.drafts.last("signal_history")
    if held is not None and held.arguments.get("device") == one.device and held.arguments.get("signal") == one.signal:
        return held.key, "latest"
    return fetched(scene, one, scene.said(clause), asked=False).key, "latest"
