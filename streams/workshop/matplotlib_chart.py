"""A series as a picture (SVG), by matplotlib.

Texts of the plant never reach its layout, where they could be formulas or have letters that no font has: it sets marks in
their place, which become text of the finished document. So the picture holds a name as it is, and nothing that it could do.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Mapping
from html import escape
from zoneinfo import ZoneInfo

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from schemas.action import moment
from streams.workshop.markdown import shown
from streams.workshop.series import Series

mpl.rcParams["svg.fonttype"] = "none"
mpl.rcParams["svg.hashsalt"] = "openautoglm"
LONGEST = 120
FEW = 100
"""Readings up to which each is marked."""
HIGHEST = 1e300
"""Beyond it the axes' own arithmetic has no numbers."""
_LOCK = threading.Lock()
"""The library is made for one thread at a time."""


def svg_of(series: Series, zone: ZoneInfo) -> bytes:
    """Equal for equal series. Takes a second the first time."""
    marks = {
        "OAGTITLE": f"{series.device} {series.signal}",
        "OAGUNIT": series.unit or "",
        "OAGSPAN": f"{series.start} - {series.end}" + (", thinned" if series.thinned else ""),
    }
    with _LOCK:
        return _with_texts(_drawn(series, zone), marks)


def _drawn(series: Series, zone: ZoneInfo) -> str:
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.add_subplot()
    times = np.array([moment(at) for at, _ in series.points], dtype="datetime64[us]")
    values = np.clip(np.array([value for _, value in series.points]), -HIGHEST, HIGHEST)
    axes.plot(times, values, linewidth=1.2, marker="." if len(times) <= FEW else "")
    locator = AutoDateLocator(tz=zone)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))  # type: ignore[no-untyped-call]
    axes.set_title("OAGTITLE", loc="left")
    axes.set_ylabel("OAGUNIT")
    axes.set_xlabel("OAGSPAN")
    axes.grid(visible=True, alpha=0.3)
    written = io.StringIO()
    FigureCanvasSVG(figure).print_svg(written, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return written.getvalue()


def _with_texts(drawn: str, marks: Mapping[str, str]) -> bytes:
    """In one pass, so that a name that reads like a mark is a name."""
    return re.sub("|".join(marks), lambda found: escape(_visible(marks[found[0]])), drawn).encode()


def _visible(text: str) -> str:
    return "".join(letter if letter.isprintable() else shown(letter) for letter in text[:LONGEST])
