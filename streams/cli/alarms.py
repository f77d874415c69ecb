"""`alarm list|show|ack|reset|shelve|unshelve|suppress|unsuppress|out-of-service|in-service|kpis`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

from schemas.alarm import Alarm, AlarmState, Kpis, Transition, Verb
from schemas.event import Severity, micros, rfc3339
from streams.answers import AlarmDetail
from streams.cli.rooms import RoomError, Wanted, Where, opened
from streams.cli.terminal import Data, Exit, Json, Output, SiteName, Url, complain, fail, print_json, print_table, stacked
from streams.cli.times import after, instant, maybe_instant

app = typer.Typer(no_args_is_help=True, help="Alarms: what asks for an operator, and what is done about it.")

Id = Annotated[str, typer.Argument(metavar="ID", help="An alarm's id, or the alertId of its newest occurrence.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of alarms, or alertIds of their newest occurrences.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the alarm.")]
Needed = Annotated[str, typer.Option("--reason", help="Why; kept with the alarm, and needed.")]
COLUMNS = ("alarm", "raised", "severity", "state")


# --- See --------------------------------------------------------------------------------------------------------------------


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Hidden ones too, and those under a parent.")] = False,
    device: Annotated[str | None, typer.Option(help="Only of this device.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="At least this.")] = None,
    state: Annotated[
        list[AlarmState] | None, typer.Option(help="Only in this state, hidden or not; several may be given.")
    ] = None,
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    out: Output = None,
    json: Json = False,
) -> None:
    """What asks for an operator, the worst first."""
    wanted = Wanted(device=device, severity=severity, states=tuple(state or ()), every=every)
    with opened(Where(url, data, site, out)) as room:
        found = room.alarms(wanted)
    if json:
        print_json(found)
    else:
        _print(f"{len(found)} alarms", found)


def _print(title: str, found: Iterable[AlarmDetail]) -> None:
    print_table(title, COLUMNS, [_row(detail.alarm) for detail in found], whole=COLUMNS[:1])


def _row(alarm: Alarm) -> Sequence[object]:
    fault = [alarm.alert.fault_id] if alarm.alert.fault_id is not None else []
    names = stacked(f"{alarm.device_id} {alarm.condition}", alarm.alarm_id, *fault)
    return names, alarm.raised_at, alarm.severity, alarm.state


@app.command()
def show(
    alarm_id: Id, url: Url = None, data: Data = None, site: SiteName = None, out: Output = None, json: Json = False
) -> None:
    """One alarm, and all that the plant, the clock and people have done with it."""
    with opened(Where(url, data, site, out)) as room:
        detail, steps = room.alarm(alarm_id), room.transitions(alarm_id)
    if json:
        print_json([detail, *({"transition": step} for step in steps)])
        return
    alarm = detail.alarm
    print_table(f"alarm {alarm.alarm_id}", ("", ""), [*_facts(alarm), ("possible now", ", ".join(detail.verbs))])
    print_table(f"{len(steps)} transitions", ("time", "what", "state", "by", "reason"), [_step(step) for step in steps])


def _facts(alarm: Alarm) -> list[tuple[str, object]]:
    shelf = alarm.shelf
    facts: dict[str, object] = {
        "device": alarm.device_id,
        "condition": alarm.condition,
        "severity": alarm.severity,
        "state": alarm.state,
        "raised": alarm.raised_at,
        "occurrences": alarm.occurrences,
        "score": f"{alarm.alert.score:.2f}",
        "fault": alarm.alert.fault_id,
        "under": alarm.alert.suppressed_by,
        "acknowledged by": alarm.acknowledged_by,
        "shelved": None if shelf is None else f"by {shelf.actor} until {shelf.until or 'it returns to normal'}",
        "suppressed": alarm.suppressed,
        "out of service": alarm.out_of_service,
        "chattering": "yes" if alarm.chattering else None,
    }
    return [(name, fact) for name, fact in facts.items() if fact is not None]


def _step(step: Transition) -> Sequence[object]:
    return step.time, step.verb, step.alarm.state, step.actor, step.reason


@app.command()
def kpis(
    start: Annotated[str | None, typer.Option("--from", help="From this time on (RFC 3339); a day before the end.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Until before this one; the plant's time.")] = None,
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    out: Output = None,
    json: Json = False,
) -> None:
    """How well alarms served those who watch them (ISA-18.2)."""
    first, last = maybe_instant(start, "--from"), maybe_instant(until, "--until")
    if first is not None and last is not None and first >= last:
        fail("--from must be before --until", Exit.USAGE)
    with opened(Where(url, data, site, out)) as room:
        found = room.kpis(first, last)
    if json:
        print_json([found])
    else:
        _print_kpis(found)


def _print_kpis(found: Kpis) -> None:
    rows = [
        ("raised", found.raised),
        ("annunciated", found.annunciated),
        ("under a parent", found.consequential),
        ("per hour", f"{found.per_hour:.2f}, at most {found.peak_per_hour}"),
        ("per ten minutes", f"{found.per_ten_minutes:.2f}, at most {found.peak_per_ten_minutes}"),
        ("time in flood", f"{found.flood_share:.1%}"),
        ("severities", ", ".join(f"{severity} {share:.0%}" for severity, share in found.mix.items())),
        ("standing", found.standing),
        ("unacknowledged", found.unacknowledged),
        ("shelved", found.shelved),
        ("stale", len(found.stale)),
    ]
    print_table(f"alarms from {found.start} until {found.end}", ("", ""), rows)
    for title, some in (("most frequent", found.most_frequent), ("chattering", found.chattering)):
        if some:
            counts = [(one.count, one.device_id, one.condition, one.alarm_id) for one in some]
            print_table(title, ("times", "device", "condition", "alarm"), counts)


# --- Do ---------------------------------------------------------------------------------------------------------------------


@app.command()
def ack(
    alarm_ids: Ids, reason: Reason = "", url: Url = None, data: Data = None, site: SiteName = None, json: Json = False
) -> None:
    """Acknowledge: somebody has seen it. A fault's alarm takes along all that hang under it."""
    _do(Verb.ACKNOWLEDGE, alarm_ids, Where(url, data, site), reason=reason, json=json)


