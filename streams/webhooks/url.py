"""URLs of webhooks: what may be one, and how they are read."""

from __future__ import annotations

import re

import httpx

from streams.webhooks.guard import Allowed, literal, plain, public

LONGEST_URL = 2_048
HIGHEST_PORT = 65_535
ODD = re.compile(r"[\x00-\x20\x7f\\]")
"""Characters that readers of URLs disagree on."""
HOST = re.compile(r"(?=.{1,253}$)([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
"""A name of the DNS, or an IPv6 address without a zone."""
NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


def parsed(text: str) -> httpx.URL:
    """As the sender reads it, so that nothing is checked as one thing and used as another."""
    return httpx.URL(text)


def wrong(text: str, allowed: Allowed) -> str | None:
    """Why this may not be a webhook's; it never repeats the URL, in which there may be a password."""
    if len(text) > LONGEST_URL:
        return f"longer than {LONGEST_URL} characters"
    if ODD.search(text):
        return "has spaces, control characters or backslashes"
    try:
        url = parsed(text)
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
