"""Which of a device's signals a word means."""

from __future__ import annotations

import re
from collections.abc import Sequence


def chosen(signals: Sequence[str], said: str) -> str | None:
    """The signal of a device that is called so: by its name, else the only one that holds the word, else by the last word.

    >>> chosen(("pressure", "flow"), "pressure"), chosen(("inlet_temp", "outlet_temp"), "flow")
    ('pressure', None)
    >>> chosen(("discharge_pressure", "flow"), "pressure"), chosen(("temperature",), "outlet_temperature")
    ('discharge_pressure', 'temperature')
    """
    lowered = {signal.lower(): signal for signal in signals}
    if said.lower() in lowered:
        return lowered[said.lower()]
    holding = [signal for signal in signals if said.lower() in re.split(r"[\W_]+", signal.lower())]
    if len(holding) == 1:
        return holding[0]
    last = re.split(r"[\W_]+", said.lower())[-1]
    return chosen(signals, last) if last != said.lower() else None
