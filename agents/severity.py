"""The order of severities, and how strange or widespread something must be for each."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.event import Severity

ASCENDING = tuple(Severity)
_RANK = {severity: rank for rank, severity in enumerate(ASCENDING)}


def at_least(severity: Severity, least: Severity) -> bool:
    """Whether a severity is this or worse.

    >>> at_least(Severity.HIGH, Severity.MEDIUM), at_least(Severity.LOW, Severity.MEDIUM)
    (True, False)
    """
    return _RANK[severity] >= _RANK[least]


def worse(one: Severity, other: Severity) -> Severity:
    return one if at_least(one, other) else other


def graded(amount: float, marks: Sequence[float]) -> Severity:
    """The severity of an amount; `marks` are where medium, high and critical begin.

    >>> graded(3.0, (1.5, 3.0, 10.0))
    <Severity.HIGH: 'high'>
    """
    return ASCENDING[sum(amount >= mark for mark in marks)]
