"""`events tail`: what a service finds and does, as it comes, without gap or repeat over its restarts."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any, NoReturn

import msgspec
import typer

from schemas.action import Progress
from schemas.alarm import Flood, Transition
from schemas.event import Severity
from schemas.finding import Alert, Fault
from schemas.instruction import RunProgress
from streams.cli.rooms import AwayError, Where, address_of, telling
from streams.cli.terminal import OUT, Data, Exit, Json, SiteName, Url, fail, plain, print_json, say
from streams.feed import TYPES
from streams.findings import Kind
from streams.settings import Settings

app = typer.Typer(no_args_is_help=True, help="What is found and done, as it comes.")
KINDS = frozenset(Kind)
PAUSE = 1.0
"""Seconds until a service that went away is looked for again."""


@app.callback()
def events() -> None:
    """So that `tail` is named, though it is alone."""


@app.command()
def tail(
    since: Annotated[int | None, typer.Option(min=0, max=2**62 - 1, help="Begin behind this number; without it, now.")] = None,
    kind: Annotated[list[Kind] | None, typer.Option(help="Only of this kind; several may be given.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="Only what is about this device; several may be given.")] = None,
    zone: Annotated[list[str] | None, typer.Option(help="Only what is about this zone; several may be given.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="At least this.")] = None,
    annunciated: Annotated[bool, typer.Option("--annunciated", help="Only alarms that ask for an operator.")] = False,
    url: Url = None,
    data: Data = None,
    site: SiteName = None,
    json: Json = False,
) -> None:
    """Follow a running service until Ctrl-C; one line each, with its number."""
    settings = Where(url, data, site).settings
    if address_of(settings) is None:
        fail(f"--data {settings.data}: no service runs here, and setting api_url is not set", Exit.UNREADABLE)
    wanted = {"kind": kind, "device": device, "zone": zone, "severity": severity, "annunciated": annunciated or None}
    with telling():
        try:
            Tail(settings, wanted, since=since, json=json).run()
        except KeyboardInterrupt:
            raise typer.Exit(Exit.DONE) from None


class Tail:
    """Follows, and comes back with the number that it got last."""

    def __init__(self, settings: Settings, wanted: dict[str, Any], *, since: int | None, json: bool) -> None:
        self._settings = settings
        self._wanted = wanted
        self._json = json
        self._reached = since
        self._met = False
        self._away = False

    def run(self) -> NoReturn:
        """For ever. Raises AwayError if the service is not there at all, RoomError if it refuses us."""
        while True:
            try:
                self._follow()
            except AwayError as error:
                if not self._met:
                    raise
                if not self._away:
                    say(f"{error}; trying again until it is back")
                self._away = True
                time.sleep(PAUSE)

    def _follow(self) -> None:
        from streams.cli import remote  # noqa: PLC0415 - its driver takes a while

        # Asked each time: who starts again may be at another port.
        address = address_of(self._settings, probing=False)
        if address is None:
            raise AwayError(f"--data {self._settings.data}: no service runs here")
        after = remote.AT_THE_END if self._reached is None else self._reached
        with remote.opened(address, self._settings) as service:
            for sent in service.follow(after, **self._wanted):
                self._greet(address)
                if sent.kind == "reset" and after != remote.AT_THE_END:
                    say(f"the service has not come as far as {after}: another data folder, or an old copy; going on from now")
                elif sent.kind in KINDS:
                    self._show(sent.number, Kind(sent.kind), sent.body)
                self._reached = self._reached if sent.number is None else sent.number

    def _greet(self, address: str) -> None:
        if self._away:
            say(f"{address} is back; going on where it was")
        elif not self._met:
            say(f"following {address}")
        self._met, self._away = True, False

    def _show(self, number: int | None, kind: Kind, body: bytes) -> None:
        if self._json:
            print_json([{"number": number, "kind": kind, "body": msgspec.Raw(body)}])
        else:
            OUT.print(plain(f"{number} {line(kind, body)}"), markup=False, highlight=False, soft_wrap=True)
        sys.stdout.flush()


def line(kind: Kind, body: bytes) -> str:
    """One for people."""
    match msgspec.json.decode(body, type=TYPES[kind]):
        case Alert() as alert:
            return f"{alert.time} alert {alert.state}: {alert.device_id} {alert.condition}, {alert.severity} ({alert.alert_id})"
        case Transition(alarm=alarm) as step:
            why = f": {step.reason}" if step.reason else ""
            what = f"{alarm.device_id} {alarm.condition}, {alarm.severity}, {alarm.state}"
            return f"{step.time} alarm {step.verb} by {step.actor}{why}: {what} ({alarm.alarm_id})"
        case Fault() as fault:
            state = "open" if fault.closed_at is None else "closed"
            began = fault.origins[0].device_id if fault.origins else "?"
            return f"{fault.updated_at} fault {state}: began at {began}, affects {len(fault.affected)} ({fault.fault_id})"
        case Flood() as flood:
            state = "on" if flood.closed_at is None else "over"
            return f"{flood.updated_at} flood {state}: {flood.alarms} alarms, {flood.peak} in ten minutes"
        case Progress(action=action) as progress:
            detail = f", {progress.detail}" if progress.detail else ""
            return f"{progress.at} action {progress.stage}: {action.verb} of {action.target}{detail} ({action.action_id})"
        case RunProgress() as run:
            return _run_line(run)


def _run_line(run: RunProgress) -> str:
    if run.task is None:
        return f"{run.at} run {run.state}: {run.text} by {run.principal} ({run.run_id})"
    detail = f", {run.detail}" if run.detail else ""
    return f"{run.at} task {run.state}: {run.task} by {run.tool}{detail} ({run.run_id})"
