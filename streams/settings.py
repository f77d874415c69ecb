"""Every setting of the service, read once and handed down: nobody else reads the environment.

From, strongest first: command line, environment (`OPENAUTOGLM_MQTT_HOST` for `mqtt_host`), `openautoglm.yaml` in the working
folder, defaults. A wrong value is refused with the setting's name.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from streams.cluster import Mechanism, Protocol
from streams.roles import Role

Port = Annotated[int, Field(ge=0, le=65535)]
Prefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Site = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


SparkplugId = Annotated[str, Field(pattern=r"^[^+#/\x00]{1,128}$")]


class SparkplugRole(StrEnum):
    """What a Sparkplug host may publish: nothing; requests for rebirths; its STATE too, for which edge nodes may wait."""

    OFF = "off"
    PASSIVE = "passive"
    ACTIVE = "active"
    PRIMARY = "primary"


class Auth(StrEnum):
    """Who must say who they are: all but those on this machine; all; nobody."""

    AUTO = "auto"
    REQUIRED = "required"
    OFF = "off"


class Settings(BaseSettings):
    """Settings of one service. Times in seconds."""

    model_config = SettingsConfigDict(env_prefix="OPENAUTOGLM_", yaml_file="openautoglm.yaml", extra="forbid", frozen=True)

    site: Site = Field(default="plant", description="Name of the plant or line; part of every topic.")
    data: Path = Field(default=Path("data"), description="Folder that holds all state.")
    model: Path | None = Field(
        default=None, description="Folder of a trained model; without one the service learns as it goes."
    )
    runbook: Path | None = Field(default=None, description="YAML file: which alarms lead to which actions.")
    policy: Path | None = Field(
        default=None, description="Folder of Cedar policies: which actions are allowed. Without it, none is."
    )

    mqtt_host: str | None = Field(default=None, description="Address of a broker; without one an embedded broker is started.")
    mqtt_port: Port = Field(default=1883, description="The broker's port; of the embedded one too (0: a free port).")
    mqtt_bind: str = Field(default="127.0.0.1", description="Address on which the embedded broker listens.")
    mqtt_username: str | None = None
    mqtt_password: SecretStr | None = None
    mqtt_tls: bool = Field(default=False, description="Talk TLS to the broker, trusting the system's authorities.")

    sparkplug_role: SparkplugRole = Field(
        default=SparkplugRole.OFF, description="Sparkplug host: off, passive (listens), active (asks for rebirths), primary."
    )
    sparkplug_host_id: SparkplugId | None = Field(
        default=None, description="The host's name in its STATE topic; `openautoglm-` and the site without one."
    )
    sparkplug_groups: tuple[SparkplugId, ...] = Field(default=(), description="Groups to listen to; all without any.")
    sparkplug_reorder_timeout: float = Field(
        default=2, ge=0, description="Seconds that a missing message of an edge node is waited for."
    )
    sparkplug_rebirth_throttle: float = Field(
        default=10, gt=0, description="Seconds at least between two requests for one edge node's rebirth."
    )
    sparkplug_commands: Path | None = Field(
        default=None, description="YAML file: which metric a verb writes. Without it no action goes to a Sparkplug device."
    )

    neo4j_uri: str | None = Field(
        default=None, description="Database of the graph over time, e.g. neo4j://host:7687; without one it is a file in `data`."
    )
    neo4j_username: str = "neo4j"
    neo4j_password: SecretStr = SecretStr("")
    neo4j_database: str | None = Field(default=None, description="Name of the database; without one, the user's own.")

    allowed_lateness: float = Field(
        default=0.2, ge=0, description="How late an event may come and still be scored, event time."
    )
    idle_source: float = Field(default=10, gt=0, description="A gateway this far behind is not waited for, event time.")
    horizon: float = Field(default=86_400, gt=0, description="How long the graph keeps its past, event time.")
    checkpoint_every: float = Field(default=5, ge=0, description="Seconds between checkpoints while events come.")
    keep_records: int = Field(default=100_000, ge=0, description="Records of the log that are kept for replay.")
    webhooks: dict[str, str] = Field(
        default={},
        description="Names of webhooks by which actions go, and their addresses; instructions use work-orders and notify.",
    )

    alarm_rules: Path | None = Field(
        default=None, description="YAML file: delays, deadbands, latching, suppression by design and limits of alarms."
    )
    api: bool = Field(default=True, description="Serve the HTTP API.")
    console: bool = Field(default=True, description="Serve the console with the API.")
    api_bind: str = Field(default="127.0.0.1", description="Address on which API and console listen.")
    api_port: Port = Field(default=8080, description="Their port (0: a free one).")
    api_auth: Auth = Field(
        default=Auth.AUTO, description="Who must show a key or a token: auto (all but on a loopback address), required, off."
    )
    api_hosts: tuple[str, ...] = Field(
        default=(), description="Host names by which they may be asked for, besides their own, where nobody must show a key."
    )
    api_certificate: Path | None = Field(default=None, description="PEM file with the certificate: serve HTTPS.")
    api_certificate_key: Path | None = Field(default=None, description="PEM file with its private key.")
    oidc_issuer: str | None = Field(default=None, description="Whose tokens (JWT) are taken, as their `iss` says.")
    oidc_audience: str = Field(default="openautoglm", description="What their `aud` must hold.")
    oidc_keys: str | None = Field(
        default=None,
        description="Address or file of the issuer's public keys (JWKS); without it, what the issuer's discovery says.",
    )
    oidc_role_claim: str = Field(default="roles", description="Claim that holds the roles; a dot leads into an object.")
    oidc_roles: dict[str, Role] = Field(
        default={}, description="Which role a claimed name stands for; the roles' own names always do."
    )
    webhook_private: tuple[str, ...] = Field(
        default=(), description="Private hosts and networks to which webhook subscriptions may go."
    )
    external_url: str | None = Field(
        default=None, description="Address by which people reach the console; links in webhooks begin with it."
    )
    api_url: str | None = Field(default=None, description="For the command line: address of a service to ask and to tell.")
    api_key: SecretStr | None = Field(default=None, description="For the command line: the key for it.")

    kafka_servers: str | None = Field(default=None, description="Kafka's bootstrap servers, `host:port,...`.")
    kafka_prefix: Prefix = Field(default="openautoglm", description="First part of the topics' names.")
    kafka_partitions: int = Field(default=12, ge=1, description="Partitions of topics that are made; bounds the workers.")
    kafka_replication: int = Field(default=1, ge=1, description="Replicas of topics that are made; 3 on a real cluster.")
    kafka_retention: float = Field(default=604_800, gt=0, description="How long Kafka keeps events and findings.")
    kafka_protocol: Protocol = Field(default=Protocol.PLAINTEXT, description="Encryption and authentication.")
    kafka_mechanism: Mechanism = Field(default=Mechanism.SCRAM_SHA_512, description="How the password is proven.")
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_authorities: Path | None = Field(default=None, description="PEM file of who may sign; the system's without it.")
    worker_identity: str | None = Field(
        default=None, description="A name that no other worker has; one that is soon back under it keeps its partitions."
    )
    facts_age: float = Field(
        default=300, gt=0, description="Seconds up to which a gateway on Kafka decides by what a worker has said of a device."
    )
    stalled_after: float = Field(
        default=120, gt=0, description="A worker that takes in nothing for so long, though there is, ends."
    )

    crash_at: str | None = Field(default=None, description="For tests alone: die at this point.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, environment, file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls)
