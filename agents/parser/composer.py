"""From a reading to a task graph: which tool each cue means, what feeds what, in which order and under which conditions.

Words that point back (it, there, 那台设备) mean what was spoken of last; what a trace finds is pointed at by its outputs. What
stays unclear becomes a question, never a guess at a device.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agents.parser import texts
from agents.parser.conditions import Conditional, conditionals
from agents.parser.cues import Anchor
from agents.parser.drafts import TELLING, Draft
from agents.parser.handlers import SERIES, handled
from agents.parser.orders import ACTS, DEVICES, ordered, signs
from agents.parser.reading import Clause, Fragment, Reading
from agents.parser.scene import BACK, Scene
from agents.parser.spans import Placed
from agents.parser.subjects import condition_of
from agents.taskgraph import Condition, TaskGraph

_GO_AHEAD = re.compile(r"(?<![a-z])(?:do (?:it|so|that)|go ahead(?: and do it)?)(?![a-z])|就(?:做|执行|这么办|动手)")
_BEFORE = re.compile(r"(?<![a-z])(?:before|prior to) (?:[^\s,;.]+ ){0,4}$")
_AFTER = re.compile(r"(?<![a-z])(?:after|once|as soon as) (?:[^\s,;.]+ ){0,4}$")
_POLITE_VALUE = r"(?:the )?◆ ?○? ?(?:to|at|on|=|:)? ?●"
_PLAIN_VALUE = re.compile(
    rf"\W*(?:(?:the )?◆ ?○? ?(?:to|=) ?●|(?:please|pls|plz|请|麻烦|帮我) ?{_POLITE_VALUE}"
    rf"|{_POLITE_VALUE}(?: ?,? ?(?:please|pls|plz|now))+)\W*"
)
"""`FV-302 40 % please`: without a courtesy or a `to` it may as well be what somebody has read off."""
_THINGS = re.compile(r"device|everything|equipment|anything|设备|东西|仪表")
_ONE_MORE = re.compile(r"^\W*(?:and )?(?:one|another|the same)(?: one)? (?:for|on|to)(?![a-z])", re.IGNORECASE)
_UNCONDITIONAL = re.compile(r",.*and|[,，].*(?:并|另外|同时)")
_DRAWN = re.compile(
    r"(?<![a-z])(?:is|are|was|were|do|does|did|will|would|has|have|much|current|power)(?![a-z])[^,;.]* draw(?:s|n|ing)?$"
)
_SHOWING = re.compile(r"show|give|see|get|what")
_LISTING = re.compile(r"清单|列|哪些|哪几|几[台个]|how many|which|count")
_LOOKING = re.compile(r"check(?:ing)?|look.*|watch|看.*|查.*|调出|多少|是多少")
EXPLAINED: dict[str, frozenset[str]] = {
    "list_faults": frozenset({"trace_fault", "acknowledge_alarm", "explain_device", "assess_impact"}),
    "list_alarms": frozenset({"acknowledge_alarm", "shelve_alarm", "explain_device", "open_work_order", "trace_fault"}),
    "signal_statistics": frozenset({"explain_device", "compare_periods"}),
    "compare_periods": frozenset({"retrain_model"}),
    "show_changes": frozenset({"compare_periods", "draw_chart"}),
}
"""Tools whose words are the object of others: the alarm that is acknowledged is not asked for."""
READING = frozenset({"find_devices", "draw_chart", "signal_statistics", "notify"})
_REPEATED = ("set_point", "open_work_order")


def composed(reading: Reading, taken: Sequence[Anchor]) -> tuple[TaskGraph, list[str]]:
    """The task graph that these cues ask for, and what has to be asked first. Raises TaskGraphError."""
    composer = Composer(reading, taken)
    composer.compose()
    composer.scene.drafts.settle()
    return composer.scene.drafts.graph(), composer.scene.drafts.questions


class Composer:
    """Of one reading; `taken` are the cues that count."""

    def __init__(self, reading: Reading, taken: Sequence[Anchor]) -> None:
        self.reading = reading
        self.scene = Scene(reading)
        self._conditionals = conditionals(reading)
        self.scene.conditions = [(one.start, one.end) for one in self._conditionals]
        self._used = 0
        self._last: Condition | None = None
        self._sentence: list[Draft] = []
        """The tasks since the last full stop."""
        free = [anchor for anchor in taken if not self._in_condition(anchor)]
        self._intended = [anchor for anchor in taken if anchor not in free and anchor.tool in DEVICES]
        unmasked = self._unmasked(free)
        orders = ordered(reading, unmasked, self._conditionals, self.scene.masked)
        self.scene.drafts.questions += orders.questions
        self._refused = [anchor for anchor in unmasked if anchor not in orders.anchors]
        self.taken = self._meant(orders.anchors)

    def compose(self) -> None:
        clauses = self._clauses()
        for place, clause in enumerate(clauses):
            self._clause(clause, clauses[place + 1] if place + 1 < len(clauses) else None)

    def is_open(self, fragment: Fragment) -> bool:
        """Whether a fragment has no cue, and is neither a condition nor what somebody is to be told."""
        inside = any(fragment.start <= anchor.start < fragment.end for anchor in (*self.taken, *self._refused))
        quoted = any(start < fragment.end and fragment.start < end for start, end in self.scene.masked)
        return not inside and not quoted and not self.scene.in_condition(fragment.start + 1)

    # --- Which cues count -------------------------------------------------------------------------------------------------

    def _in_condition(self, anchor: Anchor) -> bool:
        return any(one.start <= anchor.start < one.end for one in self._conditionals)

    def _unmasked(self, among: list[Anchor]) -> list[Anchor]:
        """Without those in what somebody is to be told."""
        kept: list[Anchor] = []
        for place, anchor in enumerate(among):
            if any(start <= anchor.start < end for start, end in self.scene.masked):
                continue
            kept.append(anchor)
            if anchor.tool == "notify":
                told = texts.told(self.reading.text, anchor, self._limit(anchor, among[place + 1 :]))
                if told.text is not None:
                    self.scene.masked.append((told.text.start, told.text.end))
                if told.to and (at := self.reading.lower.find(told.to, anchor.start)) >= 0:
                    self.scene.masked.append((at, at + len(told.to)))
        return kept

    def _limit(self, anchor: Anchor, later: Sequence[Anchor]) -> int:
        """Where what is told ends: at a full stop, or before a fragment that asks for something itself."""
        own = next((number for number, part in enumerate(self.reading.fragments) if part.start <= anchor.start < part.end), 0)
        end = self.reading.fragments[own].end
        quoted = False
        for part in self.reading.fragments[own + 1 :]:
            quoted = quoted or part.mark.strip() in {":", "："}
            if part.stop or part.then or (not quoted and any(part.start <= one.start < part.end for one in later)):
                break
            end = part.end
        return end

    def _meant(self, among: list[Anchor]) -> list[Anchor]:
        """Without those that another one in the same fragment explains away."""
        kept: list[Anchor] = []
        for fragment in self.reading.fragments:
            inside = [anchor for anchor in among if fragment.start <= anchor.start < fragment.end]
            inside = inside or self._listed(fragment)
            looking = [one for one in inside if one.tool != "signal_history" or not _LOOKING.fullmatch(one.text)]
            if not _is_about_readings(Clause([fragment], []), self.reading):
                inside = looking
            kept += _sifted(inside, fragment, self.reading, {one.tool for one in among})
        return kept + self._gone_ahead(kept)

    def _listed(self, fragment: Fragment) -> list[Anchor]:
        """Several of a kind are named and nothing is asked: `the motors in the east`."""
        part, reading = Clause([fragment], []), self.reading
        if self._is_signal(fragment) and not {one.tool for one in self.reading.anchors} & ACTS - TELLING:
            return [Anchor("signal_history", fragment.start, fragment.start, reading.lower[fragment.start : fragment.end])]
        if any(self.scene.has(part, one) for one in reading.devices) or self.scene.in_condition(fragment.start + 1):
            return []
        several = [
            one for one in reading.types if self.scene.has(part, one) and reading.lower[one.start : one.end].endswith("s")
        ]
        said = reading.lower[fragment.start : fragment.end]
        return [Anchor("find_devices", fragment.start, fragment.start, said.strip())] if several else []

    def _is_signal(self, fragment: Fragment) -> bool:
        """One of what is asked of a device: `show me of pump-7: its alarms, vibration, neighbours`."""
        among = [one for one in self.reading.signals if fragment.start <= one.start < fragment.end]
        said = re.sub(r"^\W*(?:(?:and|the|its|及|和)\W*)*|\W+$", "", self.reading.lower[fragment.start : fragment.end])
        alone = len(among) == 1 and said == self.reading.lower[among[0].start : among[0].end]
        others = any(fragment.start > one.start for one in self.reading.devices) and bool(self.reading.anchors)
        quoted = any(start < fragment.end and fragment.start < end for start, end in self.scene.masked)
        return alone and others and not quoted and not self.scene.in_condition(fragment.start + 1)

    def _gone_ahead(self, kept: list[Anchor]) -> list[Anchor]:
        """`do it` means what the condition, or what stands before, spoke of doing."""
        match = _GO_AHEAD.search(self.reading.lower)
        if match is None:
            return []
        ahead = [one for one in kept if one.start < match.start() and one.tool in DEVICES]
        before = [one for one in ahead if _BEFORE.search(self.reading.lower[: one.start])]
        meant = before or self._intended
        if not meant or any(anchor.tool == meant[-1].tool and anchor.start > match.start() for anchor in kept):
            return []
        for one in before:
            kept.remove(one)
        return [Anchor(meant[-1].tool, match.start(), match.end(), meant[-1].text)]

    # --- Clauses ----------------------------------------------------------------------------------------------------------

    def _clauses(self) -> list[Clause]:
        taken = sorted(self.taken, key=lambda anchor: anchor.start)
        if not taken:
            return self._without_cues()
        found: list[Clause] = []
        for clause in self.reading.clauses(taken):
            found += self._split(clause)
        return _merged(_turned(found, self.reading), self.scene)

    def _without_cues(self) -> list[Clause]:
        """A signal of a device, or a device and a value, need no verb."""
        clause = self.reading.clauses([])[0]
        whole = self.reading.lower
        if self.says_value():
            clause.anchors.append(Anchor("set_point", 0, 0, whole))
        elif self.scene.signals(clause) or (self.scene.named(clause) and self.reading.periods):
            clause.anchors.append(Anchor("signal_history", 0, 0, whole))
        elif (self.reading.types or self.reading.zones) and not self.scene.named(clause):
            clause.anchors.append(Anchor("find_devices", 0, 0, whole))
        return [clause] if clause.anchors else []

    def says_value(self) -> bool:
        """Whether the sentence is nothing but a device and what it is to be set to."""
        whole = signs(self.reading, 0, len(self.reading.lower), ())
        return _PLAIN_VALUE.fullmatch(whole) is not None and not self._conditionals

    def _split(self, clause: Clause) -> list[Clause]:
        """Fragments without a cue that begin the same anew for another device: `and fan-2 to 600`, `then valve-12`."""
        found = [Clause([clause.fragments[0]], clause.anchors, clause.lead)]
        for fragment in clause.fragments[1:]:
            part = Clause([fragment], [])
            named = any(part.holds(one) for one in self.reading.devices)
            valued = any(part.holds(one) for one in self.reading.quantities)
            tool = found[-1].anchors[-1].tool
            again = named and (
                fragment.then
                or (tool in _REPEATED and (valued or bool(_ONE_MORE.match(self.reading.text[fragment.start : fragment.end]))))
            )
            if again and not self._in_condition(Anchor("", fragment.start + 1, fragment.end, "")):
                anchor = found[-1].anchors[-1]
                found.append(Clause([fragment], [anchor._replace(start=fragment.start, end=fragment.start)]))
            else:
                found[-1].fragments.append(fragment)
        return found

    # --- One clause after the other ---------------------------------------------------------------------------------------

    def _clause(self, clause: Clause, following: Clause | None) -> None:
        scene, first = self.scene, clause.fragments[0]
        ahead = self._before(clause)
        if first.then and scene.drafts.tasks:
            scene.drafts.stage += 1
        if first.stop and not ahead and not first.then:
            scene.active, self._sentence = [], []
        if first.orelse and self._last is not None:
            scene.active = [_otherwise(self._last)]
        for one in ahead:
            self._apply(one, clause.lead)
        suspended = scene.active
        if clause.anchors[0].tool == "write_report" and _UNCONDITIONAL.search(first.mark):
            scene.active = []
        before = list(self._sentence)
        for anchor in sorted(clause.anchors, key=lambda one: (one.tool in TELLING, one.tool == "notify")):
            self._sentence += handled(scene, anchor, clause)
        scene.active = suspended
        spoken = list(scene.context.devices)
        for one in self._behind(clause, following):
            self._apply(one, [])
            self._tie(before)
            # "close it if the flow of pipe-4 is high, else open it": what is closed is opened.
            scene.context.devices = spoken or scene.context.devices

    def _tie(self, before: list[Draft]) -> None:
        """A condition that stands behind what it is for; what was only to be looked at `before` that is looked at anyway."""
        sources = {condition.task for condition in self.scene.active}
        for draft in self._sentence:
            if draft.asked and draft.key not in sources and (draft.tool in ACTS or draft not in before):
                draft.when = list(self.scene.active)

    def _before(self, clause: Clause) -> list[Conditional]:
        found = []
        while self._used < len(self._conditionals) and self._conditionals[self._used].start < max(
            clause.anchors[0].start, clause.start + 1
        ):
            found.append(self._conditionals[self._used])
            self._used += 1
        return found

    def _behind(self, clause: Clause, following: Clause | None) -> list[Conditional]:
        """Conditions that stand after what they are for: none that another clause of the sentence follows at once."""
        found = []
        while self._used < len(self._conditionals) and self._conditionals[self._used].start < clause.end:
            one = self._conditionals[self._used]
            begins = any(
                not self.reading.lower[part.start : one.start].strip()
                for part in clause.fragments[1:]
                if part.start <= one.start
            )
            asked = self.reading.lower[one.end : one.end + 1] in {"?", "？"}
            if following is not None and begins and (asked or not following.fragments[0].stop):
                break
            found.append(one)
            self._used += 1
        return found

    def _apply(self, one: Conditional, lead: list[Fragment]) -> None:
        condition = condition_of(self.scene, one, lead)
        if condition is None:
            # What is under a condition that is about nothing must not be done without it.
            self.scene.ask(
                f"I do not understand the condition {self.reading.text[one.start : one.end].strip()!r}. What has to hold?"
            )
            return
        self.scene.active = [condition]
        self.scene.asked = self._last = condition


def _otherwise(condition: Condition) -> Condition:
    """What holds if this does not."""
    if isinstance(condition.is_, bool):
        return Condition(task=condition.task, output=condition.output, is_=not condition.is_)
    step = 1 if condition.output == "count" else 0
    if condition.above is not None:
        return Condition(task=condition.task, output=condition.output, below=condition.above + step)
    return Condition(task=condition.task, output=condition.output, above=(condition.below or 0) - step)


def _sifted(inside: list[Anchor], fragment: Fragment, reading: Reading, every: set[str]) -> list[Anchor]:
    tools, part = {anchor.tool for anchor in inside}, Clause([fragment], [])
    found = [_meaning(anchor, part, reading) for anchor in inside]
    return [one for one in found if one is not None and not _is_explained(one, tools - {one.tool}, part, reading, every)]


def _meaning(anchor: Anchor, part: Clause, reading: Reading) -> Anchor | None:
    """`show me`, `list`, `which` ask for whatever is named: readings of a device, or devices of a kind; else for nothing."""
    if anchor.tool != "find_devices":
        return anchor
    kinds = [reading.kind(one) for one in reading.devices if part.holds(one)]
    if kinds and all(kinds) and _LISTING.search(anchor.text):
        return anchor  # 西区阀门列个清单, where there is one
    if not _any(part, reading.devices):
        if _SHOWING.match(anchor.text) and _any(part, reading.signals) and not _any(part, reading.types, reading.zones):
            return anchor._replace(tool="signal_history")  # "show me its temperature as well"
        return anchor if _is_of_things(part, reading) else None
    return anchor._replace(tool="signal_history") if _any(part, reading.signals, reading.periods) else None


def _is_explained(anchor: Anchor, others: set[str], part: Clause, reading: Reading, every: set[str]) -> bool:
    """Whether a cue only names what another one of its fragment, or of the sentence, is about."""
    explained = bool(others & EXPLAINED.get(anchor.tool, frozenset()))
    match anchor.tool:
        case "find_devices":
            explained = bool(others)
        case "signal_history" if others:
            shown = others == {"find_devices"} and _any(part, reading.devices)
            explained = bool(others - READING) or not (shown or _is_about_readings(part, reading))
        case "signal_history" if "retrain_model" in every:
            explained = not _any(part, reading.devices, reading.signals)
        case "set_point":
            explained = bool(others) and not _any(part, reading.quantities)
        case "draw_chart" if anchor.text.startswith("draw"):
            # "how much current does it draw"
            explained = bool(_DRAWN.search(reading.lower[part.start : anchor.end]))
        case "show_changes":
            explained = explained or _any(part, reading.signals)
        case _:
            pass
    return explained


def _any(part: Clause, *among: Sequence[Placed]) -> bool:
    return any(part.holds(one) for some in among for one in some)


def _is_about_readings(part: Clause, reading: Reading) -> bool:
    return _any(part, reading.signals, reading.periods) and _any(part, reading.signals, reading.devices)


def _is_of_things(part: Clause, reading: Reading) -> bool:
    said = reading.lower[part.start : part.end]
    return _any(part, reading.types, reading.zones) or bool(_THINGS.search(said)) or "name" in said or "名" in said


def _turned(clauses: list[Clause], reading: Reading) -> list[Clause]:
    """`before B, A` and `B之前先A`: A, then B."""
    for place in range(len(clauses) - 1):
        one, other = clauses[place], clauses[place + 1]
        ahead = reading.lower[: one.anchors[0].start]
        if _AFTER.search(ahead) and not other.fragments[0].stop:
            other.fragments[0] = other.fragments[0]._replace(then=True)
            break
        if _BEFORE.search(ahead) or "前" in other.fragments[0].mark:
            one.fragments[0] = one.fragments[0]._replace(then=True, stop=False)
            other.fragments[0] = other.fragments[0]._replace(then=False)
            end = next((later for later in range(place + 1, len(clauses)) if clauses[later].fragments[0].stop), len(clauses))
            clauses.insert(end - 1, clauses.pop(place))
            break
    return clauses


def _merged(clauses: list[Clause], scene: Scene) -> list[Clause]:
    """What asks for figures or a picture and names nothing belongs to what follows: `min, max and chart of ...`."""
    found: list[Clause] = []
    waiting: list[Anchor] = []
    lead: list[Fragment] = []
    for place, clause in enumerate(clauses):
        following = clauses[place + 1] if place + 1 < len(clauses) else None
        bare = not found and all(anchor.tool in SERIES for anchor in clause.anchors) and not _names_any(clause, scene)
        if bare and following is not None and any(anchor.tool in SERIES for anchor in following.anchors):
            waiting += clause.anchors
            lead += clause.lead
            continue
        found.append(Clause(clause.fragments, [*waiting, *clause.anchors], [*lead, *clause.lead]))
        waiting, lead = [], []
    return found


def _names_any(clause: Clause, scene: Scene) -> bool:
    return bool(
        scene.named(clause) or scene.signals(clause) or scene.named(clause, lead=True) or BACK.search(scene.said(clause))
    )
