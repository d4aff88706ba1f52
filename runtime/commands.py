"""What every command needs: its settings, and an end that can't hang."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import typer
from pydantic import SecretStr, ValidationError
from rich.console import Console

from domain.errors import FootfallError, InvalidInputError
from runtime.importing.time_mapping import parse_span
from runtime.instance import read_instance
from runtime.logs import redacted
from runtime.settings import Settings
from runtime.settings_page import environment_name

INVALID = FAILED = 2
INTERRUPTED = 130  # as shells have it

console = Console()
errors = Console(stderr=True)


def settings() -> Settings:
    """Those of the environment; ends the command with what is wrong in them."""
    try:
        return Settings()
    except ValidationError as error:
        for one in error.errors():
            setting = f"{environment_name(str(one['loc'][0]))}: " if one["loc"] else ""
            errors.print(f"{setting}{one['msg']}", style="red", highlight=False, markup=False)
        raise SystemExit(INVALID) from None


def connected_settings() -> Settings:
    """The settings, completed by what runs on the data folder."""
    given = settings()
    instance = read_instance(given.data_dir)
    if instance is None:
        return given
    found = {"postgres_url": SecretStr(instance.postgres_url), "temporal_address": instance.temporal_address}
    missing = {name: value for name, value in found.items() if getattr(given, name) is None}
    return given.model_copy(update=missing)


def insist(chosen: bool, ways: str) -> None:
    """Ends a command that changes things and was not told which: nothing chosen means all, which has to be said."""
    if not chosen:
        errors.print(f"Say which: {ways}, or --all.", style="red")
        raise typer.Exit(INVALID)


def leave(code: int) -> NoReturn:
    """Ends a command that had a Temporal client.

    The SDK's threads may outlive the interpreter and abort it (temporalio/sdk-python#300): it is left to nobody.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def leave_after(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Ends with the exit code that `work` returns; with 2 and what is wrong where it raises, 130 after Ctrl-C."""
    code = FAILED
    try:
        code = asyncio.run(work)
    except FootfallError as error:
        errors.print(redacted(str(error)), style="red", highlight=False, markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        code = INTERRUPTED
    leave(code)


def moment(text: str | None, now: datetime) -> datetime | None:
    """A time such as 2026-03-01T12:00:00Z (UTC where it says nothing), or a length of time before `now`: 2h, 7d.

    Raises:
        InvalidInputError: it is neither.

    """
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        return read if read.tzinfo else read.replace(tzinfo=UTC)
    try:
        return now - timedelta(microseconds=parse_span(text))
    except InvalidInputError:
        raise InvalidInputError(f"{text!r} is no time; write it like 2026-03-01T12:00, 2h or 7d") from None
