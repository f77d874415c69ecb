"""Who may do what: each role on each route of the document, keys, tokens, and pages of other sites."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from schemas.finding import Alert
from streams.access import Keys, NotKnownError, Principal, Tokens
from streams.findings import Kind
from streams.folder import Folder
from streams.roles import Role
from tests.streams.api.serving import PUMP, Served, served
from tests.waiting import HUNG, until

OPEN = {("get", "/health"), ("get", "/ready")}
VIEWER = {
    ("get", path)
    for path in (
        *("/metrics", "/v1/overview", "/v1/devices", "/v1/devices/{device_id}", "/v1/signals", "/v1/trace", "/v1/topology"),
        *("/v1/neighbours", "/v1/impact", "/v1/route", "/v1/changes", "/v1/alarms", "/v1/alarms/{alarm_id}", "/v1/faults"),
        *("/v1/alarms/{alarm_id}/transitions", "/v1/faults/{fault_id}", "/v1/faults/{fault_id}/history", "/v1/flood"),
        *("/v1/kpis", "/v1/actions", "/v1/actions/{action_id}", "/v1/deadletters", "/v1/events", "/v1/instructions"),
        *(f"/v1/instructions/{{run_id}}{more}" for more in ("", "/trace", "/tasks/{key}", "/files/{name}")),
    )
} | {("post", f"/v1/instructions{more}") for more in ("", "/{run_id}/start", "/{run_id}/cancel")}
"""Planning and trying dry is for everybody; who may run what is tried in test_instructions.py."""
OPERATOR = {
    ("post", path)
    for path in (
        *(f"/v1/alarms/{{alarm_id}}/{verb}" for verb in ("acknowledge", "reset", "shelve", "unshelve")),
        *(f"/v1/actions/{{action_id}}/{verb}" for verb in ("approve", "reject", "resolve", "undo")),
    )
}
ENGINEER = {
    ("post", path)
    for path in (
        "/v1/deadletters/{number}/replay",
        *(f"/v1/alarms/{{alarm_id}}/{verb}" for verb in ("suppress", "unsuppress", "take-out-of-service", "return-to-service")),
    )
}
ADMIN = {
    ("get", "/v1/webhooks"),
    ("post", "/v1/webhooks"),
    ("get", "/v1/webhooks/{webhook_id}"),
    ("patch", "/v1/webhooks/{webhook_id}"),
    ("delete", "/v1/webhooks/{webhook_id}"),
    ("get", "/v1/webhooks/{webhook_id}/deliveries"),
    *(("post", f"/v1/webhooks/{{webhook_id}}/{verb}") for verb in ("rotate", "enable", "disable", "test")),
    ("post", "/v1/webhooks/deliveries/{delivery_id}/replay"),
}
NEEDED = (
    dict.fromkeys(VIEWER, Role.VIEWER)
    | dict.fromkeys(OPERATOR, Role.OPERATOR)
    | dict.fromkeys(ENGINEER, Role.ENGINEER)
    | dict.fromkeys(ADMIN, Role.ADMIN)
)


@pytest.fixture
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with served(tmp_path_factory.mktemp("api")) as found:
        yield found


async def status(client: httpx.AsyncClient, method: str, path: str) -> int:
    """Of a request to something that is not there; of a stream its head alone."""
    url = path.replace("{number}", "999").replace("{", "no-").replace("}", "")
    body = {"outcome": "failed", "note": "x"} if path.endswith("/resolve") else {"reason": "x"}
    async with client.stream(method, url, json=body if method in {"post", "patch"} else None) as response:
        if response.status_code >= 400:
            await response.aread()
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["status"] == response.status_code
        return response.status_code


async def test_every_route_lets_in_whom_it_should(api: Served) -> None:
    document = (await api.client.get("/openapi.json")).json()
    described = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert described == NEEDED.keys() | OPEN
    for (method, path), needed in NEEDED.items():
        for role, client in api.clients.items():
            found = await status(client, method, path)
            if role is None:
                assert found == 401, (method, path)
            else:
                assert (found != 403) is role.may(needed), (method, path, role)
                assert found not in {401, 500}
    for method, path in OPEN:
        assert await status(api.clients[None], method, path) == 200


async def test_keys(tmp_path: Path) -> None:
    with closing(Keys(tmp_path / "access.db")) as keys:
        text = keys.add("ada", Role.OPERATOR)
        old = keys.add("old", Role.ADMIN, expires=datetime.now(UTC) - timedelta(seconds=1))
        (number,) = (key.id for key in keys.every() if key.name == "ada")
        assert keys.known(text) == Principal("ada", Role.OPERATOR, number)
        for wrong in (text[:-1], text + "x", "", "oag__", "oag_" + "0" * 12 + "_x", old, text.replace("oag", "gao")):
            with pytest.raises(NotKnownError):
                keys.known(wrong)
        assert keys.revoke(keys.every()[0].id) or keys.revoke(keys.every()[1].id)
        stored = (tmp_path / "access.db").read_bytes() + (tmp_path / "access.db-wal").read_bytes()
        assert text.split("_", 2)[2].encode() not in stored
    assert (tmp_path / "access.db").stat().st_mode & 0o77 == 0


def revoke(data: Path, role: Role) -> None:
    """As the command line does, in a connection of its own."""
    with closing(Keys(Folder(data).access)) as keys:
        (number,) = (key.id for key in keys.every() if key.name == role)
        assert keys.revoke(number)


async def test_a_revoked_key_counts_no_more_at_once(tmp_path: Path) -> None:
    async with served(tmp_path) as api:
        viewer = api.clients[Role.VIEWER]
        assert (await viewer.get("/v1/alarms")).status_code == 200
        revoke(tmp_path, Role.VIEWER)
        assert (await viewer.get("/v1/alarms")).status_code == 401
        assert (await api.clients[Role.OPERATOR].get("/v1/alarms")).status_code == 200


@pytest.mark.parametrize("flowing", [False, True])
async def test_a_revoked_key_ends_its_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, flowing: bool) -> None:
    monkeypatch.setattr("streams.api.events.QUIET", 0.2)
    async with served(tmp_path) as api:
        await api.alarm()
        (alert,) = [msgspec.json.decode(body, type=Alert) for body in api.parts.store.newest(Kind.ALERTS)[-1:]]

        async def flow() -> None:
            for number in itertools.count():
                await api.parts.store.save([msgspec.structs.replace(alert, alert_id=f"x-{number}")], [])
                await asyncio.sleep(0.02)

        task = asyncio.ensure_future(flow() if flowing else asyncio.sleep(0))
        async with asyncio.timeout(HUNG), api.clients[Role.VIEWER].stream("GET", "/v1/events") as response:
            lines = response.aiter_lines()
            await anext(lines)
            revoke(tmp_path, Role.VIEWER)
            async for _ in lines:
                pass
        task.cancel()


async def test_a_revoked_key_ends_its_sessions(tmp_path: Path) -> None:
    async with served(tmp_path, console=True) as api:
        browser, shown = api.clients[None], api.clients[Role.VIEWER].headers["authorization"].removeprefix("Bearer ")
        assert (await browser.post("/login", data={"key": shown})).status_code == 303
        assert (await browser.get("/v1/alarms")).status_code == 200
        revoke(tmp_path, Role.VIEWER)
        assert (await browser.get("/v1/alarms")).status_code == 401


async def test_wrong_credentials_are_refused_and_not_repeated(api: Served) -> None:
    for value in ("Bearer nope", "Basic dXNlcjpwYXNz", "Bearer a.b.c", "Bearer " + "x" * 10_000, "Bearer oag_\u00e9"):
        found = await api.clients[None].get("/v1/alarms", headers={b"authorization": value.encode("latin-1")})
        assert found.status_code == 401, value
        assert value.partition(" ")[2][:40] not in found.text
        assert found.headers["www-authenticate"].startswith("Bearer")


# --- Tokens -------------------------------------------------------------------------------------------------------------------

ISSUER = "https://login.plant.example"


@pytest.fixture(scope="module")
def private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@pytest.fixture
def jwks(private: rsa.RSAPrivateKey, tmp_path: Path) -> Path:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key()))
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [public | {"kid": "k1", "alg": "RS256", "use": "sig"}]}), encoding="utf-8")
    return path


def token(private: Any, *, algorithm: str = "RS256", key: str | None = "k1", **changed: Any) -> str:
    claims = {"iss": ISSUER, "aud": "openautoglm", "sub": "ada", "exp": time.time() + 60, "realm": {"roles": ["ops", "x"]}}
    held = {name: value for name, value in (claims | changed).items() if value is not None}
    return jwt.encode(held, private, algorithm=algorithm, headers={} if key is None else {"kid": key})


async def test_tokens_of_the_issuer(private: rsa.RSAPrivateKey, jwks: Path) -> None:
    tokens = Tokens(issuer=ISSUER, audience="openautoglm", keys=str(jwks), claim="realm.roles", roles={"ops": Role.OPERATOR})
    assert await tokens.known(token(private)) == Principal("ada", Role.OPERATOR)
    both = token(private, realm={"roles": ["ops", "admin"]}, preferred_username="Ada")
    assert await tokens.known(both) == Principal("Ada", Role.ADMIN)
    stranger = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    wrong = {
        "expired": token(private, exp=time.time() - 120),
        "another audience": token(private, aud="other"),
        "another issuer": token(private, iss="https://evil.example"),
        "no end": token(private, exp=None),
        "nobody": token(private, sub=None),
        "another key": token(stranger),
        "no role": token(private, realm={"roles": ["x"]}),
        "odd roles": token(private, realm=[1, {}]),
        "no signature": jwt.encode({"iss": ISSUER, "sub": "ada"}, None, algorithm="none", headers={"kid": "k1"}),  # type: ignore[arg-type]
        "shared secret": token("s" * 32, algorithm="HS256"),
        "unknown key": token(private, key="k2"),
        "no key": token(private, key=None),
        "a key of another kind": token(ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
        "nonsense": "a.b.c",
        "a deep header": f"{base64.urlsafe_b64encode(b'[' * 6_000).decode().rstrip('=')}.e30.e30",
    }
    for name, text in wrong.items():
        with pytest.raises(NotKnownError):
            print(name, await tokens.known(text))


async def test_a_token_opens_the_api(tmp_path: Path, private: rsa.RSAPrivateKey, jwks: Path) -> None:
    settings: dict[str, Any] = {
        "oidc_issuer": ISSUER,
        "oidc_keys": str(jwks),
        "oidc_role_claim": "realm.roles",
        "oidc_roles": {"ops": "operator"},
    }
    async with served(tmp_path / "data", **settings) as api:
        name = await api.alarm()
        headers = {"authorization": f"Bearer {token(private)}"}
        done = await api.clients[None].post(f"/v1/alarms/{name}/acknowledge", headers=headers)
        assert done.json()["alarm"]["acknowledged"] is True
        steps = (await api.client.get(f"/v1/alarms/{name}/transitions")).json()["items"]
        assert steps[-1]["actor"] == "ada"
        assert (await api.clients[None].post(f"/v1/alarms/{name}/suppress", headers=headers)).status_code == 403


@pytest.fixture
async def silent() -> AsyncIterator[Silent]:
    found = Silent()
    server = await asyncio.start_server(found.take, "127.0.0.1", 0)
    found.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    yield found
    found.hang_up()
    server.close()
    await server.wait_closed()


class Silent:
    """An issuer that takes connections and says nothing, until it hangs up."""

    def __init__(self) -> None:
        self.address = ""
        self.asked = 0
        self._over = asyncio.Event()

    async def take(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        await self._over.wait()
        writer.close()

    def hang_up(self) -> None:
        self._over.set()


async def test_an_issuer_that_says_nothing_holds_up_nobody_else(
    tmp_path: Path, private: rsa.RSAPrivateKey, silent: Silent
) -> None:
    async with served(tmp_path, oidc_issuer=ISSUER, oidc_keys=silent.address) as api:
        name = await api.alarm()
        strange = [{"authorization": f"Bearer {token(private, key=f'x{number}')}"} for number in range(20)]
        asking = [asyncio.ensure_future(api.clients[None].get("/v1/flood", headers=headers)) for headers in strange]
        await until(lambda: silent.asked > 0)
        assert (await api.client.post(f"/v1/alarms/{name}/acknowledge")).status_code == 200
        assert not any(task.done() for task in asking)
        silent.hang_up()
        answers = await asyncio.gather(*asking)
        assert {answer.status_code for answer in answers} == {503}
        assert answers[0].headers["content-type"] == "application/problem+json"
        assert (await api.clients[None].get("/v1/flood", headers=strange[0])).status_code == 503
        assert silent.asked == 1


async def test_an_issuer_is_asked_once_in_a_while_for_keys_that_it_does_not_have(
    private: rsa.RSAPrivateKey, jwks: Path
) -> None:
    served_from = jwks.read_bytes()  # noqa: ASYNC240 - a small file
    asked = 0

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {len(served_from)}\r\n\r\n"
        writer.write(head.encode() + served_from)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
        roles = {"ops": Role.OPERATOR}
        with closing(Tokens(issuer=ISSUER, audience="openautoglm", keys=address, claim="realm.roles", roles=roles)) as tokens:
            for number in range(10):
                with pytest.raises(NotKnownError, match="none of the issuer's"):
                    await tokens.known(token(private, key=f"x{number}"))
                assert (await tokens.known(token(private))).role is Role.OPERATOR
    assert asked == 1


# --- Pages of other sites -----------------------------------------------------------------------------------------------------


async def test_on_loopback_nobody_needs_a_key_but_no_other_page_gets_in(tmp_path: Path) -> None:
    async with served(tmp_path, api_auth="auto", api_hosts=["plant.example"]) as api:
        anybody, name = api.clients[None], await api.alarm()
        assert (await anybody.get("/v1/alarms")).status_code == 200
        assert (await anybody.get("/v1/alarms", headers={"host": "evil.example"})).status_code == 421
        assert (await anybody.get("/v1/alarms", headers={"host": "plant.example:80"})).status_code == 200
        path = f"/v1/alarms/{name}/acknowledge"
        assert (await anybody.post(path, headers={"origin": "https://evil.example"})).status_code == 403
        assert (await anybody.post(path, headers={"origin": "null"})).status_code == 403
        assert (await anybody.post(path, headers={"origin": str(anybody.base_url).rstrip("/")})).status_code == 200
        steps = (await anybody.get(f"/v1/alarms/{name}/transitions")).json()["items"]
        assert (steps[-1]["actor"], PUMP) == ("local", steps[-1]["alarm"]["deviceId"])