@app.command()
def reset(
    alarm_id: Id, reason: Reason = "", url: Url = None, data: Data = None, site: SiteName = None, json: Json = False
) -> None:
    """Let go of a latched alarm whose condition has gone."""
    _do(Verb.RESET, [alarm_id], Where(url, data, site), reason=reason, json=json)


@app.command()
def shelve(
    alarm_id: Id,
    reason: Needed = "",
    length: Annotated[str | None, typer.Option("--for", help="How long, e.g. 30m or 8h.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Until this time (RFC 3339).")] = None,
    once: Annotated[bool, typer.Option("--once", help="Until its condition returns to normal.")] = False,
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """Put an alarm aside for some time."""
    if [length is not None, until is not None, once].count(True) != 1:
        fail("one of --for, --until and --once", Exit.USAGE)
    end = instant(until, "--until") if until is not None else None
    end = micros(after(length, "--for")) if length is not None else end
    ends = None if end is None else rfc3339(end)
    _do(Verb.SHELVE, [alarm_id], Where(url, data, site), reason=reason, until=ends, json=json)


@app.command()
def unshelve(
    alarm_id: Id, reason: Reason = "", url: Url = None, data: Data = None, site: SiteName = None, json: Json = False
) -> None:
    """Take an alarm off its shelf before its time."""
    _do(Verb.UNSHELVE, [alarm_id], Where(url, data, site), reason=reason, json=json)


@app.command()
def suppress(
    alarm_id: Id, reason: Needed = "", url: Url = None, data: Data = None, site: SiteName = None, json: Json = False
) -> None:
    """Hide an alarm that means nothing as things are, until it is unsuppressed."""
    _do(Verb.SUPPRESS, [alarm_id], Where(url, data, site), reason=reason, json=json)


@app.command()
def unsuppress(
    alarm_id: Id, reason: Reason = "", url: Url = None, data: Data = None, site: SiteName = None, json: Json = False
) -> None:
    """Show again what people have suppressed."""
    _do(Verb.UNSUPPRESS, [alarm_id], Where(url, data, site), reason=reason, json=json)


@app.command("out-of-service")
def out_of_service(
    alarm_id: Id, reason: Needed = "", url: Url = None, data: Data = None, site: SiteName = None, json: Json = False
) -> None:
    """Hide an alarm while its device is being worked on."""
    _do(Verb.TAKE_OUT, [alarm_id], Where(url, data, site), reason=reason, json=json)


@app.command("in-service")
def in_service(
    alarm_id: Id, reason: Reason = "", url: Url = None, data: Data = None, site: SiteName = None, json: Json = False
) -> None:
    """The device works again."""
    _do(Verb.RETURN, [alarm_id], Where(url, data, site), reason=reason, json=json)


def _do(verb: Verb, alarm_ids: Sequence[str], where: Where, *, reason: str, json: bool, until: str | None = None) -> None:
    """Each alarm for itself: one that is refused does not keep the others. Ends as the last refusal says."""
    done: list[AlarmDetail] = []
    status = Exit.DONE
    with opened(where, acting=True) as room:
        for alarm_id in dict.fromkeys(alarm_ids):
            try:
                done.append(room.act(verb, alarm_id, reason=reason, until=until))
            except RoomError as error:
                complain(f"{alarm_id}: {error}" if len(alarm_ids) > 1 else str(error))
                status = error.code
    if json:
        print_json(done)
    elif done:
        _print(str(verb), done)
    raise typer.Exit(status)
