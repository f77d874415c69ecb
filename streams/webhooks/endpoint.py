"""The endpoint of a subscriber: where its deliveries go, which rows it wants, and what they are signed with."""

from __future__ import annotations

import base64
import re
import secrets
from enum import StrEnum
from typing import NewType

import httpx
import msgspec
from msgspec import UNSET, UnsetType

from schemas.event import Micros
from streams.feed import Filter
from streams.webhooks.guard import Allowed, literal, plain, public

WebhookId = NewType("WebhookId", str)

LONGEST_URL = 2_048
LONGEST_DESCRIPTION = 500
LONGEST_FILTER = 16_384
HIGHEST_PORT = 65_535
SECRET_BYTES = 32
ODD = re.compile(r"[\x00-\x20\x7f\\]")
"""Characters that readers of URLs disagree on."""
HOST = re.compile(r"(?=.{1,253}$)([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
"""A name of the DNS, or an IPv6 address without a zone."""
NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


class Format(StrEnum):
    STANDARD = "standard"
    """An event of Standard Webhooks."""
    ALERTMANAGER = "alertmanager"
    """The body of Prometheus Alertmanager's webhooks, version 4; of alarms only."""


class Draft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What a new webhook is made from."""

    url: str
    description: str = ""
    filter: Filter = Filter()
    format: Format = Format.STANDARD


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What of a webhook is to be another."""

    url: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    filter: Filter | UnsetType = UNSET
    format: Format | UnsetType = UNSET


class Webhook(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """As anybody may see it; its secrets are kept beside it. A disabled one gets nothing until it is enabled again."""

    id: WebhookId
    url: str
    description: str = ""
    filter: Filter = Filter()
    format: Format = Format.STANDARD
    created_at: str
    enabled: bool = True
    disabled_reason: str | None = None


class Secret(msgspec.Struct, frozen=True):
    """What deliveries are signed with; until a time, if it has been replaced."""

    value: str
    until: Micros | None = None

    def __repr__(self) -> str:
        return f"Secret(until={self.until})"


class InvalidWebhookError(ValueError):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


def new_secret() -> Secret:
    return Secret("whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode())


def check(draft: Draft | Webhook, allowed: Allowed) -> None:
    """Raises InvalidWebhookError, which names the field but never repeats a URL: there may be a password in it."""
    if len(draft.description) > LONGEST_DESCRIPTION:
        raise InvalidWebhookError("description", f"longer than {LONGEST_DESCRIPTION} characters")
    if len(msgspec.json.encode(draft.filter)) > LONGEST_FILTER:
        raise InvalidWebhookError("filter", f"longer than {LONGEST_FILTER} bytes")
    if reason := _wrong(draft.url, allowed):
        raise InvalidWebhookError("url", reason)


def _wrong(text: str, allowed: Allowed) -> str | None:
    if len(text) > LONGEST_URL:
        return f"longer than {LONGEST_URL} characters"
    if ODD.search(text):
        return "has spaces, control characters or backslashes"
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return "is no URL"
    return _wrong_parts(url) or _wrong_host(url, allowed)


def _wrong_parts(url: httpx.URL) -> str | None:
    if url.scheme not in {"http", "https"}:
        return "neither https nor http"
    if url.userinfo:
        return "has a user or a password"
    if url.fragment:
        return "has a fragment"
    if url.port is not None and not 1 <= url.port <= HIGHEST_PORT:
        return "has a port that is none"
    return None if HOST.fullmatch(url.raw_host.decode("ascii")) else "has no host, or one that is no name"


def _wrong_host(url: httpx.URL, allowed: Allowed) -> str | None:
    host = url.raw_host.decode("ascii")
    address = literal(host)
    if address is None and NUMBER.fullmatch(plain(host).rpartition(".")[2]):
        return "has an IPv4 address in a form that is not a.b.c.d"
    if allowed.host(host):
        return None
    if address is not None and not public(address):
        return "has an address that is not public and not allowed"
    return None if url.scheme == "https" else "must be https: only hosts that are allowed as private may go without"
