"""Makes the committed `*_pb2` modules of doors/bharatml from the .proto files beside them."""

import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTOS = ("doors/bharatml/interaction_store.proto", "doors/bharatml/rich_status.proto")
ROOT = Path(__file__).parents[3]


def generate(into: Path, protos: Sequence[str] = PROTOS) -> None:
    """Writes the modules and their stubs below `into`, in the folders that the names of the .proto files have.

    Raises:
        RuntimeError: a file is no .proto; what is wrong is on stderr.

    """
    arguments = [
        "protoc",
        f"--proto_path={ROOT}",
        f"--proto_path={files('grpc_tools') / '_proto'}",
        f"--python_out={into}",
        f"--pyi_out={into}",
    ]
    if protoc.main([*arguments, *protos]) != 0:
        raise RuntimeError("protoc failed")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
