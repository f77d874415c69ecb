"""Text in Markdown documents: whatever a plant or a person has written comes out as it was written, and as nothing else."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence

HARMLESS = " ,.-/()%'\";?="
"""Punctuation that means nothing within a line that it does not begin."""
_MARKS = {ord(mark): f"\\{mark}" for mark in string.punctuation if mark not in HARMLESS}
LONGEST = 2_000


def escaped(text: object) -> str:
    r"""One line of plain text; it must not stand at the beginning of a line of the document.

    >>> print(escaped("<b>[pump](javascript:1)</b> $\\frac$\n# www.example.org\x1b"))
    \<b\>\[pump\](javascript\:1)\</b\> \$\\frac\$ \# www\.example.org\\x1b
    """
    said = str(text)
    said = said if len(said) <= LONGEST else said[:LONGEST] + " ..."
    visible = "".join(letter if letter.isprintable() else shown(letter) for letter in said)
    return visible.translate(_MARKS).replace("www.", "www\\.").replace("WWW.", "WWW\\.")


def shown(letter: str) -> str:
    """What is not printable, as it would be written in a program; line breaks and tabs as a blank."""
    return " " if letter in "\n\r\t" else letter.encode("unicode_escape").decode()


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(map(escaped, columns))} |", f"|{' --- |' * len(columns)}"]
    return lines + [f"| {' | '.join(map(cell, row))} |" for row in rows]


def cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else escaped(value)
