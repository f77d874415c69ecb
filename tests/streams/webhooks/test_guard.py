"""No webhook reaches an address inside, whatever its host looks like or resolves to."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import httpcore
import msgspec
import pytest

from streams.webhooks.endpoint import Draft, InvalidWebhookError, check, new_secret
from streams.webhooks.guard import Address, Allowed, ForbiddenAddressError, GuardedNetwork, SystemResolver, public

HOSTILE = """
    0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.0.170
    192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
    :: ::1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1 ::127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe
    64:ff9b:1::9.9.9.9 2002:7f00:1:: 2002:a9fe:a9fe::1 2001::1 2001:db8::1 3fff::1 5f00::1 100::1 fc00::1 fd00:ec2::254
    fe80::1 fe80::1%eth0 fec0::1 ff02::1
"""
PUBLIC = """
    1.1.1.1 9.9.9.9 172.32.0.1 192.169.0.1 2606:4700:4700::1111 ::ffff:9.9.9.9 64:ff9b::9.9.9.9 2002:909:909::1
"""


@pytest.mark.parametrize("text", HOSTILE.split())
def test_addresses_inside(text: str) -> None:
    assert not public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC.split())
def test_addresses_outside(text: str) -> None:
    assert public(ip_address(text))


class Plain(httpcore.AsyncNetworkBackend):
    """A network that remembers where it was to connect to, and never gets there."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    async def connect_tcp(self, host: str, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        self.reached.append(host)
        raise httpcore.ConnectError


class Names:
    """A DNS whose answers change: each look-up of any name gets the next one."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)

    async def __call__(self, _host: str, _port: int) -> list[Address]:
        return [ip_address(text) for text in self._answers.pop(0)]


async def connect(network: GuardedNetwork, host: str = "receiver.example") -> None:
    await network.connect_tcp(host, 443)


async def test_a_name_whose_answer_changes_is_looked_up_once() -> None:
    plain = Plain()
    network = GuardedNetwork(Names(["9.9.9.9"], ["127.0.0.1"]), Allowed(), plain)
    with pytest.raises(httpcore.ConnectError):
        await connect(network)
    assert plain.reached == ["9.9.9.9"]
    with pytest.raises(ForbiddenAddressError):
        await connect(network)
    assert plain.reached == ["9.9.9.9"]


@pytest.mark.parametrize("text", HOSTILE.split())
async def test_one_address_inside_is_enough(text: str) -> None:
    plain = Plain()
    with pytest.raises(ForbiddenAddressError):
        await connect(GuardedNetwork(Names(["9.9.9.9", text]), Allowed(), plain))
    assert plain.reached == []


async def test_all_addresses_are_tried() -> None:
    plain = Plain()
    with pytest.raises(httpcore.ConnectError):
        await connect(GuardedNetwork(Names(["9.9.9.9", "2620:fe::fe"]), Allowed(), plain))
    assert plain.reached == ["9.9.9.9", "2620:fe::fe"]
    with pytest.raises(OSError, match="no address"):
        await connect(GuardedNetwork(Names([]), Allowed(), plain))


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "localhost", "[::ffff:127.0.0.1]", "a" * 64]
)
async def test_what_the_system_takes_for_loopback(host: str) -> None:
    plain = Plain()
    with pytest.raises(OSError, match=r"not public|look|not known|address"):
        await connect(GuardedNetwork(SystemResolver(), Allowed(), plain), host)
    assert plain.reached == []


async def test_what_is_allowed() -> None:
    plain = Plain()
    allowed = Allowed(["10.1.0.0/16", "fd00::/8", "Receiver.Plant.Example."])
    for host, address in (
        ("a", "10.1.2.3"),
        ("a", "::ffff:10.1.2.3"),
        ("a", "fd00::1"),
        ("receiver.plant.example", "127.0.0.1"),
    ):
        with pytest.raises(httpcore.ConnectError):
            await connect(GuardedNetwork(Names([address]), allowed, plain), host)
    assert plain.reached == ["10.1.2.3", "::ffff:a01:203", "fd00::1", "127.0.0.1"]
    for host, address in (("a", "10.2.0.1"), ("evil-receiver.plant.example", "127.0.0.1"), ("a", "fe80::1")):
        with pytest.raises(ForbiddenAddressError):
            await connect(GuardedNetwork(Names([address]), allowed, plain), host)


@pytest.mark.parametrize("entry", ["10.1.2.3/8", "10.0.0.0/33", "receiver/8"])
def test_a_network_that_is_none_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=entry.partition("/")[0]):
        Allowed([entry])


ALLOWED = Allowed(["10.1.0.0/16", "receiver.plant.example"])
GOOD = (
    "https://example.com/hook?key=1",
    "https://example.com:8443",
    "https://xn--e1afmkfd.com/",
    "https://пример.com/",
    "https://9.9.9.9/",
    "https://[2620:fe::fe]/",
    "http://10.1.2.3:8080/",
    "http://RECEIVER.plant.example./",
)
BAD = (
    "http://example.com",
    "http://9.9.9.9",
    "ftp://example.com",
    "file:///etc/passwd",
    "//example.com",
    "https:example.com",
    "https://",
    "https:///hook",
    "https://:443/",
    "https://example.com:0/",
    "https://example.com:99999/",
    "https://user:hidden@example.com",
    "https://example.com@127.0.0.1/",
    "https://example.com:443@10.0.0.1/",
    "https://example.com\\@10.0.0.1/",
    "https://exam ple.com/",
    "https://example.com/\r\nhost: inside",
    "https://example.com/#part",
    "https://a..b/",
    "https://" + "a" * 64 + ".com",
    "https://example.com/" + "a" * 2048,
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://127.0.0.1/",
    "https://127.0.0.1./",
    "https://127。0。0。1/",
    "https://%31%32%37.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[fe80::1%25eth0]/",
    "https://10.2.0.1/",
    "https://169.254.169.254/latest/meta-data/",
)


@pytest.mark.parametrize("url", GOOD)
def test_urls_that_may_be(url: str) -> None:
    check(Draft(url=url), ALLOWED)


@pytest.mark.parametrize("url", BAD)
def test_urls_that_may_not_be(url: str) -> None:
    with pytest.raises(InvalidWebhookError) as caught:
        check(Draft(url=url), ALLOWED)
    assert caught.value.field == "url"
    assert "hidden" not in str(caught.value)


def test_other_fields_have_limits() -> None:
    with pytest.raises(InvalidWebhookError, match="description"):
        check(Draft(url=GOOD[0], description="a" * 501), ALLOWED)
    long = msgspec.convert({"devices": ["a" * 100] * 1_000}, type=type(Draft(url="").filter))
    with pytest.raises(InvalidWebhookError, match="filter"):
        check(Draft(url=GOOD[0], filter=long), ALLOWED)


def test_secrets_are_as_the_standard_wants_them_and_do_not_show() -> None:
    one, other = new_secret(), new_secret()
    assert one.value != other.value
    assert one.value.startswith("whsec_")
    assert one.value not in f"{one} {[one]!r}"
