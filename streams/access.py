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
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
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
FITTING = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",)}
"""Which algorithms a type of key is for."""
PATIENCE = 5.0
"""Seconds that an issuer has to say its keys."""
AGAIN = 30.0
"""Seconds within which an issuer is asked no more than once, whatever it answered."""
FRESH = 300.0
"""Seconds after which an issuer's keys are asked for again."""
STALE = 3_600.0
"""Seconds for which they count where the issuer is away."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS key (id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, digest BLOB NOT NULL,
    created TEXT NOT NULL, expires TEXT, revoked TEXT) WITHOUT ROWID;
"""


class Principal(msgspec.Struct, frozen=True):
    """Who asks; `name` is what alarms and actions keep as their actor. `key`: the id of the key that was shown, if one was."""

    name: str
    role: Role
    key: str | None = None


class NotKnownError(Exception):
    """Nobody we know; the message says what is wrong, never what was shown."""


class IssuerAwayError(NotKnownError):
    """Who that is cannot be known now, as the issuer does not say its keys."""


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
        return Principal(key.name, key.role, key.id)

    def counts(self, number: str) -> bool:
        """Whether the key of this id is neither revoked nor expired."""
        query = "SELECT 1 FROM key WHERE id = ? AND revoked IS NULL AND (expires IS NULL OR expires > ?)"
        return self._database.read(lambda connection: connection.execute(query, (number, _now())).fetchone()) is not None

    def close(self) -> None:
        self._database.close()


class Tokens:
    """Tokens (JWT) of one issuer. Its keys come from a file, an address, or the issuer's own discovery document."""

    def __init__(self, *, issuer: str, audience: str, keys: str | None, claim: str, roles: Mapping[str, Role]) -> None:
        self._issuer = issuer
        self._audience = audience
        self._claim = claim
        self._roles = {role.value: role for role in Role} | dict(roles)
        self._source = keys
        self._issuers = IssuerKeys(self._fetched)

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
        """Whose token this is. Raises NotKnownError, and of its kinds IssuerAwayError."""
        try:
            claims = await self._claims(text)
        except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
            raise NotKnownError(f"the token is not valid: {type(error).__name__}") from error
        role = self._role(claims)
        if role is None:
            raise NotKnownError(f"the token's claim {self._claim} names no role")
        return Principal(str(claims.get("preferred_username") or claims["sub"])[:128], role)

    def close(self) -> None:
        self._issuers.close()

    async def _claims(self, text: str) -> Mapping[str, Any]:
        header = jwt.get_unverified_header(text)
        algorithm, number = str(header.get("alg")), header.get("kid")
        if algorithm not in ALGORITHMS or not isinstance(number, str):
            raise NotKnownError("the token is not valid: it is not signed by a key with a name")
        key = await self._issuers.key(number)
        if not algorithm.startswith(FITTING.get(str(key.key_type), ())):
            raise NotKnownError("the token is not valid: its algorithm is not that of its key")
        claims: Mapping[str, Any] = jwt.decode(
            text,
            key.key,
            algorithms=[algorithm],
            audience=self._audience,
            issuer=self._issuer,
            leeway=LEEWAY,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        return claims

    def _fetched(self) -> jwt.PyJWKSet:
        """Blocks. Raises OSError, ValueError, KeyError, TypeError, jwt.PyJWTError, httpx.HTTPError, httpx.InvalidURL."""
        if self._source is None:
            about = _got(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            return jwt.PyJWKSet.from_dict(_got(str(about["jwks_uri"])))
        if "://" in self._source:
            return jwt.PyJWKSet.from_dict(_got(self._source))
        return jwt.PyJWKSet.from_dict(json.loads(Path(self._source).read_text(encoding="utf-8")))

    def _role(self, claims: Mapping[str, Any]) -> Role | None:
        """The highest of those that the claim names."""
        held: Any = claims
        for part in self._claim.split("."):
            held = held.get(part) if isinstance(held, Mapping) else None
        names = [held] if isinstance(held, str) else held if isinstance(held, list) else []
        found = [self._roles[name] for name in names if isinstance(name, str) and name in self._roles]
        return max(found, key=list(Role).index, default=None)


class IssuerKeys:
    """The public keys of an issuer by their names, as `fetch` has them.

    Whoever sends tokens must not be able to hold up anything else: there is one thread for asking, which nobody else uses, and
    it asks once in a while however many unknown keys are named.
    """

    def __init__(self, fetch: Callable[[], jwt.PyJWKSet]) -> None:
        self._fetch = fetch
        self._thread = ThreadPoolExecutor(1, "issuer")
        self._asking = asyncio.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._known_at = self._asked_at = -STALE
        self._failure: str | None = None

    async def key(self, number: str) -> jwt.PyJWK:
        """Raises NotKnownError, IssuerAwayError."""
        if number not in self._keys or _since(self._known_at) > FRESH:
            async with self._asking:
                if _since(self._asked_at) > AGAIN:
                    await self._ask()
        found = self._keys.get(number) if _since(self._known_at) < STALE else None
        if found is not None:
            return found
        if self._failure is not None:
            raise IssuerAwayError(f"the issuer of tokens does not say its keys: {self._failure}")
        raise NotKnownError("the token is not valid: its key is none of the issuer's")

    async def _ask(self) -> None:
        self._asked_at, self._failure = time.monotonic(), "it takes too long"
        try:
            # What comes later than this is taken when it comes.
            await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._thread, self._learn), PATIENCE)
        except TimeoutError:
            return

    def _learn(self) -> None:
        import httpx  # noqa: PLC0415 - only where an issuer is asked

        try:
            keys = {str(key.key_id): key for key in self._fetch().keys if key.key_id is not None}
        except (OSError, ValueError, LookupError, TypeError, jwt.PyJWTError, httpx.HTTPError, httpx.InvalidURL) as error:
            self._failure = type(error).__name__
        else:
            self._keys, self._known_at, self._failure = keys, time.monotonic(), None

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def _since(moment: float) -> float:
    return time.monotonic() - moment


def _got(address: str) -> Any:
    import httpx  # noqa: PLC0415 - only where an issuer is asked

    return httpx.get(address, timeout=PATIENCE).raise_for_status().json()


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _now() -> str:
    return _text(datetime.now(UTC))


def _key(row: sqlite3.Row | tuple[Any, ...]) -> Key:
    number, name, role, created, expires, revoked = row[:6]
    return Key(id=number, name=name, role=Role(role), created=created, expires=expires, revoked=revoked)
