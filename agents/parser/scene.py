"""What the composer's parts share: the reading, the tasks so far, what was spoken of last, and how words point at devices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.parser.cues import Anchor
from agents.parser.devices import Mention
from agents.parser.drafts import Context, Draft, Drafts
from agents.parser.reading import Clause, Fragment, Reading
from agents.parser.signals import chosen
from agents.parser.spans import Placed
from agents.taskgraph import Condition, Reference

ORIGIN = re.compile(
    r"(?<![a-z])(?:origin|source|root cause|culprit|(?:device|place|point)?,? ?where (?:it|the fault|"
    r"the problem|the trouble) \w+)(?![a-z])"
    r"|源头|根源|根因|起点|源设备"
)
BACK = re.compile(
    r"(?<![a-z])(?:it|its|it's|that|this|there|here|the (?:device|thing|machine))(?![a-z])"
    r"|它|那台|这台|该设备|那边|那里|那儿"
)
THEM = re.compile(r"(?<![a-z])(?:them|their|these|those|both)(?![a-z])|它们|两台都|都")
_TIME = re.compile(
    r"(?<![\d:.])\d{1,2}:\d{2}(?![\d:])|(?<![\w.:-])\d{1,2} ?(?:am|pm|o'clock)(?![a-z])|(?<!\d)\d{1,2}点(?!\d)"
    r"|(?<![\w.:-])\d{1,2} ?(?:-|–|to|till|until|到|至) ?\d{1,2}(?![\w.:%])"
)
_SINCE = re.compile(r"(?<![a-z])since(?: [a-z0-9:]+){0,3}|自?[^,，。；]{0,8}以来")
_ZONE = re.compile(r"(?<![a-z])(?:zone|area|区域) ?([a-z][a-z0-9_-]*)")
_NO_ZONE = frozenset(["is", "are", "has", "have", "with", "and", "or", "that", "which", "where", "for", "in", "by", "then"])
Device = Any
"""An id, or a reference to what a task puts out."""


@dataclass
class Series:
    """A signal of a device over a time; what is not said is None."""

    device: Device | None
    signal: str | None
    period: str | None


@dataclass
class Scene:
    reading: Reading
    drafts: Drafts = field(default_factory=Drafts)
    context: Context = field(default_factory=Context)
    active: list[Condition] = field(default_factory=list)
    asked: Condition | None = None
    """The condition that the last question was about."""
    masked: list[tuple[int, int]] = field(default_factory=list)
    """Free text, in which nothing is asked for."""
    conditions: list[tuple[int, int]] = field(default_factory=list)
    """Where conditions stand, which have what they name for themselves."""

    def add(self, tool: str, arguments: dict[str, Any], why: str, *, asked: bool = True) -> Draft:
        return self.drafts.add(tool, arguments, why, self.active if asked else (), asked=asked)

    def said(self, clause: Clause) -> str:
        return " ".join(self.reading.lower[part.start : part.end] for part in clause.fragments)

    # --- Devices ----------------------------------------------------------------------------------------------------------

    def named(self, clause: Clause, *, lead: bool = False) -> list[Device]:
        """The devices that a clause names, or its lead; what is not clear becomes a question."""
        among = [one for one in self.reading.devices if self.has(clause, one, lead=lead)]
        found: list[Device] = []
        for mention in among:
            device = self.resolved(mention)
            if device is not None and device not in found:
                found.append(device)
        return found

    def resolved(self, mention: Mention) -> Device | None:
        if len(mention.devices) == 1:
            return mention.devices[0]
        if mention.devices:
            self.ask(f"Which device is meant by {mention.text!r}: {', '.join(mention.devices[:8])}?")
        else:
            like = self.reading.names.like(mention.text)
            self.ask(f"There is no device {mention.text!r} here. Is it one of {', '.join(like)}?")
        return None

    def devices(self, clause: Clause, *, optional: bool = False) -> list[Device]:
        """What a clause is about: devices that it names, the origin of a fault, or what was spoken of last."""
        if found := self.named(clause):
            return self._noticed(found)
        said = self.said(clause)
        if ORIGIN.search(said):
            return self._noticed([self.origin()])
        if optional and not BACK.search(said) and not THEM.search(said):
            return self._noticed(self.named(clause, lead=True))
        if found := self.named(clause, lead=True):
            return self._noticed(found)
        if self.context.devices:
            return list(self.context.devices) if THEM.search(said) else self.context.devices[-1:]
        return []

    def spoken(self, clause: Clause) -> list[Device]:
        """The device that was named last, be it in what somebody is told: `tell them pump-3 leaks, open a ticket for it`."""
        mention = next((one for one in reversed(self.reading.devices) if one.end <= clause.start), None)
        device = None if mention is None else self.resolved(mention)
        return [] if device is None else [device]

    def behind(self, place: int) -> list[Device]:
        """The device that is named next."""
        mention = next((one for one in self.reading.devices if one.start >= place), None)
        device = None if mention is None else self.resolved(mention)
        return [] if device is None else [device]

    def _noticed(self, found: list[Device]) -> list[Device]:
        if found:
            self.context.devices = list(found)
            self.context.history += found
        return found

    def origin(self) -> Reference:
        """Where the fault began, by a trace that is there or is needed."""
        trace = self.drafts.last("trace_fault") or self.add("trace_fault", {}, "where the fault began", asked=False)
        return Reference(trace.key, "origin")

    def ask(self, question: str) -> None:
        if question not in self.drafts.questions:
            self.drafts.questions.append(question)

    # --- Signals and times ------------------------------------------------------------------------------------------------

    def signals(self, clause: Clause) -> list[str]:
        return [one.name for one in self.reading.signals if self.has(clause, one)]

    def periods(self, clause: Clause) -> list[str]:
        found = [one.value for one in self.reading.periods if self.has(clause, one)]
        found = found or [one.value for one in self.reading.periods if self.has(clause, one, lead=True)]
        if (lost := self._lost(_TIME, clause)) is not None or (not found and (lost := self._lost(_SINCE, clause)) is not None):
            self.ask(
                f"I do not understand the time {lost.group().strip()!r}. Say a period: from 8:00 to 12:00, the last 2 hours"
            )
        return found

    def _lost(self, pattern: re.Pattern[str], clause: Clause) -> re.Match[str] | None:
        """What stands in a clause and is part of nothing that was read there: to do without it would be something else."""
        reading = self.reading
        read: list[Placed] = [*reading.devices, *reading.periods, *reading.durations, *reading.comparisons]
        spans = [*((one.start, one.end) for one in read), *self.masked]
        for match in pattern.finditer(reading.lower, clause.start, clause.end):
            if not any(match.start() < end and start < match.end() for start, end in spans):
                return match
        return None

    def signal(self, device: Device | None, said: str | None) -> str | None:
        """The device's own name of a signal."""
        if said is None or not isinstance(device, str):
            return said
        signals = self.reading.names.signals_of(device)  # type: ignore[arg-type]  # an id, as references are no text
        found = chosen(signals, said)
        if found is None:
            others = (
                f"Its signals are {', '.join(signals)}: which one?" if signals else "It has no signals: which device is meant?"
            )
            self.ask(f"{device} has no {said.replace('_', ' ')}. {others}")
        return found or said

    def owner(self, signal: str) -> Device | None:
        """The device spoken of last that has such a signal."""
        for device in reversed(self.context.history):
            if not isinstance(device, str) or chosen(self.reading.names.signals_of(device), signal) is not None:  # type: ignore[arg-type]
                return device
        return None

    def severity(self, clause: Clause) -> str | None:
        return next((one.name for one in self.reading.severities if self.has(clause, one)), None)

    def zone(self, clause: Clause) -> str | None:
        found = next((one.name for one in self.reading.zones if self.has(clause, one)), None)
        if found is None and (lost := _ZONE.search(self.said(clause))) is not None and lost[1] not in _NO_ZONE:
            self.ask(f"There is no zone {lost[1]!r} here: {', '.join(self.reading.names.zones[:12])}")
        if found is None and self.context.zone and BACK.search(self.said(clause)) and not self.named(clause):
            return self.context.zone
        return found

    # --- Free text --------------------------------------------------------------------------------------------------------

    def without(self, fragment: Fragment, anchors: Sequence[Anchor] = ()) -> str:
        """A fragment's words without the devices, zones, times and severities in it."""
        reading = self.reading
        placed: list[Placed] = [*reading.devices, *reading.zones, *reading.periods, *reading.durations]
        placed += [*reading.severities, *anchors]
        inside = [span for span in self.conditions if fragment.start <= span[0] < fragment.end]
        cut: Iterable[tuple[int, int]] = inside + [
            (one.start, one.end) for one in placed if fragment.start <= one.start < fragment.end
        ]
        text, at, found = reading.text, fragment.start, []
        for start, end in sorted(cut):
            found.append(text[at:start])
            at = max(at, end)
        return "".join([*found, text[at : fragment.end]])

    def in_condition(self, place: int) -> bool:
        return any(start <= place < end for start, end in self.conditions)

    def has(self, clause: Clause, one: Placed, *, lead: bool = False) -> bool:
        """Whether something is said in a clause (or its lead), and not in what it quotes, or in a condition beside it."""
        apart = self.masked if clause.conditional else [*self.masked, *self.conditions]
        return (clause.leads(one) if lead else clause.holds(one)) and not any(start <= one.start < end for start, end in apart)
