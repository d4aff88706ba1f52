"""Settings, from the environment: FOOTFALL_NAME, and TEMPORAL_NAME and SCYLLA_NAME for these two servers."""

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from domain.shard import Shard
from runtime.kafka_settings import KafkaSettings
from runtime.security_settings import SecuritySettings

Network = IPv4Network | IPv6Network
CqlConsistency = Literal["ONE", "LOCAL_ONE", "TWO", "THREE", "QUORUM", "LOCAL_QUORUM", "EACH_QUORUM", "ALL"]
_TIME_OR_OFF = r"^(([01]\d|2[0-3]):[0-5]\d|off)$"


class Settings(KafkaSettings, SecuritySettings):
    """Everything that can be set. The unit stands in a name or in its description."""

    # What is set to nothing is not set: Compose can't leave a variable out.
    model_config = SettingsConfigDict(
        env_prefix="FOOTFALL_",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,  # it may be a password, or for a rule of several settings all of them
    )

    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: int = Field(
        8000, ge=0, le=65535, description="Port of the API; `footfall up` takes a free one where it is taken."
    )
    api_processes: int = Field(
        1,
        ge=1,
        le=128,
        description="Processes that share the API's port; one uses one core. SIGHUP replaces them one by one.",
    )
    data_dir: Path = Field(Path(".footfall"), description="Folder of the embedded servers' data, for `footfall up`.")

    postgres_url: SecretStr | None = Field(
        None,
        description="PostgreSQL to use, as postgresql://…; `footfall up` starts its own where this is not set.",
    )
    postgres_pool_size: int = Field(
        8, ge=2, le=1000, description="Connections that each process keeps to PostgreSQL."
    )
    postgres_timeout_s: float = Field(30.0, gt=0, description="Longest time that one statement may take, in seconds.")

    temporal_address: str | None = Field(
        None,
        validation_alias="TEMPORAL_ADDRESS",
        description="host:port of Temporal; `footfall up` starts a dev server where this is not set.",
    )
    temporal_namespace: str = Field(
        "default", validation_alias="TEMPORAL_NAMESPACE", description="Temporal namespace."
    )
    temporal_retention_h: int = Field(
        1,
        ge=1,
        le=24 * 365,
        description="Hours for which `footfall up`'s own Temporal keeps workflows that have ended, 23 kB a batch. "
        "What waits for an operator has not ended.",
    )

    scylla_enabled: bool = Field(
        False,
        validation_alias="SCYLLA_ENABLED",
        description="Keep blocks in ScyllaDB or Cassandra in place of PostgreSQL.",
    )
    scylla_contact_points: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1",),
        validation_alias="SCYLLA_CONTACT_POINTS",
        description="Comma-separated hosts, some of the cluster's nodes; the others are found through them.",
    )
    scylla_port: int = Field(
        9042, ge=1, le=65535, validation_alias="SCYLLA_PORT", description="The nodes' CQL port, with TLS or without."
    )
    scylla_keyspace: str = Field(
        "footfall",
        pattern="^[a-z][a-z0-9_]{0,47}$",
        validation_alias="SCYLLA_KEYSPACE",
        description="Keyspace of the blocks; `footfall migrate` makes it where it is missing.",
    )
    scylla_username: str | None = Field(
        None, validation_alias="SCYLLA_USERNAME", description="User, where the cluster asks for one."
    )
    scylla_password: SecretStr | None = Field(
        None, validation_alias="SCYLLA_PASSWORD", description="The user's password."
    )
    scylla_local_dc: str | None = Field(
        None,
        pattern="^[A-Za-z0-9_.-]+$",
        validation_alias="SCYLLA_LOCAL_DC",
        description="Data centre whose nodes are asked; that of the contact points where it is not set.",
    )
    scylla_replication_factor: int = Field(
        3,
        ge=1,
        le=100,
        validation_alias="SCYLLA_REPLICATION_FACTOR",
        description="Copies of each block, when `footfall migrate` makes the keyspace (NetworkTopologyStrategy).",
    )
    scylla_read_consistency: CqlConsistency = Field(
        "LOCAL_ONE",
        validation_alias="SCYLLA_READ_CONSISTENCY",
        description="Copies that must answer a read.",
    )
    scylla_write_consistency: CqlConsistency = Field(
        "LOCAL_QUORUM",
        validation_alias="SCYLLA_WRITE_CONSISTENCY",
        description="Copies that must have a write before it counts as done, and must answer what compaction reads.",
    )
    scylla_timeout_s: float = Field(
        5.0, gt=0, validation_alias="SCYLLA_TIMEOUT_S", description="Longest wait for an answer, in seconds."
    )
    scylla_speculative_ms: float = Field(
        50.0,
        ge=0,
        validation_alias="SCYLLA_SPECULATIVE_MS",
        description="Milliseconds after which a read without an answer goes to another copy too; 0 never.",
    )
    scylla_tls: bool = Field(False, validation_alias="SCYLLA_TLS", description="Speak TLS to the nodes.")
    scylla_tls_ca_file: Path | None = Field(
        None,
        validation_alias="SCYLLA_TLS_CA_FILE",
        description="Certificates that the nodes' are held against, as PEM; the system's where it is not set.",
    )
    scylla_tls_cert_file: Path | None = Field(
        None, validation_alias="SCYLLA_TLS_CERT_FILE", description="Our certificate, where nodes ask for one, as PEM."
    )
    scylla_tls_key_file: Path | None = Field(
        None, validation_alias="SCYLLA_TLS_KEY_FILE", description="The key of our certificate, as PEM."
    )

    redis_url: SecretStr | None = Field(
        None,
        description="Redis to keep accounts' signals in, as redis://… or rediss://…; "
        "where it is not set, PostgreSQL keeps them.",
    )
    redis_timeout_s: float = Field(5.0, gt=0, description="Longest wait for an answer of Redis, in seconds.")
    recommender_url: str = Field(
        "http://127.0.0.1:8001", description="Where the API asks the recommender; `footfall up` sets it itself."
    )
    recommender_host: str = Field("127.0.0.1", description="Address that the recommender listens on.")
    recommender_port: int = Field(8001, ge=0, le=65535, description="Port of the recommender.")
    recommender_processes: int = Field(
        1,
        ge=1,
        le=128,
        description="Processes that share the recommender's port; one uses little more than one core. They share "
        "the model's files in memory.",
    )
    models_url: str | None = Field(
        None,
        description="Folder of models and of their training's files, as fsspec reads it (a path, s3://…); "
        "`models` in the data folder where it is not set. No two Footfalls share one.",
    )
    worker_metrics_host: str = Field("127.0.0.1", description="Address that the worker tells its metrics on.")
    worker_metrics_port: int = Field(
        9101,
        ge=0,
        le=65535,
        description="Port of GET /metrics of the worker, with those of Temporal's SDK; 0: none. API and recommender "
        "have theirs on their own ports.",
    )
    rules_file: Path | None = Field(
        None, description="TOML file with the shop's rules for recommendations: docs/recommendations.md."
    )
    train_at: str = Field(
        "02:00", pattern=_TIME_OR_OFF, description="When a model is trained every day, as hh:mm in UTC; `off`: never."
    )
    training_threads: int | None = Field(
        None, ge=1, description="Processor threads of a training, which yields to all else; all cores where not set."
    )
    precompute_at: str = Field(
        "03:00",
        pattern=_TIME_OR_OFF,
        description="When recommendations are made ahead every day, likewise.",
    )
    precompute_accounts_per_s: int = Field(
        30, ge=1, description="Pace of making recommendations ahead: accounts in a second, at the most."
    )

    shard: Annotated[Shard | None, NoDecode] = Field(
        None,
        description="Which shard of a divided intake this is, as 0/2; accounts of others are refused with 421. "
        "Where it is not set, the intake is not divided.",
    )
    event_types_file: Path | None = Field(
        None,
        description="TOML file with the event types' weights and counters, in place of the one that ships.",
    )
    dedup_window_days: int = Field(
        7,
        ge=1,
        le=168,
        description="Days for which the ledger knows an event id at least, counted from its acceptance.",
    )
    erasure_settle_s: float = Field(
        600.0,
        ge=0,
        description="Seconds after which an erasure goes over all stores once more, for what was written by whoever "
        "was at work when it began.",
    )
    backlog_limit_events: int = Field(
        1_000_000,
        ge=1,
        description="Accepted, not yet fanned out interactions beyond which POST answers 429.",
    )
    batch_max_events: int = Field(
        10_000, ge=1, le=100_000, description="Interactions at which a batch is sealed whatever its age."
    )
    batch_max_age_ms: int = Field(
        250,
        ge=1,
        le=10_000,
        description="Age in milliseconds at which a batch is sealed while others are under way.",
    )
    batch_pace_ms: int = Field(
        100,
        ge=0,
        le=10_000,
        description="Least time in milliseconds between two batches of a busy process; a quiet one does not wait.",
    )
    commit_max_events: int = Field(2_000, ge=1, le=10_000, description="Most interactions of one intake row.")
    sweep_interval_s: float = Field(10.0, gt=0, description="Seconds between two looks of the sweeper.")
    sweep_after_s: float = Field(
        30.0,
        gt=0,
        description="Age in seconds at which an intake row without an open workflow is taken up again.",
    )
    compact_busy_blocks: int = Field(
        64,
        ge=2,
        description="Deltas at which an account's week is compacted before it ends.",
    )
    compact_events_per_s: int = Field(
        20_000, ge=1, description="Pace of compaction: interactions folded in a second, at the most."
    )
    leave_s: float = Field(
        3.0,
        ge=0,
        le=5,
        description="Seconds for which an API process that was told to end says that it leaves (/health/ready: 503; "
        "every answer closes its connection) and serves on, so that proxies send it nothing more.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        (), description="Comma-separated networks whose X-Forwarded-For is believed; none by default."
    )
    log_format: Literal["text", "json"] = Field("text", description="Log lines as text, or as one JSON object each.")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Least severe log line shown.")

    @field_validator("trusted_proxies", "scylla_contact_points", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("shard", mode="before")
    @classmethod
    def _shard(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        named = re.fullmatch(r"(\d{1,4})/(\d{1,4})", value)
        if named is None or int(named[1]) >= int(named[2]):
            raise ValueError("a shard and how many there are, counted from 0: 0/2")
        return Shard(int(named[1]), int(named[2]))


def models_url(settings: Settings) -> str:
    """Where models are kept."""
    return settings.models_url or str(settings.data_dir.resolve() / "models")
