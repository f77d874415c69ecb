"""Free text in sentences: whom to tell and what, what is to be done, and why."""

from __future__ import annotations

import re
from typing import NamedTuple

from agents.parser.cues import Anchor

_PEOPLE = re.compile(
    r"(?:值班(?:长|主任|经理|工程师)|大家|全体(?:人员|员工)?|所有人|各班组?|"
    r"[\u3400-\u9fff]{0,4}班长|值班员?|调度(?:员|室)?|中控室?|机修(?:班|工)?|电工班?|钳工|仪表(?:班|工)|主任|经理|师傅|领导|厂长|仓库|车间|工程师|主管"
    r"|[\u3400-\u9fff]{1,5}?(?:班|科|室|组|队|部|员|工|长|处))"
)
_TO_WORDS = r"(?P<to>(?:[\w/-]+ ?){1,3}?)"
_ENDS = (
    r"(?=\s*(?:$|[,;.?!:()]|(?:that|to|about|of|know|and|then|if|unless|with|when|once|on|it|as|by|so|but|not"
    r"|a|an|the|all|how|what|which|why|saying)\b))"
)
_ADDRESS = re.compile(rf"\s*(?:the |our |my |a |an )?{_TO_WORDS}{_ENDS}")
_THAT = re.compile(r"\s*(?:,? ?(?:saying )?that |saying |: ?|,? ?know (?:that )?|to (?=[a-z]+)|about )")
_BECAUSE = re.compile(
    r"(?<![a-z])(?:because(?: of)?|since|as(?! (?:long|soon|well|far|a|if)\b)|while|"
    r"for(?= (?:the |a |an |some )?(?:[\w-]+ ){0,2}?(?:maintenance|cleaning|repairs?|inspection|service|overhaul|calibration"
    r"|test(?:ing|s)?|change|replacement|exchange|swap|work|checks?|welding))|due to|"
    r"(?<!if )so(?: that)?)(?![a-z]) "
    r"|因为|由于|因|为了|(?:原因|理由)(?:是|[:：])"
)
_POLITE = re.compile(
    r"(?<![a-z])(?:please|pls|plz|thanks|thank you|could you|can you|would you|asap|urgent(?:ly)?|"
    r"as soon as possible|high priority|low priority|critical|right away|"
    r"go ahead|immediately|low|high|medium|normal priority|no rush|minor|priority|prio|quickly|now|also|"
    r"too)(?![a-z])|麻烦|请|帮我|尽快|马上|立即|紧急|加急|优先级?|一下$|谢谢|给?[它他她]|这台|那台"
)


_SENDING = ("send", "share", "forward", "pass", "mail", "give", "hand", "email", "e-mail", "report")


_AROUND = re.compile(
    r"(?:give|drop|shoot|send|want) (?P<to>.*?) ?(?:an? (?:heads-?up|shout|call|ring|note|line|message|word|"
    r"mail|email|text|ping)|to know)"
)
_MYSELF = re.compile(r"\w+ (?:me|us)(?![a-z])")
_WHOM = re.compile(rf"\s*to (?:the |our |my )?{_TO_WORDS}{_ENDS}")
_PASSIVE = re.compile(r"(?:be |been )?(?:told|informed|notified|warned|alerted)$|(?:to|must|should) (?:be )?know$")
_SUBJECT = re.compile(
    r"(?:^|[,;.:?!] ?|(?<![a-z])(?:and|then) )(?:the |our |an? )?(?P<to>[\w ]+?) (?:is|are|should|has|have|"
    r"must|needs?|needs|shall|will|want|wants|ought)\b[^,;.]*$"
)
_WHEN = re.compile(r"(?:if|when|once|as soon as|in case|unless)(?![a-z])|如果|要是|一旦|假如|除非")
_KNOWING = re.compile(r"(?:^|[,;.:?!] ?|(?<![a-z])(?:and|then|please) )(?:the |our |an? )?(?P<to>[\w ]+?) $")
_MESSAGE = re.compile(r"(?:send|put|pass|give|post)\w* (?:out )?(?:a|the) ")


_WHOM_ZH = re.compile(
    r"[给跟向和](?P<to>.+?)(?:说|讲|通报|汇报|报|发|打)(?:个|条|一?声|一?下)?(?:通知|消息|短信|信息|电话|话|招呼)?$"
)
_ME = frozenset({"我", "我们", "咱", "咱们"})


_STATED = re.compile(
    r"\s*(?:the|a|an|our|its|all) [^,;:.?!]*?(?<![a-z])(?:is|are|was|were|has|have|had|will|can|cannot|needs?|must|should"
    r"|leaks?|runs?|stopped|trips|tripped|went|goes|comes|came|got|looks|seems|does|won't|isn't|aren't|started|failed|fails)"
    r"(?![a-z])"
)
"""`tell logistics the agv is back`: said without `that`."""


class Words(NamedTuple):
    """A part of the sentence that is taken as it stands."""

    text: str
    start: int
    end: int


class Told(NamedTuple):
    """Whom to tell, and what if anything is said."""

    to: str
    text: Words | None
    end: int


def told(text: str, anchor: Anchor, end: int) -> Told:
    """As `_told`; a condition is nothing that anybody is told."""
    found = _told(text, anchor, end)
    if found.text is not None and _WHEN.match(found.text.text.lower()):
        return found._replace(text=None)
    return found


