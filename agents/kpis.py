"""How well the alarms of a stretch of time served those who watch them, from the record of transitions (ISA-18.2, clause 16).

Asked for by the API and the console. What each number means is said in `schemas.alarm.Kpis`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import ceil

from schemas.action import moment
from schemas.alarm import Alarm, AlarmId, Frequent, Kpis, Limits, Transition, Verb
from schemas.event import Micros, Severity, rfc3339

HOUR = 3_600_000_000
TEN_MINUTES = 600_000_000
MOST_FREQUENT = 10


def kpis(transitions: Iterable[Transition], alarms: Iterable[Alarm], *, start: Micros, end: Micros, limits: Limits) -> Kpis:
    """The numbers of the stretch from `start` until before `end`, by the plant's time.

    `alarms` are as they are at `end`. Transitions may come in any order and reach beyond the stretch. Raises ValueError if it
    is empty.
    """
    if end <= start:
        raise ValueError("the stretch must end after it starts")
    timed = [(at, each) for each in transitions if start <= (at := moment(each.time)) < end]
    timed.sort(key=lambda each: (each[0], each[1].alarm.alarm_id, each[1].alarm.version))
    raises = [(at, each.alarm) for at, each in timed if each.verb is Verb.RAISE]
    # One that is let out and raised at one time asks once.
    asked = {(at, each.alarm.alarm_id): each.alarm for at, each in timed if each.asks}
    told = [(at, alarm) for (at, _), alarm in asked.items()]
    times, held = [at for at, _ in told], list(alarms)
    operators = limits.operators
    return Kpis(
        start=rfc3339(start),
        end=rfc3339(end),
        raised=len(raises),
        annunciated=len(told),
        consequential=sum(alarm.alert.suppressed_by is not None for _, alarm in raises),
        per_hour=len(told) * HOUR / (end - start) / operators,
        peak_per_hour=ceil(_peak(times, HOUR) / operators),
        per_ten_minutes=len(told) * TEN_MINUTES / (end - start) / operators,
        peak_per_ten_minutes=ceil(_peak(times, TEN_MINUTES) / operators),
        flood_share=_flood_share(times, start, end, limits),
        mix=_mix(alarm.severity for _, alarm in told),
        most_frequent=_frequent(Counter(alarm.alarm_id for _, alarm in told), told)[:MOST_FREQUENT],
        chattering=_frequent(_chattering(raises, limits), raises),
        stale=_stale(held, end, limits),
        standing=sum(alarm.active and alarm.annunciated for alarm in held),
        unacknowledged=sum(alarm.annunciated and not alarm.acknowledged for alarm in held),
        shelved=sum(alarm.shelf is not None for alarm in held),
    )


def _peak(times: Sequence[Micros], window: int) -> int:
    """The most of them that any stretch of this length holds; one that is just its length later is not in it.

    >>> _peak([Micros(0), Micros(5), Micros(10), Micros(14)], 10)
    3
    """
    return max((place + 1 - bisect_right(times, at - window) for place, at in enumerate(times)), default=0)


def _flood_share(times: Sequence[Micros], start: Micros, end: Micros, limits: Limits) -> float:
    counts = Counter((at - start) // TEN_MINUTES for at in times)
    floods = sum(count > limits.flood_opens * limits.operators for count in counts.values())
    return floods / ceil((end - start) / TEN_MINUTES)


def _mix(severities: Iterable[Severity]) -> dict[Severity, float]:
    counts = Counter(severities)
    return {severity: counts[severity] / max(1, counts.total()) for severity in Severity}


def _chattering(raises: Sequence[tuple[Micros, Alarm]], limits: Limits) -> Mapping[AlarmId, int]:
    """How often those came that came too often within a short time, hidden or not: what is shelved chatters on."""
    times: dict[AlarmId, list[Micros]] = defaultdict(list)
    for at, alarm in raises:
        times[alarm.alarm_id].append(at)
    window = round(limits.chatter_window * 1e6)
    return {alarm_id: len(each) for alarm_id, each in times.items() if _peak(each, window) >= limits.chatter_count}


def _frequent(counts: Mapping[AlarmId, int], raises: Iterable[tuple[Micros, Alarm]]) -> tuple[Frequent, ...]:
    known = {alarm.alarm_id: alarm for _, alarm in raises}
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Frequent(alarm_id, known[alarm_id].device_id, known[alarm_id].condition, count) for alarm_id, count in ranked)


def _stale(alarms: Iterable[Alarm], end: Micros, limits: Limits) -> tuple[AlarmId, ...]:
    since = end - round(limits.stale_after * 1e6)
    return tuple(sorted(alarm.alarm_id for alarm in alarms if alarm.active and moment(alarm.raised_at) < since))
