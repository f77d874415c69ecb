"""An instruction as clauses, each of which asks for something: the reasons of a plan are given in these."""

from __future__ import annotations

import re

BETWEEN = re.compile(
    r"[.;!?。；！？]+(?=\s|$|[\u3400-\u9fff])|,\s+(?:and\s+|then\s+|but\s+|so\s+)*|[，、：]|:\s"
    r"|\b(?:and then|and also|after that|afterwards|then|and|finally|before|after|once)\b|然后|并且|并|再|最后|接着",
    re.IGNORECASE,
)
LEAST = 2
MOST = 16


def clauses(text: str) -> list[str]:
    """Parts between marks and joining words, in order; the last of too many holds the rest.

    >>> clauses("Stop pump P-7, shut valve V-1.2 and then tell Kim.")
    ['Stop pump P-7', 'shut valve V-1.2', 'tell Kim']
    >>> clauses("请停止水泵，然后关闭阀门。")
    ['请停止水泵', '关闭阀门']
    """
    found: list[str] = []
    begin = 0
    for match in BETWEEN.finditer(text):
        part = text[begin : match.start()].strip()
        if len(found) == MOST - 1:
            break
        if len(part) >= LEAST:
            found.append(part)
        begin = match.end()
    rest = text[begin:].strip(" \t\r\n.。")
    if len(rest) >= LEAST:
        found.append(rest)
    return found or [text.strip() or text]
