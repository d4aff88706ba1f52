"""Every setting in words: what `footfall settings` prints, and docs/settings.md."""

from dataclasses import dataclass

from runtime.kafka_settings import KafkaSettings
from runtime.security_settings import SecuritySettings
from runtime.settings import Settings


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
    """Every setting, in the order in which the classes have them; those of Kafka and of security last."""
    parts = (KafkaSettings, SecuritySettings)
    fields = sorted(
        Settings.model_fields.items(), key=lambda named: [named[0] in part.model_fields for part in reversed(parts)]
    )
    return [
        SettingDescription(environment_name(name), _default(field.default), field.description or "")
        for name, field in fields
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
    if isinstance(value, tuple):
        return ",".join(str(one) for one in value)
    return "" if value in (None, {}) else str(value).lower() if isinstance(value, bool) else str(value)
