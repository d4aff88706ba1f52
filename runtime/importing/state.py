"""What is remembered of an import: how times were moved, and how far it got.

The times must be the same every time, because the server looks for a known event id on the day of the event.
"""

import hashlib
import os
from pathlib import Path

import msgspec

from domain.errors import InvalidInputError
from runtime.importing.time_mapping import TimeMapping


class ImportState(msgspec.Struct):
    """One file's import into one server. `confirmed` counts good rows from the start of the file."""

    file: str
    url: str
    mapping: TimeMapping
    salt: str = ""
    """Part of the event ids of an import --as-new; empty for the first one."""
    confirmed: int = 0
    finished: bool = False


class StateFile:
    """Raises InvalidInputError where the folder can't be written, since importing twice would then not be safe."""

    def __init__(self, fingerprint: str, url: str, format_name: str) -> None:
        name = hashlib.sha256(f"{fingerprint}\n{url}\n{format_name}".encode()).hexdigest()[:32]
        self.path = _state_home() / "footfall" / "imports" / f"{name}.json"

    def load(self) -> ImportState | None:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=ImportState)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise InvalidInputError(
                f"the state of this file's last import, {self.path}, can't be read: {error}. Name another folder "
                "with XDG_STATE_HOME, or remove it: the rows then count as never imported, and may get other times."
            ) from error

    def save(self, state: ImportState) -> None:
        new = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
            new.replace(self.path)
        except OSError as error:
            raise InvalidInputError(
                f"the import's state can't be kept: {error}. Name another folder with XDG_STATE_HOME."
            ) from error


def _state_home() -> Path:
    named = os.environ.get("XDG_STATE_HOME", "")
    # The XDG rule: a relative path there is to be ignored.
    return Path(named) if Path(named).is_absolute() else Path.home() / ".local" / "state"


class Position:
    """How many rows are confirmed without a gap, where batches are confirmed in any order."""

    def __init__(self, confirmed: int) -> None:
        self.confirmed = confirmed
        self._ahead: dict[int, int] = {}

    def confirm(self, first_row: int, count: int) -> None:
        self._ahead[first_row] = count
        while self.confirmed in self._ahead:
            self.confirmed += self._ahead.pop(self.confirmed)
