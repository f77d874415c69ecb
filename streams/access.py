"""Who is who: keys that the service has given out, and tokens of an identity provider that it trusts.

Keys are 256 random bits, so a plain digest of them at rest is as safe as a slow one (there is nothing to guess) and costs
microseconds at each request. Used by the API's gate and by the command line.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import jwt
import msgspec

from streams.database import Database
from streams.roles import Role
from streams.settings import Settings

PREFIX = "oag"
LEEWAY = 30
"""Seconds by which clocks may differ."""
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures by a private key alone: a shared secret, or none at all, proves nothing about an issuer."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS key (id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, digest BLOB NOT NULL,
    created TEXT NOT NULL, expires TEXT, revoked TEXT) WITHOUT ROWID;
"""


class Principal(msgspec.Struct, frozen=True):
    """Who asks; `name` is what alarms and actions keep as their actor."""

    name: str
    role: Role


class NotKnownError(Exception):
    """Nobody we know; the message says what is wrong, never what was shown."""


class Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What is known of a key that was given out: all but the key."""

    id: str
    name: str
    role: Role
    created: str
    expires: str | None = None
    revoked: str | None = None


class Keys:
    """The keys of one data folder."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, SCHEMA)
        path.chmod(0o600)

    def add(self, name: str, role: Role, *, expires: datetime | None = None) -> str:
        """Give out a key; this is the only time that it is told."""
        number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        row = (number, name, role, _digest(secret), _now(), None if expires is None else _text(expires))
        insert = "INSERT INTO key (id, name, role, digest, created, expires) VALUES (?, ?, ?, ?, ?, ?)"
        self._database.transact(lambda connection: connection.execute(insert, row))
        return f"{PREFIX}_{number}_{secret}"

    def revoke(self, number: str) -> bool:
        """Whether there was such a key that counted."""
        update = "UPDATE key SET revoked = ? WHERE id = ? AND revoked IS NULL"
        return self._database.transact(lambda connection: connection.execute(update, (_now(), number)).rowcount) > 0

    def every(self) -> list[Key]:
        query = "SELECT id, name, role, created, expires, revoked FROM key ORDER BY created, id"
        return [_key(row) for row in self._database.read(lambda connection: connection.execute(query).fetchall())]

    def known(self, text: str) -> Principal:
        """Whose key this is. Raises NotKnownError."""
        prefix, _, rest = text.partition("_")
        number, _, secret = rest.partition("_")
        query = "SELECT id, name, role, created, expires, revoked, digest FROM key WHERE id = ?"
        row = self._database.read(lambda connection: connection.execute(query, (number,)).fetchone())
        if prefix != PREFIX or row is None or not hmac.compare_digest(row[6], _digest(secret)):
            raise NotKnownError("no such key")
        key = _key(row)
        if key.revoked is not None:
            raise NotKnownError(f"key {key.id} was revoked")
        if key.expires is not None and key.expires <= _now():
            raise NotKnownError(f"key {key.id} has expired")
        return Principal(key.name, key.role)

    def close(self) -> None:
        self._database.close()


class Tokens:
    """Tokens (JWT) of one issuer. Its keys come from a file, an address, or the issuer's own discovery document."""

    def __init__(self, *, issuer: str, audience: str, keys: str | None, claim: str, roles: Mapping[str, Role]) -> None:
        self._issuer = issuer
        self._audience = audience
        self._claim = claim
        self._roles = {role.value: role for role in Role} | dict(roles)
        self._file = Path(keys) if keys is not None and "://" not in keys else None
        self._address = keys if self._file is None else None
        self._client: jwt.PyJWKClient | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """None where no issuer is set."""
        if settings.oidc_issuer is None:
            return None
        return cls(
            issuer=settings.oidc_issuer,
            audience=settings.oidc_audience,
            keys=settings.oidc_keys,
            claim=settings.oidc_role_claim,
            roles=settings.oidc_roles,
        )

    async def known(self, text: str) -> Principal:
        """Whose token this is. Raises NotKnownError."""
        try:
            key = await asyncio.to_thread(self._key, text)
            claims = jwt.decode(
                text,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, OSError, ValueError) as error:
            raise NotKnownError(f"the token is not valid: {type(error).__name__}") from error
        role = self._role(claims)
        if role is None:
            raise NotKnownError(f"the token's claim {self._claim} names no role")
        return Principal(str(claims.get("preferred_username") or claims["sub"])[:128], role)

    def _key(self, text: str) -> Any:
        if self._file is not None:
            held = jwt.PyJWKSet.from_dict(json.loads(self._file.read_text(encoding="utf-8")))
            return held[str(jwt.get_unverified_header(text).get("kid"))].key
        if self._client is None:
            self._client = jwt.PyJWKClient(self._address or self._discovered(), timeout=5)
        return self._client.get_signing_key_from_jwt(text).key

    def _discovered(self) -> str:
        import httpx  # noqa: PLC0415 - only where an issuer is asked

        answer = httpx.get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration", timeout=5)
        return str(answer.raise_for_status().json()["jwks_uri"])

    def _role(self, claims: Mapping[str, Any]) -> Role | None:
        """The highest of those that the claim names."""
        held: Any = claims
        for part in self._claim.split("."):
            held = held.get(part) if isinstance(held, Mapping) else None
        names = [held] if isinstance(held, str) else held if isinstance(held, list) else []
        found = [self._roles[name] for name in names if isinstance(name, str) and name in self._roles]
        return max(found, key=list(Role).index, default=None)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _now() -> str:
    return _text(datetime.now(UTC))


def _key(row: sqlite3.Row | tuple[Any, ...]) -> Key:
    number, name, role, created, expires, revoked = row[:6]
    return Key(id=number, name=name, role=Role(role), created=created, expires=expires, revoked=revoked)
