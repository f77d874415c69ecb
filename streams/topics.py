"""The MQTT topics of one site, as the AsyncAPI document names them."""

from __future__ import annotations

from typing import NamedTuple


class Topics(NamedTuple):
    """Topics of a site."""

    site: str

    @property
    def events(self) -> str:
        """Filter for what all gateways publish."""
        return f"openautoglm/{self.site}/events/#"

    def gateway(self, name: str) -> str:
        """Where one gateway publishes its events."""
        return f"openautoglm/{self.site}/events/{name}"

    def findings(self, kind: str) -> str:
        """Where `alerts`, `faults` or `scores` go out."""
        return f"openautoglm/{self.site}/{kind}"

    def commands(self, device: str) -> str:
        """Where a device's commands go out. `#` and `+` cannot occur in a deviceId."""
        return f"openautoglm/{self.site}/commands/{device}"

    def watermark(self, gateway: str) -> str:
        """Where a gateway learns what it may forget; `gateway` is the last part of its source."""
        return f"openautoglm/{self.site}/watermarks/{gateway}"


def gateway_name(source: str) -> str:
    """The last part of a source, without what a topic may not hold.

    >>> gateway_name("/plants/homberg/gateways/gw-01")
    'gw-01'
    """
    name = source.rstrip("/").rsplit("/", 1)[-1]
    return name.replace("#", "_").replace("+", "_") or "_"
