"""Which addresses webhooks may reach, and connections that reach no other.

Whoever may create a webhook chooses where the service connects to, so names are resolved here, once for each connection; every
address is checked, and the connection goes to a checked one, with no second look at the DNS in which the answer may change.
Used by the sender, and by the checks of a new endpoint.
"""

from __future__ import annotations

import socket
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import httpcore

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""All addresses of a host; OSError without one."""

NAT64 = IPv6Network("64:ff9b::/96")
GLOBAL_UNICAST = IPv6Network("2000::/3")
LOCAL = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
"""For protocols and documentation (RFC 6890, 7526, 9637), though Python 3.11 takes addresses of them as global."""
LOOKUPS = 8


class ForbiddenAddressError(ConnectionError):
    """A host that has an address which is neither public nor allowed."""


class Allowed:
    """Where webhooks may go besides the public internet: `10.1.0.0/16`, `192.168.1.7`, `receiver.plant.example`.

    A host that is named here may have any address, and be spoken to without TLS. Raises ValueError for a network that is none.
    """

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._hosts: set[str] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in entries:
            if "/" in entry or literal(entry) is not None:
                self._networks.append(ip_network(entry))
            else:
                self._hosts.add(plain(entry))

    def host(self, host: str) -> bool:
        """Whether a host is allowed by its name, or by its address if it is written as one."""
        address = literal(host)
        return plain(host) in self._hosts or (address is not None and self._inside(address))

    def check(self, host: str, addresses: Iterable[Address]) -> None:
        """Raises ForbiddenAddressError if any is neither public nor allowed."""
        if plain(host) in self._hosts:
            return
        for address in addresses:
            if not public(address) and not self._inside(address):
                raise ForbiddenAddressError("the host has an address that is not public and not allowed")

    def _inside(self, address: Address) -> bool:
        told = _mapped(address)
        return any(told in network for network in self._networks if network.version == told.version)


def plain(host: str) -> str:
    return host.lower().rstrip(".")


def literal(host: str) -> Address | None:
    """The address that a host is written as, if it is."""
    try:
        return ip_address(plain(host).strip("[]"))
    except ValueError:
        return None


def public(address: Address) -> bool:
    """Whether an address can be anybody's on the internet. One that carries another is what it carries.

    >>> [public(ip_address(text)) for text in ("9.9.9.9", "169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::7f00:1")]
    [True, False, False, False]
    """
    address = _mapped(address)
    if any(address in network for network in LOCAL if network.version == address.version):
        return False
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and not address.is_reserved
    if address in NAT64:
        return public(IPv4Address(address.packed[-4:]))
    if address.sixtofour is not None:
        return public(address.sixtofour)
    return address in GLOBAL_UNICAST and address.is_global


def _mapped(address: Address) -> Address:
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if inner is None else inner


class SystemResolver:
    """The system's, in threads of its own: look-ups that hang must not take the threads that databases need."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="webhooks-dns")

    async def __call__(self, host: str, port: int) -> list[Address]:
        found = await get_running_loop().run_in_executor(self._threads, _lookup, host, port)
        return [ip_address(place[4][0]) for place in found]


def _lookup(host: str, port: int) -> Sequence[Any]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError("the host is no name that can be looked up") from error


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses. TLS above it still goes by the host's name, since httpcore takes that from the URL."""

    def __init__(self, resolve: Resolve, allowed: Allowed, network: httpcore.AsyncNetworkBackend | None = None) -> None:
        self._resolve = resolve
        self._allowed = allowed
        self._network = network or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's port
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises ForbiddenAddressError before anything is connected to; OSError; httpcore.ConnectError."""
        addresses = await self._resolve(host, port)
        self._allowed.check(host, addresses)
        refused: Exception = OSError("the host has no address")
        for address in addresses:
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                refused = error
        raise refused
