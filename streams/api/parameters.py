"""What requests may say, each with its bounds: one place, so that a name means the same everywhere."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Path, Query
from pydantic import AwareDatetime

from schemas.device import DEVICE_ID_PATTERN, DeviceId, Relation, SignalName
from schemas.event import Micros, micros
from streams.api.problems import ProblemError

ID = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$"
MOST = 1_000

DevicePath = Annotated[DeviceId, Path(description="A device's id.", pattern=DEVICE_ID_PATTERN)]
Device = Annotated[DeviceId, Query(description="A device's id.", pattern=DEVICE_ID_PATTERN)]
MaybeDevice = Annotated[DeviceId | None, Query(description="Only what is about this device.", pattern=DEVICE_ID_PATTERN)]
Id = Annotated[str, Path(pattern=ID)]
Signal = Annotated[SignalName, Query(description="A signal's name.", min_length=1, max_length=128)]
Zone = Annotated[str | None, Query(description="Only this zone; empty for devices in none.", max_length=256)]
Kind = Annotated[str | None, Query(alias="type", description="Only devices of this type.", max_length=128)]
Text = Annotated[str, Query(description="What the id holds, regardless of case.", max_length=128)]
Limit = Annotated[int, Query(ge=1, le=MOST, description="Items of one page.")]
Most = Annotated[int, Query(ge=1, le=10_000, description="Devices of one answer.")]
Hops = Annotated[int, Query(ge=1, le=100, description="How far.")]
MaybeHops = Annotated[int | None, Query(ge=1, le=10_000, description="How far; without it, to the end.")]
Relations = Annotated[list[Relation] | None, Query(description="Only along these relations; several may be given.")]
Cursor = Annotated[str | None, Query(description="As `next` of the page before said.", pattern="^[A-Za-z0-9_-]{1,1024}$")]
"""Time zones are needed: nobody should have to guess whose noon it was."""
When = Annotated[AwareDatetime | None, Query(description="As it stood at this time (RFC 3339).")]


KEY = Annotated[
    str | None,
    Header(alias="idempotency-key", pattern="^[!-~]{1,255}$", description="What is sent again with the same key is done once."),
]


async def _at(at: When = None) -> Micros | None:
    return None if at is None else instant_of(at, "at")


def instant_of(moment: AwareDatetime, name: str) -> Micros:
    """Raises ProblemError."""
    try:
        return micros(moment)
    except (OverflowError, ValueError) as error:
        raise ProblemError(422, f"{name}: out of range") from error


At = Annotated[Micros | None, Depends(_at)]
