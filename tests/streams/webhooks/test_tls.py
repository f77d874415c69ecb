"""TLS goes by the name in the URL, though the connection goes to an address."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from streams.webhooks.guard import Address, Allowed, GuardedNetwork
from streams.webhooks.sender import Message, Outcome, Sender
from tests.streams.webhooks.receiver import receiving
from tests.streams.webhooks.site import LOOPBACK, VirtualClock

HOST = "receiver.example"


class Authority(NamedTuple):
    """One that signs, and what trusts it."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.certificate.public_bytes(serialization.Encoding.PEM).decode())

    def server(self, folder: Path, host: str, asked: list[str | None]) -> ssl.SSLContext:
        """Notes which names it is asked for."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed(host, key, self.key, issuer=self.certificate.subject)
        path = folder / "server.pem"
        pem = serialization.Encoding.PEM
        path.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + certificate.public_bytes(pem)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        context.sni_callback = lambda _socket, name, _context: asked.append(name)
        return context


def authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(key, _signed("authority.example", key, key, issuer=None))


def _signed(
    name: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, *, issuer: x509.Name | None
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    return builder.sign(signer, hashes.SHA256())


async def loopback(host: str, port: int) -> list[Address]:
    return [ip_address("127.0.0.1")]


async def exchanged(
    folder: Path, *, named: str, signer: Authority, trusted: Authority
) -> tuple[Outcome, list[str | None], int]:
    """What came of a delivery to a server whose certificate has a name; which name it was asked for, what it was sent."""
    asked: list[str | None] = []
    sender = Sender(GuardedNetwork(loopback, Allowed(LOOPBACK)), tls=trusted.trust())
    async with receiving(signer.server(folder, named, asked)) as receiver:
        message = Message("wh_1-1", f"https://{HOST}:{receiver.port}/", b"{}", ["whsec_" + "A" * 32])
        outcome = await sender.send(message, VirtualClock().now())
        assert [request.headers["host"] for request in receiver.requests] in ([], [f"{HOST}:{receiver.port}"])
        return outcome, asked, len(receiver.requests)


async def test_the_name_of_the_url_is_asked_for_and_checked(tmp_path: Path) -> None:
    root = authority()
    assert await exchanged(tmp_path, named=HOST, signer=root, trusted=root) == (Outcome(204), [HOST], 1)


@pytest.mark.parametrize("named", ["other.example", "127.0.0.1"])
async def test_a_certificate_of_another_name_is_refused(tmp_path: Path, named: str) -> None:
    root = authority()
    outcome, _, sent = await exchanged(tmp_path, named=named, signer=root, trusted=root)
    assert "CERTIFICATE_VERIFY_FAILED" in (outcome.error or "")
    assert sent == 0


async def test_a_certificate_that_nobody_trusted_has_signed_is_refused(tmp_path: Path) -> None:
    outcome, _, sent = await exchanged(tmp_path, named=HOST, signer=authority(), trusted=authority())
    assert "CERTIFICATE_VERIFY_FAILED" in (outcome.error or "")
    assert sent == 0


async def test_proxies_of_the_environment_are_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = authority()
    async with receiving() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        outcome, _, _ = await exchanged(tmp_path, named=HOST, signer=root, trusted=root)
        assert (outcome.status, proxy.requests) == (204, [])
