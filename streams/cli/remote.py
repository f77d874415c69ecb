"""A running service, asked by HTTP; the one file of the command line that knows how."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from agents.dispatcher import Outcome
from graph.questions import Changed
from schemas.action import Progress
from schemas.alarm import Kpis, Transition, Verb
from schemas.device import DeviceId, Relation
from schemas.event import Micros, rfc3339
from schemas.finding import Fault
from streams.answers import AlarmDetail, Page, ReachNow, Route, TopologyNow
from streams.cli.rooms import AwayError, RoomError, Wanted
from streams.cli.terminal import Exit
from streams.runview import Instructed, RunBrief, RunNow
from streams.settings import Settings

Found = TypeVar("Found")
PAGE = 1_000
MOST = 10_000
"""Devices of one answer of the service."""
PATIENCE = httpx.Timeout(60.0, connect=10.0)
SILENCE = 45.0
"""Seconds without a byte after which a stream is dead: a service says every 15 that it is there."""
LARGEST_FRAME = 64 * 1024 * 1024
SERVER_ERRORS = 500
AT_THE_END = 1 << 62
"""A number that no service has reached: it answers with the newest that it has, so that nothing after it is missed."""


class _Problem(msgspec.Struct):
    """As `streams.api.problems` writes it."""

    title: str = ""
    detail: str = ""
    errors: list[dict[str, str]] = []


class Sent(NamedTuple):
    """A server-sent event. `number` is where to go on after it; `kind` is empty for one that only says that."""

    number: int | None
    kind: str
    body: bytes


@contextmanager
def opened(address: str, settings: Settings) -> Iterator[Remote]:
    """A connection with the key that is set. Raises RoomError."""
    if not address.startswith(("http://", "https://")):
        raise RoomError(f"setting api_url: {address}: must begin with http:// or https://")
    key = settings.api_key
    headers = {} if key is None else {"authorization": f"Bearer {key.get_secret_value()}"}
    try:
        # The system's authorities, as a plant often has its own; no proxies: settings alone say where we go.
        context = ssl.create_default_context()
        client = httpx.Client(base_url=address, headers=headers, timeout=PATIENCE, verify=context, trust_env=False)
    except (ValueError, httpx.InvalidURL) as error:
        # The value of a wrong header is in its error, and here that would be the key.
        what = f"setting api_url: {address}" if isinstance(error, httpx.InvalidURL) else "setting api_key: not one"
        raise RoomError(what) from None
    with client:
        yield Remote(client)


class Remote:
    """`streams.cli.rooms.Room` of a service."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    # --- Alarms and faults ------------------------------------------------------------------------------------------------

    def alarms(self, wanted: Wanted) -> list[AlarmDetail]:
        query = {"device": wanted.device, "severity": wanted.severity, "state": wanted.states}
        return self._pages("/v1/alarms", AlarmDetail, **query, annunciated=wanted.annunciated)

    def alarm(self, name: str) -> AlarmDetail:
        return self._got(f"/v1/alarms/{_part(name)}", AlarmDetail)

    def transitions(self, name: str) -> list[Transition]:
        return self._pages(f"/v1/alarms/{_part(name)}/transitions", Transition)

    def act(self, verb: Verb, name: str, *, reason: str, until: str | None) -> AlarmDetail:
        return self._posted(f"/v1/alarms/{_part(name)}/{verb}", AlarmDetail, reason=reason, until=until)

    def kpis(self, start: Micros | None, end: Micros | None) -> Kpis:
        return self._got("/v1/kpis", Kpis, start=_text(start), end=_text(end))

    def faults(self) -> list[Fault]:
        return self._pages("/v1/faults", Fault)

    def fault(self, fault_id: str, at: Micros | None) -> Fault:
        return self._got(f"/v1/faults/{_part(fault_id)}", Fault, at=_text(at))

    # --- Actions ----------------------------------------------------------------------------------------------------------

    def actions(self) -> list[Progress]:
        return self._pages("/v1/actions", Progress)

    def approve(self, action_id: str) -> Progress:
        return self._posted(f"/v1/actions/{_part(action_id)}/approve", Progress)

    def reject(self, action_id: str, reason: str) -> Progress:
        return self._posted(f"/v1/actions/{_part(action_id)}/reject", Progress, reason=reason)

    def resolve(self, action_id: str, outcome: Outcome, note: str) -> Progress:
        return self._posted(f"/v1/actions/{_part(action_id)}/resolve", Progress, outcome=outcome, note=note)

    def undo(self, action_id: str) -> Progress:
        return self._posted(f"/v1/actions/{_part(action_id)}/undo", Progress)

    # --- Instructions -----------------------------------------------------------------------------------------------------

    def instruct(self, text: str, *, dry: bool) -> Instructed:
        return self._posted("/v1/instructions", Instructed, text=text, dry=dry)

    def start_run(self, run_id: str, digest: str) -> RunNow:
        return self._posted(f"/v1/instructions/{_part(run_id)}/start", RunNow, digest=digest)

    def cancel_run(self, run_id: str) -> RunNow:
        return self._posted(f"/v1/instructions/{_part(run_id)}/cancel", RunNow)

    def run(self, run_id: str) -> RunNow:
        return self._got(f"/v1/instructions/{_part(run_id)}", RunNow)

    def runs(self) -> list[RunBrief]:
        return self._pages("/v1/instructions", RunBrief)

    def run_file(self, run_id: str, name: str) -> bytes:
        with self._reaching():
            response = self._client.get(f"/v1/instructions/{_part(run_id)}/files/{_part(name)}")
            _check(response)
            return response.content

    # --- The plant --------------------------------------------------------------------------------------------------------

    def topology(self, around: DeviceId | None, *, hops: int, at: Micros | None, limit: int) -> TopologyNow:
        query = {"device": around, "hops": hops, "at": _text(at), "limit": min(limit, MOST)}
        return self._got("/v1/topology", TopologyNow, **query)

    def neighbours(
        self, device: DeviceId, *, hops: int, relations: Collection[Relation], at: Micros | None, limit: int
    ) -> ReachNow:
        query = {"device": device, "hops": hops, "relation": list(relations), "at": _text(at), "limit": min(limit, MOST)}
        return self._got("/v1/neighbours", ReachNow, **query)

    def impact(self, device: DeviceId, *, hops: int | None, at: Micros | None, limit: int) -> ReachNow:
        query = {"device": device, "hops": hops, "at": _text(at), "limit": min(limit, MOST)}
        return self._got("/v1/impact", ReachNow, **query)

    def route(self, source: DeviceId, target: DeviceId, *, onward: bool, at: Micros | None) -> Route:
        return self._got("/v1/route", Route, source=source, target=target, any_edge=not onward, at=_text(at))

    def changed(self, after: Micros, until: Micros, *, limit: int) -> Changed:
        return self._got("/v1/changes", Changed, after=_text(after), until=_text(until), limit=min(limit, MOST))

    # --- Events -----------------------------------------------------------------------------------------------------------

    def follow(self, after: int, **query: object) -> Iterator[Sent]:
        """Events behind a number, as they come. Raises AwayError when the stream breaks off, which is its only end."""
        timeout = httpx.Timeout(SILENCE, connect=10.0)
        headers = {"last-event-id": str(after), "accept": "text/event-stream"}
        with (
            self._reaching(),
            self._client.stream("GET", "/v1/events", params=_given(query), headers=headers, timeout=timeout) as response,
        ):
            if not response.is_success:
                response.read()
            _check(response)
            yield from map(_sent, _frames(response.iter_bytes()))
            raise AwayError(f"{self._client.base_url}: the service has ended the stream")

    # --- How --------------------------------------------------------------------------------------------------------------

    def _pages(self, path: str, of: type[Found], **query: object) -> list[Found]:
        found: list[Found] = []
        cursor: str | None = None
        while True:
            page = self._got(path, Page[of], limit=PAGE, cursor=cursor, **query)  # type: ignore[valid-type]
            found += page.items
            if page.next is None:
                return found
            cursor = page.next

    def _got(self, path: str, of: type[Found], **query: object) -> Found:
        with self._reaching():
            return _answer(self._client.get(path, params=_given(query)), of)

    def _posted(self, path: str, of: type[Found], **body: object) -> Found:
        with self._reaching():
            return _answer(self._client.post(path, json=_given(body)), of)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (httpx.TransportError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise AwayError(f"no service at {self._client.base_url} (setting api_url, or --data): {why}") from error


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _part(name: str) -> str:
    """Of a path, whatever it holds."""
    return quote(name, safe="").replace(".", "%2E") if name else "%00"


def _text(at: Micros | None) -> str | None:
    return None if at is None else rfc3339(at)


def _answer(response: httpx.Response, of: type[Found]) -> Found:
    _check(response)
    try:
        return msgspec.json.decode(response.content, type=of)
    except msgspec.MsgspecError as error:
        raise RoomError(f"{response.url}: not an answer of this version of the service: {error}", Exit.UNREADABLE) from error


def _check(response: httpx.Response) -> None:
    """Raises RoomError."""
    if response.is_success:
        return
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except msgspec.MsgspecError:
        problem = _Problem()
    parts = [problem.title or f"status {response.status_code}", problem.detail or f"{response.url} answers no problem document"]
    parts += [f"{found.get('pointer', '')} {found.get('detail', '')}" for found in problem.errors]
    message = ": ".join(parts)
    if response.status_code == httpx.codes.UNAUTHORIZED:
        message += " (setting api_key)"
    if response.status_code >= SERVER_ERRORS:
        raise AwayError(message)
    raise RoomError(message)


def _frames(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Events of a stream. By line feeds alone: data may hold what else counts as the end of a line."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while (end := held.find(b"\n\n")) >= 0:
            yield bytes(held[:end])
            del held[: end + 2]
        if len(held) > LARGEST_FRAME:
            raise RoomError("an event without an end: this is no service of ours", Exit.UNREADABLE)


def _sent(frame: bytes) -> Sent:
    r"""An event in the form in which the service writes it.

    >>> _sent(b"id: 7\nevent: alarms\ndata: {}"), _sent(b": alive\nid: 8")
    (Sent(number=7, kind='alarms', body=b'{}'), Sent(number=8, kind='', body=b''))
    """
    fields = {name: value.removeprefix(b" ") for line in frame.split(b"\n") for name, _, value in [line.partition(b":")]}
    number = fields.get(b"id", b"")
    return Sent(int(number) if number.isdigit() else None, fields.get(b"event", b"").decode(), fields.get(b"data", b""))
