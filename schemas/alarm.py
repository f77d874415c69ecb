"""Alarms as operators handle them: the states of ISA-18.2 (IEC 62682), and each transition between them.

Made by `agents.annunciator` from the alerts of the pipeline and the verbs of operators; kept for good and published by
`streams`. An alert (`schemas.finding`) says that a condition came or went; an alarm is that condition at a device with all that
people have done about it, over all times that it came.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NewType

import msgspec

from schemas.device import DeviceId
from schemas.event import Severity
from schemas.finding import Alert, Finding

AlarmId = NewType("AlarmId", str)


class AlarmState(StrEnum):
    """Shelved, suppressed and out of service hide what lies under them; of several, the last one here shows."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned-unacknowledged"
    LATCHED_UNACKNOWLEDGED = "latched-unacknowledged"
    LATCHED_ACKNOWLEDGED = "latched-acknowledged"
    SHELVED = "shelved"
    SUPPRESSED = "suppressed-by-design"
    OUT_OF_SERVICE = "out-of-service"


HIDDEN = (AlarmState.NORMAL, AlarmState.SHELVED, AlarmState.SUPPRESSED, AlarmState.OUT_OF_SERVICE)
"""States that ask for nobody."""


class Verb(StrEnum):
    """What moves an alarm. The first three are the plant's, `EXPIRE` is the clock's, the others are people's (or a rule's)."""

    RAISE = "raise"
    UPDATE = "update"
    CLEAR = "clear"
    EXPIRE = "expire"
    ACKNOWLEDGE = "acknowledge"
    RESET = "reset"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    SUPPRESS = "suppress"
    UNSUPPRESS = "unsuppress"
    TAKE_OUT = "take-out-of-service"
    RETURN = "return-to-service"


PEOPLES = (
    Verb.ACKNOWLEDGE,
    Verb.RESET,
    Verb.SHELVE,
    Verb.UNSHELVE,
    Verb.SUPPRESS,
    Verb.UNSUPPRESS,
    Verb.TAKE_OUT,
    Verb.RETURN,
)
"""Verbs that people give."""


class Shelf(Finding, frozen=True, kw_only=True):
    """An alarm that somebody has put aside. `until` None: one-shot, until its condition returns to normal."""

    actor: str
    since: str
    until: str | None = None


class Alarm(Finding, frozen=True, kw_only=True):
    """A condition at a device. `alert` is the newest transition of its newest occurrence.

    `latched`: it stays after its condition has gone, until it is reset. `acknowledged_by` says who last acknowledged this
    occurrence, `with_parent` whether that was meant for its parent. `suppressed`: who or which `rule:NAME` did, and why.
    `occurrences` counts how often it was raised, `recent` says when of late, newest last, as far as chattering looks back.
    `version` grows with each transition.
    """

    alarm_id: AlarmId
    device_id: DeviceId
    condition: str
    severity: Severity
    state: AlarmState
    active: bool
    acknowledged: bool
    acknowledged_by: str | None = None
    with_parent: bool = False
    latched: bool = False
    shelf: Shelf | None = None
    suppressed: str | None = None
    out_of_service: str | None = None
    alert: Alert
    raised_at: str
    occurrences: int = 1
    recent: tuple[str, ...] = ()
    chattering: bool = False
    version: int = 1

    @property
    def annunciated(self) -> bool:
        """Whether it asks for an operator: it stands or waits, nothing hides it, and no parent stands for it."""
        return self.state not in HIDDEN and self.alert.suppressed_by is None


class Transition(Finding, frozen=True, kw_only=True):
    """One step in an alarm's life; `alarm` is as it was afterwards, so the newest transition tells all. `annunciated_before`:
    whether it asked for an operator until then.

    `time` is the plant's where the plant moved the alarm, else the wall clock's; `recorded_at` is always the latter. `actor`:
    `plant`, `clock`, `rule:NAME`, or who gave the verb.
    """

    alarm: Alarm
    verb: Verb
    before: AlarmState
    annunciated_before: bool = False
    time: str
    recorded_at: str
    actor: str
    reason: str = ""

    @property
    def asks(self) -> bool:
        """Whether the alarm comes to ask for an operator with it: anew, or once more because it got worse or came again."""
        if not self.alarm.annunciated:
            return False
        again = self.before is AlarmState.ACKNOWLEDGED and self.alarm.state is AlarmState.UNACKNOWLEDGED
        return self.verb is Verb.RAISE or again or not self.annunciated_before


class Flood(Finding, frozen=True, kw_only=True):
    """More alarms than an operator can handle. `alarms` counts those annunciated in it, `peak` the most in ten minutes."""

    flood_id: str
    opened_at: str
    updated_at: str
    closed_at: str | None = None
    alarms: int
    peak: int


class Frequent(Finding, frozen=True):
    """An alarm that came often."""

    alarm_id: AlarmId
    device_id: DeviceId
    condition: str
    count: int


class Kpis(Finding, frozen=True, kw_only=True, omit_defaults=False):
    """How well the alarms of a stretch of time served those who watch them (ISA-18.2, clause 16; EEMUA 191).

    Counts are of annunciations: how often an alarm came to ask for an operator (`Transition.asks`), raised or let out of what
    hid it. `raised` counts all raises, hidden or not. Rates are per operator. `flood_share`: the share of ten-minute stretches
    with more annunciations than `flood_opens`; `mix`: shares of severities.
    """

    start: str
    end: str
    raised: int
    annunciated: int
    consequential: int
    per_hour: float
    peak_per_hour: int
    per_ten_minutes: float
    peak_per_ten_minutes: int
    flood_share: float
    mix: dict[Severity, float]
    most_frequent: tuple[Frequent, ...]
    chattering: tuple[Frequent, ...]
    stale: tuple[AlarmId, ...]
    standing: int
    unacknowledged: int
    shelved: int


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Where good alarming ends, for one operator; times in seconds. Defaults are those of ISA-18.2."""

    flood_opens: int = 10
    flood_closes: int = 5
    flood_window: float = 600.0
    chatter_count: int = 3
    chatter_window: float = 60.0
    stale_after: float = 86_400.0
    longest_shelf: float = 86_400.0
    operators: int = 1
