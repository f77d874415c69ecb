"""Who may come in: keys and tokens as bearers, sessions of the console, and on a loopback address everybody, as admin."""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from schemas.action import LOCAL as NOBODY
from streams.access import IssuerAwayError, Keys, NotKnownError, Principal, Tokens
from streams.api.problems import ProblemError, answered
from streams.roles import Role
from streams.settings import Auth, Settings

COOKIE = "openautoglm_session"
SESSION = 12 * 3600.0
MOST_SESSIONS = 10_000
LOCAL = Principal(NOBODY, Role.ADMIN)
LONGEST = 8_192
"""Characters of a token: longer ones are refused unread."""
SAFE = {"GET", "HEAD", "OPTIONS"}


class Bearer(HTTPBearer):
    """For the document alone: `needs` reads the header, and the framework's own would cost a thread for each request."""

    async def __call__(self, request: HTTPConnection) -> None:
        del request


bearer = Bearer(auto_error=False, description="A key of `openautoglm key add`, or a token of the identity provider.")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Gate:
    """`open` where nobody must say who they are."""

    def __init__(self, settings: Settings, keys: Keys, tokens: Tokens | None) -> None:
        self.is_local = is_loopback(settings.api_bind)
        self.open = settings.api_auth is Auth.OFF or (settings.api_auth is Auth.AUTO and self.is_local)
        self._keys = keys
        self._tokens = tokens
        self._sessions: OrderedDict[str, tuple[Principal, float]] = OrderedDict()
        self.hosts = {"localhost", "127.0.0.1", "[::1]", settings.api_bind, *settings.api_hosts}

    async def known(self, text: str) -> Principal:
        """Whose key or token this is. Raises NotKnownError."""
        if len(text) > LONGEST or not text.isascii():
            raise NotKnownError("neither a key nor a token")
        if text.count(".") == 2:  # noqa: PLR2004 - the parts of a JWT
            if self._tokens is None:
                raise NotKnownError("tokens are not taken here: no issuer is set")
            return await self._tokens.known(text)
        return self._keys.known(text)

    async def principal(self, connection: HTTPConnection) -> Principal | None:
        """Who comes with a request; None if they do not say. Raises NotKnownError."""
        scheme, _, text = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self.known(text.strip())
        if scheme:
            raise NotKnownError("say who you are with a bearer key or token")
        return self.session(connection.cookies.get(COOKIE, "")) or (LOCAL if self.open else None)

    async def admits(self, connection: HTTPConnection) -> bool:
        """Whether who came with a request, and stays, is still known."""
        try:
            return await self.principal(connection) is not None
        except IssuerAwayError:
            return True
        except NotKnownError:
            return False

    # --- Sessions of the console ------------------------------------------------------------------------------------------

    def begin(self, principal: Principal) -> str:
        """A session's secret, for a cookie. It is gone with the process, and with the key that it was begun with."""
        secret = secrets.token_urlsafe(32)
        self._sessions[secret] = (principal, time.monotonic() + SESSION)
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return secret

    def session(self, secret: str) -> Principal | None:
        principal, until = self._sessions.get(secret, (None, 0.0))
        if principal is None or until < time.monotonic() or not (principal.key is None or self._keys.counts(principal.key)):
            self._sessions.pop(secret, None)
            return None
        return principal

    def end(self, secret: str) -> None:
        self._sessions.pop(secret, None)


class FrontDoor:
    """Before all else: nobody is led here by a page of another site, and nobody sends more than there is room for.

    Where nobody must say who they are, a web page elsewhere could make a browser on this machine ask; so the host asked for
    must be ours (against DNS rebinding), and what changes anything must not come from another origin.
    """

    def __init__(self, app: ASGIApp, gate: Gate, most: int) -> None:
        self._app = app
        self._gate = gate
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope, Headers(scope=scope))
        if refusal is None:
            await self._app(scope, _bounded(receive, self._most), _covered(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answered(*refusal)(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        name = host.rsplit(":", 1)[0] if host.rsplit(":", 1)[-1].isdigit() else host
        if self._gate.open and name not in self._gate.hosts:
            return 421, f"this service is not {name[:128]!r}; setting api_hosts names other hosts"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length[:20]) > self._most:
            return 413, f"a request holds at most {self._most} bytes"
        origin = headers.get("origin")
        foreign = origin is not None and origin.partition("://")[2] != host
        if foreign and (scope["type"] == "websocket" or scope["method"] not in SAFE):
            return 403, "the request comes from a page of another site"
        return None


def _bounded(receive: Receive, most: int) -> Receive:
    """For bodies that do not say how long they are."""
    size = 0

    async def counting() -> Any:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            raise HTTPException(413, f"a request holds at most {most} bytes")
        return message

    return counting


def _covered(send: Send) -> Send:
    async def covering(message: Any) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                *message.get("headers", []),
                (b"x-content-type-options", b"nosniff"),
                (b"x-frame-options", b"DENY"),
                (b"referrer-policy", b"no-referrer"),
            ]
        await send(message)

    return covering


def needs(role: Role) -> Callable[..., Any]:
    """A dependency: who asks, if they may. Raises ProblemError."""

    async def permitted(request: Request, _: Annotated[object, Depends(bearer)]) -> Principal:
        try:
            principal: Principal | None = await request.app.state.gate.principal(request)
        except IssuerAwayError as error:
            raise ProblemError(503, str(error)) from error
        except NotKnownError as error:
            raise _who(str(error)) from error
        if principal is None:
            raise _who("a key or a token is needed")
        if not principal.role.may(role):
            raise ProblemError(403, f"this needs the role {role}; {principal.name} is {principal.role}")
        request.state.principal = principal
        return principal

    return permitted


def _who(detail: str) -> ProblemError:
    return ProblemError(401, detail, headers={"www-authenticate": 'Bearer realm="openautoglm"'})


Viewer = Annotated[Principal, Depends(needs(Role.VIEWER))]
Operator = Annotated[Principal, Depends(needs(Role.OPERATOR))]
Engineer = Annotated[Principal, Depends(needs(Role.ENGINEER))]
Admin = Annotated[Principal, Depends(needs(Role.ADMIN))]
