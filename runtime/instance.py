"""The running `footfall up` of a data folder: its addresses, in a file that it keeps while it runs."""

from pathlib import Path

import msgspec
import psutil

FILE_NAME = "footfall.json"


class Instance(msgspec.Struct, frozen=True):
    """Where the parts of a running `footfall up` are."""

    api_url: str
    docs_url: str
    postgres_url: str
    temporal_address: str
    temporal_ui_url: str | None
    """None where TEMPORAL_ADDRESS named a server that is not ours."""
    pids: dict[str, int]
    metrics_urls: dict[str, str] = {}
    """Of api, worker, recommender and grpc."""
    grpc_address: str | None = None
    """None where FOOTFALL_GRPC_PORT is 0."""


def read_instance(data_dir: Path) -> Instance | None:
    """What runs on this data folder, if anything does."""
    try:
        instance = msgspec.json.decode((data_dir / FILE_NAME).read_bytes(), type=Instance)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return instance if psutil.pid_exists(instance.pids.get("supervisor", -1)) else None


def write_instance(data_dir: Path, instance: Instance) -> None:
    """Readers see the old file or the new one, never half of one."""
    new = data_dir / (FILE_NAME + ".new")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(instance)))
    new.chmod(0o600)
    new.replace(data_dir / FILE_NAME)


def remove_instance(data_dir: Path) -> None:
    (data_dir / FILE_NAME).unlink(missing_ok=True)
