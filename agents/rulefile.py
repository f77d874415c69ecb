"""Runbook and policy files: YAML read into strict types; an error names the file, the line and the field.

The loader is the safe one; a file is small, has no aliases (so it cannot grow when read), no repeated keys and little depth.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

import msgspec
import yaml

LARGEST = 262_144
"""Bytes of a file."""
DEEPEST = 16
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\[\.\.\.\]")
_WHERE = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")

Rules = TypeVar("Rules")


class RuleFileError(ValueError):
    """A file that does not say what to do. Nothing of it may be used."""


def load(path: Path, kind: type[Rules]) -> Rules:
    """Read a file.

    Raises:
        RuleFileError: it is too large, no YAML, or not of this kind.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        raw = file.read(LARGEST + 1)
    return parse(raw, kind, name=str(path))


def parse(raw: bytes, kind: type[Rules], *, name: str) -> Rules:
    """Read what a file of this name holds. Raises RuleFileError."""
    if len(raw) > LARGEST:
        raise RuleFileError(f"{name}: more than {LARGEST} bytes")
    root = _root(raw, name)
    try:
        # By way of JSON: dates, sets and other things that only YAML knows become plain values or are refused.
        plain = msgspec.json.encode(yaml.safe_load(raw))
        return msgspec.json.decode(plain, type=kind)
    except msgspec.ValidationError as error:
        raise _located(error, root, name) from None
    except yaml.YAMLError as error:
        raise _unreadable(error, name) from None
    except (ValueError, TypeError, OverflowError) as error:
        raise RuleFileError(f"{name}: {error}") from None


def _root(raw: bytes, name: str) -> yaml.Node | None:
    """The nodes of the file, which know their lines."""
    try:
        _look_over(raw, name)
        root = yaml.compose(raw, yaml.SafeLoader)
        _no_repeats(root, name)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _unreadable(error, name) from None
    return root


def _unreadable(error: Exception, name: str) -> RuleFileError:
    mark = getattr(error, "problem_mark", None)
    line = "" if mark is None else f":{mark.line + 1}"
    sentence = getattr(error, "problem", None) or getattr(error, "reason", None) or error
    return RuleFileError(f"{name}{line}: {sentence}")


def _look_over(raw: bytes, name: str) -> None:
    """Events only, one after another: nothing is built before depth and aliases are known to be harmless."""
    depth = 0
    for event in yaml.parse(raw, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _refused(event, name, "anchors and aliases are not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _refused(event, name, f"nested deeper than {DEEPEST}")


def _refused(part: yaml.Event | yaml.Node, name: str, sentence: str) -> RuleFileError:
    line = 1 if part.start_mark is None else part.start_mark.line + 1
    return RuleFileError(f"{name}:{line}: {sentence}")


def _no_repeats(node: yaml.Node | None, name: str) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _no_repeats(item, name)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if str(key.value) in seen:
                raise _refused(key, name, f"{key.value} is given twice")
            seen.add(str(key.value))
            _no_repeats(value, name)


def _located(error: msgspec.ValidationError, root: yaml.Node | None, name: str) -> RuleFileError:
    text = str(error)
    where = _WHERE.search(text)
    path = where["path"] if where else ""
    sentence = text[: where.start()] if where else text
    # For an unknown field the path ends at the object; its line is that of the field.
    unknown = re.search(r"unknown field `([^`]*)`", sentence)
    line = _line(root, path + (f".{unknown[1]}" if unknown else ""))
    return RuleFileError(f"{name}:{line}: {path.lstrip('.') or 'the file'}: {sentence}")


def _line(node: yaml.Node | None, path: str) -> int:
    """The line, from 1, of the deepest part of the path that the file has."""
    line = 1 if node is None else node.start_mark.line + 1
    for member, place in _STEP.findall(path):
        node, found = _child(node, member, place)
        if node is None:
            return line
        line = found
    return line


def _child(node: yaml.Node | None, member: str, place: str) -> tuple[yaml.Node | None, int]:
    if isinstance(node, yaml.SequenceNode) and place and int(place) < len(node.value):
        item: yaml.Node = node.value[int(place)]
        return item, item.start_mark.line + 1
    if isinstance(node, yaml.MappingNode) and member:
        for key, value in node.value:
            if key.value == member:
                return value, key.start_mark.line + 1
    return None, 0
