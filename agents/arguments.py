"""Arguments as a tool takes them: every reference followed, every value of its type, nothing unknown and nothing missing.

The scheduler asks here before a tool is used, so what the policy decides on is what the tool gets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from agents.taskgraph import Reference, Task
from agents.toolset import ANY, Slot, Tool
from schemas.device import DEVICE_ID_PATTERN

MOST_TEXT = 2_000
NAMED_PERIODS = ("today", "yesterday", "this-week", "last-week", "this-month", "last-month")
_DEVICE = re.compile(DEVICE_ID_PATTERN.removesuffix("$") + r"\Z")
_DURATION = re.compile(r"P(?=.)(?:\d{1,5}D)?(?:T(?=.)(?:\d{1,5}H)?(?:\d{1,5}M)?(?:\d{1,6}S)?)?\Z")
_INTERVAL = re.compile(r"[0-9T:.Z+-]{4,32}/[0-9T:.Z+-]{4,32}\Z")


class ArgumentError(ValueError):
    """A tool cannot be used so; the message names the argument."""


def resolved(tool: Tool, task: Task, outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The final arguments; `outputs` are those of the tasks that have ended, by key.

    Raises:
        ArgumentError: one is unknown, missing or not of its type, or a task did not put out what is asked of it.
    """
    found: dict[str, Any] = {}
    for name, value in task.arguments.items():
        slot = tool.input(name)
        if slot is None:
            raise ArgumentError(f"{tool.id} takes no argument {name}")
        final = _followed(name, value, outputs)
        if final is not None:
            found[name] = checked(slot, final)
    for slot in tool.inputs:
        if slot.name not in found and slot.default is not None:
            found[slot.name] = slot.default
        if slot.required and slot.name not in found:
            raise ArgumentError(f"{tool.id} needs {slot.name}")
    return found


def _followed(name: str, value: Any, outputs: Mapping[str, Mapping[str, Any]]) -> Any:
    if not isinstance(value, Reference):
        return value
    found = outputs.get(value.task, {}).get(value.output)
    if found is None:
        raise ArgumentError(f"{name}: {value.task} put out no {value.output}")
    return found


def checked(slot: Slot, value: Any) -> Any:
    """A value of the slot's type. Raises ArgumentError.

    >>> checked(Slot("period", "period"), "PT2H")
    'PT2H'
    >>> checked(Slot("device", "device"), "pump 7")
    Traceback (most recent call last):
    agents.arguments.ArgumentError: device: 'pump 7' is no device id
    """
    if slot.choices and value not in slot.choices:
        raise ArgumentError(f"{slot.name}: {str(value)[:40]!r} is none of {', '.join(slot.choices)}")
    check = CHECKS.get(slot.type)
    if check is not None and (fault := check(value)):
        raise ArgumentError(f"{slot.name}: {str(value)[:40]!r} {fault}")
    return value


def is_period(text: str) -> bool:
    return text in NAMED_PERIODS or bool(_DURATION.match(text) or _INTERVAL.match(text))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return "is no text"
    return f"is longer than {MOST_TEXT} characters" if len(value) > MOST_TEXT else ""


def _device(value: Any) -> str:
    return "" if isinstance(value, str) and _DEVICE.match(value) else "is no device id"


def _period(value: Any) -> str:
    return "" if isinstance(value, str) and is_period(value) else "is no period, such as PT2H, yesterday or 06:00/08:30"


def _number(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "" if is_number and abs(value) < float("inf") else "is no number"


def _duration(value: Any) -> str:
    return _number(value) or ("" if value > 0 else "is no duration")


def _count(value: Any) -> str:
    return "" if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 64 else "is no count from 1 to 64"  # noqa: PLR2004


CHECKS: Mapping[str, Callable[[Any], str]] = {
    "text": _text,
    "device": _device,
    "zone": _text,
    "device-type": _text,
    "signal": _text,
    "people": _text,
    "severity": _text,
    "verb": _text,
    "period": _period,
    "duration": _duration,
    "quantity": _number,
    "count": _count,
    ANY: lambda _: "",
}
"""What is wrong with a value of a type, or nothing. Types that only tools put out are not checked: no person writes them."""
