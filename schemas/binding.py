"""CloudEvents on Kafka: a record's headers and value to the JSON that `schemas.decode` reads (Kafka protocol binding 1.0.2).

Structured mode carries a whole event, or a batch of them, in the value and says so by its content type; binary mode carries the
attributes as `ce_*` headers and the data as the value. A record that says nothing is taken for structured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
CONTENT_TYPE = "content-type"
PREFIX = "ce_"
Header = tuple[str, bytes | None]
_ANY = msgspec.json.Decoder(msgspec.Raw)


class BindingError(ValueError):
    """The headers make no CloudEvent."""


def message(headers: Iterable[Header], value: bytes | None) -> bytes:
    """The structured JSON of a record: an event, or an array of events. Raises BindingError.

    >>> message([("ce_id", b"1"), ("content-type", b"application/json")], b'{"a": 1}')
    b'{"id":"1","data":{"a": 1}}'
    """
    attributes, kind = _read(headers)
    if value is None:
        raise BindingError("a record without a value")
    if attributes and not kind.startswith("application/cloudevents"):
        return _joined(attributes, kind, value)
    if kind.startswith("application/cloudevents") and kind not in (STRUCTURED, BATCH):
        raise BindingError(f"content type {kind!r}; {STRUCTURED} and {BATCH} are read")
    return value


def _read(headers: Iterable[Header]) -> tuple[dict[str, str], str]:
    attributes: dict[str, str] = {}
    kind = ""
    for name, value in headers:
        lowered = name.lower()
        if lowered == CONTENT_TYPE:
            kind = _text(name, value).partition(";")[0].strip().lower()
        elif lowered.startswith(PREFIX):
            attribute = lowered.removeprefix(PREFIX)
            if attribute in attributes:
                raise BindingError(f"the header {name!r} came twice")
            attributes[attribute] = _text(name, value)
    return attributes, kind


def _text(name: str, value: bytes | None) -> str:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError as error:
        raise BindingError(f"the header {name!r} is not UTF-8") from error


def _joined(attributes: dict[str, str], kind: str, value: bytes) -> bytes:
    if "data" in attributes:
        raise BindingError("the header 'ce_data' names the data, which is the record's value")
    if kind not in ("", "application/json"):
        raise BindingError(f"content type {kind!r}; the data of an event is application/json")
    try:
        # Or a value such as `{}, "source": "another"` would write attributes of its own.
        _ANY.decode(value)
    except (ValueError, RecursionError) as error:
        raise BindingError(f"the data is no JSON: {error}") from error
    head = msgspec.json.encode(attributes)[:-1]
    return head + b',"data":' + value + b"}"


def binary(attributes: dict[str, str]) -> Sequence[Header]:
    """The headers of an event in binary mode, for whoever publishes."""
    named = [(PREFIX + name, value.encode()) for name, value in attributes.items()]
    return [*named, (CONTENT_TYPE, b"application/json")]
