"""The endpoint of a subscriber: where its deliveries go, which rows it wants, and what they are signed with."""

from __future__ import annotations

import base64
import secrets
from enum import StrEnum
from typing import NewType

import msgspec
from msgspec import UNSET, UnsetType

from schemas.event import Micros
from streams.feed import Filter
from streams.webhooks.guard import Allowed
from streams.webhooks.url import wrong

WebhookId = NewType("WebhookId", str)

LONGEST_DESCRIPTION = 500
LONGEST_FILTER = 16_384
SECRET_BYTES = 32


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
    if reason := wrong(draft.url, allowed):
        raise InvalidWebhookError("url", reason)
