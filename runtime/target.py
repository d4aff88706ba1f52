"""Which Footfall a command speaks to."""

from pydantic import SecretStr, ValidationError

from domain.errors import InvalidInputError
from runtime.commands import settings
from runtime.instance import read_instance
from runtime.settings import Settings

DEFAULT_URL = "http://127.0.0.1:8000"


def target_url(named: str | None) -> str:
    """The one named, else the one that runs on the data folder, else the default address. No slash at the end."""
    if named:
        return named.rstrip("/")
    try:
        instance = read_instance(Settings().data_dir)
    except ValidationError as error:
        raise InvalidInputError(f"the settings are not valid, and no --url is given: {error}") from error
    return (instance.api_url if instance else DEFAULT_URL).rstrip("/")


def api_key() -> SecretStr | None:
    """What to call it with."""
    return settings().api_key