def _told(text: str, anchor: Anchor, end: int) -> Told:
    """Who and what a cue of telling is followed by, up to `end` at the latest.

    >>> _told("tell maintenance that the seal leaks", Anchor("notify", 0, 4, "tell"), 36)[:2]
    ('maintenance', Words(text='the seal leaks', start=22, end=36))
    """
    said = anchor.text
    if not said.isascii():
        return _told_in_chinese(text, anchor, end)
    if said.startswith("let ") and not _MYSELF.match(said):
        return Told(_plain_to(said.removeprefix("let").rsplit(" know", 1)[0]), _rest(text, anchor.end, end), end)
    if match := _AROUND.fullmatch(said):
        return _around(text, anchor, end, match["to"])
    if _PASSIVE.match(said):
        return _passive(text, anchor, end)
    if _MESSAGE.match(said):
        return _message(text, anchor, end)
    return Told("", None, anchor.end) if _MYSELF.match(said) else _addressed(text, anchor, end)


def _around(text: str, anchor: Anchor, end: int, to: str) -> Told:
    """`send the packers a message that ...`, `send a message to the packers: ...`"""
    whom = None if to else _WHOM.match(text.lower(), anchor.end, end)
    if whom is None:
        return Told(_plain_to(to), _rest(text, anchor.end, end), end)
    that = _THAT.match(text, whom.end(), end)
    return Told(_plain_to(whom["to"]), None if that is None else _rest(text, that.end(), end), end)


def _passive(text: str, anchor: Anchor, end: int) -> Told:
    """`the packers have to be told that ...`"""
    before = _SUBJECT.search(text.lower(), 0, anchor.start) or _KNOWING.search(text.lower(), 0, anchor.start)
    that = _THAT.match(text, anchor.end, end)
    return Told(_plain_to(before["to"]) if before else "", None if that is None else _rest(text, that.end(), end), end)


def _addressed(text: str, anchor: Anchor, end: int) -> Told:
    """`tell maintenance that ...`, `send it to the packers`"""
    start = anchor.end
    if anchor.text.startswith(_SENDING):
        heads = list(re.finditer(r"(?<![a-z])(?:to|with)(?= (?:the |our |my )?[a-z])", text[start:end].lower()))
        start += heads[-1].end() if heads else 0
    match = _ADDRESS.match(text.lower(), start, end)
    if match is None:
        return Told("", None, anchor.end)
    that = _THAT.match(text, match.end(), end)
    if that is None and _STATED.match(text.lower(), match.end(), end):
        return Told(_plain_to(match["to"]), _rest(text, match.end(), end), end)
    if that is None or (that.group().strip() == "to" and not anchor.text.startswith(("ask", "tell", "call", "warn"))):
        return Told(_plain_to(match["to"]), None, match.end())
    return Told(_plain_to(match["to"]), _rest(text, that.end(), end), end)


def _message(text: str, anchor: Anchor, end: int) -> Told:
    """`send out a message to the packers that ...`"""
    start, to = anchor.end, ""
    if anchor.text.endswith(" to") and (match := _ADDRESS.match(text.lower(), start, end)):
        to, start = match["to"], match.end()
    said = _THAT.match(text, start, end)
    after = said.end() if said else start
    return Told(_plain_to(to), _rest(text, after, end), end)


def _plain_to(said: str) -> str:
    return re.sub(r"^(?:the|our|my|an?) ", "", said.strip().lower())


def _told_in_chinese(text: str, anchor: Anchor, end: int) -> Told:
    if whom := _WHOM_ZH.match(anchor.text):
        return Told("" if whom["to"] in _ME else whom["to"], _rest(text, anchor.end, end), end)
    rest = re.match(r"[^,，。；;？！?!]*", text[anchor.end : end])
    said = rest.group() if rest else ""
    if ":" in said:
        to, _, _ = said.partition(":")
        return Told(to.strip(), _rest(text, anchor.end + len(to), end), end)
    match = _PEOPLE.match(said)
    if match is None and not said.strip():
        return Told("", _rest(text, anchor.end, end), end)
    if match is None:
        said = said.strip()
        return Told("" if re.sub(r"(?:一下|一声|下|声)$", "", said) in _ME else said, None, anchor.end + len(said))
    after = anchor.end + match.end()
    following = _rest(text, after, end)
    words = None if following is None else re.sub(r"^(?:说|来|一下|一声|[:：])", "", following.text)
    return Told(match.group(), Words(words, following.start, following.end) if following and words else None, end)


def _rest(text: str, start: int, end: int) -> Words | None:
    said = text[start:end].strip(" ,;:，：、()（）.。?？!！")
    return Words(said, text.index(said, start), end) if said else None


def because(text: str, start: int, end: int) -> Words | None:
    """Why, where a word for it stands.

    >>> because("isolate HX-2 because we clean it", 0, 32).text
    'we clean it'
    """
    match = _BECAUSE.search(text, start, end)
    return None if match is None else _rest(text, match.end(), end)


def purpose(text: str, start: int, end: int) -> Words | None:
    """What for, in English: `to balance the rotor`, `: change the seal`, `for cleaning`."""
    match = re.search(r"(?<![a-z])to (?=[a-z]{3,})(?!the\b|it\b|maintenance\b)|: ?", text[start:end])
    return None if match is None else _rest(text, start + match.end(), end)


def is_told(text: str) -> str:
    """What somebody is told, without what is polite: how low or urgent something is belongs to it."""
    return re.sub(r"^(?:please|pls) |,? (?:please|pls|plz|thanks|thank you)$|[,，]?(?:谢谢|麻烦了?)$", "", text).strip(
        " ,;:，：、。.!！"
    )


def is_said(text: str) -> str:
    """What is left of a part of a sentence without what is only polite or says how soon; nothing if that is all."""
    left = _POLITE.sub(" ", text).strip(" ,;:，：、()（）.。?？!！-")
    left = re.sub(r"\s{2,}", " ", left)
    return (
        left
        if len(re.sub(r"[\W_]|(?<![a-z])(?:it|is|the|on|for|of|at|a|an|and|in|to|that|this|them)(?![a-z])", "", left.lower()))
        > 1
        else ""
    )
