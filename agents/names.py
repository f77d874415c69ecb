"""The plant's names as people say them: devices, zones, types and signals, found in sentences in spite of how they are written.

Made from the live graph, so that an instruction is about devices that are there. A number is never guessed: `pump 7` is pump-7
or an unknown device, not pump-8.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Protocol

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from agents.parser.lexicon import lexicon, meanings
from agents.parser.spelling import NO_SLIPS
from agents.parser.tokens import Kind, Token, tokens
from schemas.device import DeviceId

SHORTEST = 4
"""Letters of a word in which a slip of the pen is put right."""
FILLERS = frozenset({"-", "_", "/", ".", ":", "#", "no", "nr", "number", "号", "第", "the"})
"""What may stand between the parts of a name, besides spaces."""
MOST_OFFERED = 5


class Named(Protocol):
    """A device as the graph knows it (`graph.store.KnownDevice`, `graph.topology.Device`)."""

    @property
    def device_id(self) -> DeviceId: ...

    @property
    def type(self) -> str: ...

    @property
    def zone(self) -> str | None: ...

    @property
    def signals(self) -> Iterable[str]: ...


class Names:
    """An index of one state of the plant. Immutable."""

    def __init__(self, devices: Mapping[DeviceId, tuple[str, str | None, tuple[str, ...]]]) -> None:
        """`devices`: type, zone and signals of each."""
        self.devices = devices
        self.zones = sorted({zone for _, zone, _ in devices.values() if zone})
        self.types = sorted({kind for kind, _, _ in devices.values() if kind != "unknown"})
        self._keys: dict[str, dict[DeviceId, int]] = defaultdict(dict)
        for device, (kind, _, _) in devices.items():
            for key, strength in _keys(device, kind):
                held = self._keys[key].get(device, 0)
                self._keys[key][device] = max(held, strength)
        self._heads = {key[:1] for key in self._keys}
        self._words = {word for key in self._keys for word in re.findall(r"[^\W\d_]{3,}", key)} | TYPE_WORDS
        self._typed: dict[str, list[DeviceId]] = defaultdict(list)
        for device, (kind, _, _) in devices.items():
            self._typed[canonical_type(kind)].append(device)

    @classmethod
    def of(cls, devices: Iterable[Named]) -> Names:
        return cls({one.device_id: (one.type, one.zone, tuple(one.signals)) for one in devices})

    def begins(self, word: str) -> bool:
        """Whether any key may begin with a word: most words of a sentence begin none."""
        return word[:1] in self._heads

    def called(self, key: str) -> tuple[DeviceId, ...]:
        """The devices that a key names best: letters and digits of a name without what stands between."""
        found = self._keys.get(key)
        if not found:
            return ()
        strongest = max(found.values())
        return tuple(sorted(device for device, strength in found.items() if strength == strongest))

    def spelt(self, token: Token) -> str:
        """A word as names have it: a type's English word for a Chinese one, a slip of the pen put right."""
        word = token.text
        if word in CHINESE_TYPES:
            return CHINESE_TYPES[word]
        if token.kind is not Kind.WORD or len(word) < SHORTEST or word in self._words or word in PLURALS or word in NO_SLIPS:
            return word
        close = [
            known for known in sorted(TYPE_WORDS) if len(known) >= SHORTEST and OSA.distance(word, known, score_cutoff=1) <= 1
        ]
        return close[0] if len(close) == 1 else word

    def like(self, text: str) -> list[DeviceId]:
        """Devices whose ids look most like a name, for questions."""
        ids: list[str] = list(self.devices)
        found = process.extract(text.casefold(), ids, scorer=fuzz.WRatio, processor=str.casefold, limit=MOST_OFFERED)
        return [DeviceId(name) for name, _, _ in found]

    # --- The rest ---------------------------------------------------------------------------------------------------------

    def only(self, kind: str, zone: str | None = None) -> DeviceId | None:
        """The only device of a type, in the plant or in a zone, if there is one alone."""
        found = [device for device in self._typed.get(kind, ()) if zone is None or self.zone_of(device) == zone]
        return found[0] if len(found) == 1 else None

    def type_named(self, name: str) -> str | None:
        """The plant's type that a canonical type stands for."""
        if name in self.types:
            return name
        return next((kind for kind in self.types if canonical_type(kind) == name or name in kind.split("-")), None)

    def signals_of(self, device: DeviceId) -> tuple[str, ...]:
        return self.devices[device][2] if device in self.devices else ()

    def zone_of(self, device: DeviceId) -> str | None:
        return self.devices[device][1] if device in self.devices else None

    def type_of(self, device: DeviceId) -> str:
        return self.devices[device][0] if device in self.devices else "unknown"


def canonical_type(kind: str) -> str:
    """The lexicon's name of a plant's type.

    >>> canonical_type("Heat_Exchanger"), canonical_type("pressure-sensor")
    ('heat-exchanger', 'pressure-sensor')
    """
    name = re.sub(r"[\s_]+", "-", kind.casefold())
    return meanings("types").get(name.replace("-", " "), name)


def _keys(device: str, kind: str) -> Iterable[tuple[str, int]]:
    """Ways to call a device, and how strongly each is its own: its id 4, the id's last part 3, type and number 2, number 1."""
    whole = _parts(device)
    last = _parts(re.split(r"[/:]", device)[-1])
    yield "".join(whole), 4
    yield "".join(last), 3
    name = canonical_type(kind).replace("-", "")
    rest = last[1:] if last and last[0].isalpha() and len(last) > 1 else last
    if rest and any(part[0].isdigit() for part in rest):
        number = "".join(rest)
        for word in {name, *(last[:1] if last[0].isalpha() else ())}:
            yield word + number, 3 if word == last[0] else 2
            yield number + word, 2
        if len(rest) > 1 and any(part.isalpha() for part in rest):
            yield number, 1


def _parts(text: str) -> list[str]:
    return [token.text for token in tokens(text) if not fills(token)]


def fills(token: Token) -> bool:
    return token.text in FILLERS


TYPE_WORDS = frozenset(word for words in lexicon().types.values() for word in words if word.isascii() and " " not in word)
PLURALS = {f"{word}s": word for word in TYPE_WORDS}
CHINESE_TYPES = {word: name.replace("-", "") for word, name in meanings("types").items() if not word.isascii()}
