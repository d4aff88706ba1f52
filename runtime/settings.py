"""Settings, from the environment: FOOTFALL_NAME, and TEMPORAL_ADDRESS and _NAMESPACE as Temporal names them."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Network = IPv4Network | IPv6Network


class Settings(BaseSettings):
    """Everything that can be set. The unit stands in a name or in its description."""

    model_config = SettingsConfigDict(env_prefix="FOOTFALL_", frozen=True, extra="ignore", populate_by_name=True)

    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: int = Field(
        8000, ge=0, le=65535, description="Port of the API; `footfall up` takes a free one where it is taken."
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
    max_body_bytes: int = Field(1024 * 1024, ge=1024, description="Largest request body in bytes; 413 beyond.")
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        (), description="Comma-separated networks whose X-Forwarded-For is believed; none by default."
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Least severe log line shown.")

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value


@dataclass(frozen=True, slots=True)
class SettingDescription:
    variable: str
    default: str
    meaning: str


def environment_name(field_name: str) -> str:
    """The environment variable of a field, or of its alias."""
    field = Settings.model_fields.get(field_name)
    if field is None:
        return field_name
    alias = field.validation_alias
    return alias if isinstance(alias, str) else f"FOOTFALL_{field_name.upper()}"


def describe_settings() -> list[SettingDescription]:
    """Every setting, in the order in which the class has them."""
    return [
        SettingDescription(environment_name(name), _default(field.default), field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def settings_page() -> str:
    """docs/settings.md."""
    rows = [
        f"| `{one.variable}` | {f'`{one.default}`' if one.default else ''} | {one.meaning} |"
        for one in describe_settings()
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "All settings come from the environment. `footfall settings` prints this table.",
            "",
            "| variable | default | meaning |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _default(value: object) -> str:
    return "" if value is None or value == () else str(value)
