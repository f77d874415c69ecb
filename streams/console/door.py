"""Who may see the console: whoever has a session; others are led to a plain page that asks for a key.

It stands before all that NiceGUI serves, its socket too, so neither pages nor what is sent to them reach anybody without one.
Nothing is loaded from elsewhere, which the policy in each answer makes the browser see to.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files
from urllib.parse import parse_qs, quote

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.access import NotKnownError, Principal
from streams.api.gate import COOKIE, LOCAL, LONGEST, SESSION, Gate

POLICY = (
    "default-src 'self'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; "  # Vue makes functions of its templates
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SOCKET = "/_nicegui_ws"


def visitor(gate: Gate, connection: HTTPConnection) -> Principal | None:
    """Whose browser this is."""
    return gate.session(connection.cookies.get(COOKIE, "")) or (LOCAL if gate.open else None)


class Door:
    """Lets those with a session through to the console."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        if visitor(self._gate, connection) is not None:
            await self._app(scope, receive, _guarded(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif connection.url.path.startswith(SOCKET):
            await PlainTextResponse("a session is needed", 401)(scope, receive, send)
        else:
            query = f"?{connection.url.query}" if connection.url.query else ""
            target = quote(f"{connection.url.path}{query}", safe="")
            await RedirectResponse(f"/login?next={target}", 303)(scope, receive, send)


def _guarded(send: Send) -> Send:
    async def guarding(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["content-security-policy"] = POLICY
        await send(message)

    return guarding


class Login:
    """The pages that begin and end a session; made without NiceGUI, whose socket is closed to those who have none."""

    def __init__(self, gate: Gate, site: str) -> None:
        self._gate = gate
        self._site = site
        self._form = files("streams.console").joinpath("static/login.html").read_text(encoding="utf-8")

    async def ask(self, request: Request) -> Response:
        """The form; whoever has a session is led on."""
        target = _local(request.query_params.get("next", "/"))
        if visitor(self._gate, request) is not None:
            return RedirectResponse(target, 303)
        return self._page(target)

    async def begin(self, request: Request) -> Response:
        """A session for a key that is known."""
        given = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=8)
        key, target = given.get("key", [""])[0].strip(), _local(given.get("next", ["/"])[0])
        try:
            principal = await self._gate.known(key)
        except NotKnownError as error:
            return self._page(target, problem=f"That does not open the console: {error}.", status=401)
        answer = RedirectResponse(target, 303)
        secure = request.url.scheme == "https"
        secret = self._gate.begin(principal)
        answer.set_cookie(COOKIE, secret, max_age=int(SESSION), httponly=True, samesite="strict", secure=secure)
        return answer

    async def end(self, request: Request) -> Response:
        self._gate.end(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE)
        return answer

    def _page(self, target: str, *, problem: str = "", status: int = 200) -> Response:
        text = self._form
        for name, value in (("site", self._site), ("next", target), ("problem", problem), ("longest", str(LONGEST))):
            text = text.replace(f"[[{name}]]", escape(value))
        policy = POLICY.replace(" 'unsafe-eval'", "")
        return HTMLResponse(text, status, headers={"content-security-policy": policy, "cache-control": "no-store"})


def _local(target: str) -> str:
    r"""A path of this host, so that nobody is led elsewhere.

    >>> [_local(target) for target in ("/alarms?x=1", "//evil.example", "https://evil.example", "/\\evil.example")]
    ['/alarms?x=1', '/', '/', '/']
    """
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable() else "/"
