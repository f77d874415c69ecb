"""How large each part of an event may be, and the alphabets of its names.

One place for the JSON Schemas (`schemas.definitions`) and the strict types (`schemas.wire`), which must agree. The
expressions are written for the engines of Python, Rust and ECMAScript alike: no look-around, no nested repetition, `$` never
alone (Python's also matches before a last newline), so each has the same verdict everywhere and takes time linear in the text.
"""

from __future__ import annotations

ID = 128
NAME = 128
LABEL = 256
SUBJECT = 1024
URI = 2048
TEXT = 16_384
MANY = 4096
EXTENSION_NAME = 20

IMAGE = 1_398_104
"""Base64 characters of 1 MiB."""

LARGEST = 1.7976931348623157e308
"""Largest finite double. A number beyond it is refused, so every number of an event is finite."""

LONG = range(-(2**63), 2**63)
"""Integers that stay integers; outside of it a number becomes the nearest double."""

CONTROL = r"[\x00-\x1f\x7f-\x9f]"
NOT_IN_DEVICE_ID = r"[^A-Za-z0-9_.:/-]"
URI_LETTERS = r"A-Za-z0-9._~:/?\[\]@!\x24&'()*+,;=-"
URI_REFERENCE = rf"^(?:[{URI_LETTERS}]|%[0-9A-Fa-f]{{2}})*(?:#(?:[{URI_LETTERS}]|%[0-9A-Fa-f]{{2}})*)?$"
NOT_IN_URI = rf"[^%#{URI_LETTERS}]"
MEDIA_TYPE = r"^[A-Za-z0-9][A-Za-z0-9!#&^_.+-]*/[A-Za-z0-9]"
BASE64 = r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
NOT_IN_BASE64 = r"[^A-Za-z0-9+/=]"

SEQUENCE = r"^0[0-8][0-9]{18}$"
EPOCH = r"^(?:[0-9]{1,18}|[0-8][0-9]{18})$"
"""Both stay below 9e18, so they fit a signed 64-bit integer."""

_DAY_OF_YEAR = (
    r"[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_LEAP_DAY = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29"
SECOND = rf"(?:{_DAY_OF_YEAR}|{_LEAP_DAY})T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
"""A second that exists in the Gregorian calendar: no 30 February, no hour 24, no leap second."""

FRACTION = r"(?:\.[0-9]{1,6})?(?:Z|\+00:00)"
TIME = rf"^{SECOND}{FRACTION}$"
NOT_IN_TIME = r"[^0-9TZ:.+-]"
YEAR_ZERO = "^0000"
