"""Where Kafka is, how to be let in, and what the topics are called: all that is known without its driver."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

REQUEST = 20.0
"""Seconds that a request to the cluster may take."""
EVENT_RECORD = 4 << 20
"""Bytes of an event's record, at most: it may hold a picture."""
RECORD = 16 << 20
"""Bytes of any other record, at most: a fault may name every device of a plant."""
KINDS = ("alerts", "faults", "actions")
"""What workers write, in the order in which it is told; `actions` are asked for by the runbook, and decided on by gateways."""
LIVED = ("alarms", "floods")
"""What gateways write: what people and the clock make of the alarms of their site."""


class Protocol(StrEnum):
    """How the cluster is talked to; Kafka's own names."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class Mechanism(StrEnum):
    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


class ClusterError(Exception):
    """The cluster is not as the service needs it; the message names what to change."""


class StalledError(Exception):
    """A worker is alive but does not go on, and is better started anew."""


@dataclass(frozen=True)
class Cluster:
    """Where Kafka is and how to be let in. The password is never part of a text form."""

    servers: str
    protocol: Protocol = Protocol.PLAINTEXT
    mechanism: Mechanism = Mechanism.PLAIN
    username: str | None = None
    password: Callable[[], str | None] = lambda: None
    authorities: Path | None = None

    @property
    def encrypted(self) -> bool:
        return self.protocol in (Protocol.SSL, Protocol.SASL_SSL)

    @property
    def settings(self) -> str:
        """The settings that decide whether a connection comes about."""
        secured = ", kafka_protocol, kafka_authorities" if self.encrypted else ""
        return "kafka_servers" + secured + (", kafka_username, kafka_password, kafka_mechanism" if self.username else "")

    def tls(self) -> ssl.SSLContext | None:
        """Trusts the authorities of a file, or the system's. Raises ClusterError."""
        if not self.encrypted:
            return None
        try:
            return ssl.create_default_context(cafile=self.authorities)
        except (OSError, ssl.SSLError) as error:
            raise ClusterError(f"setting kafka_authorities: {self.authorities}: {error}") from error

    def options(self) -> dict[str, Any]:
        """What every client is told, in aiokafka's words."""
        return {
            "bootstrap_servers": self.servers,
            "security_protocol": str(self.protocol),
            "ssl_context": self.tls(),
            "sasl_mechanism": str(self.mechanism),
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password(),
            "request_timeout_ms": int(REQUEST * 1000),
        }


class Names(NamedTuple):
    """The topics of one deployment. All of them have the same number of partitions, and a site has the same in each."""

    prefix: str

    @property
    def events(self) -> str:
        return f"{self.prefix}.events"

    @property
    def state(self) -> str:
        """Snapshots of sites, and what was told already; compacted."""
        return f"{self.prefix}.state"

    @property
    def deadletters(self) -> str:
        return f"{self.prefix}.deadletters"

    def findings(self, kind: str) -> str:
        """One of `KINDS` or `LIVED`."""
        return f"{self.prefix}.{kind}"
