"""`python -m tests.fuzz [TARGET …] [--seconds 60]`: each target for so long, in a process of its own.

What a target fails on is left in tests/fuzz/corpus/TARGET, for tests/fuzz/test_corpus.py to keep.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tests.fuzz.targets import TARGETS

_CORPUS = Path(__file__).parent / "corpus"
_LONGEST_BYTES = 4096
_SLOW_S = 5
_MOST_MB = 1024


def _command(name: str, seconds: int, found: Path) -> list[str]:
    return [
        *[sys.executable, "-m", "tests.fuzz.one", name],
        *[f"-max_total_time={seconds}", f"-max_len={_LONGEST_BYTES}", f"-timeout={_SLOW_S}"],
        *[f"-rss_limit_mb={_MOST_MB}", f"-artifact_prefix={_CORPUS / name}/found-", "-print_final_stats=1"],
        *[str(found), str(_CORPUS / name)],
    ]


def _why(told: str) -> str:
    """The exception, without the course of the search."""
    _, found, why = told.partition("=== Uncaught Python exception: ===")
    return why.partition("INFO: ")[0] if found else told[-2000:]


def main(
    targets: Annotated[list[str] | None, typer.Argument(help=f"Some of {', '.join(TARGETS)}; all.")] = None,
    seconds: Annotated[int, typer.Option(help="For each target.")] = 60,
) -> None:
    failed = []
    for name in targets or TARGETS:
        with tempfile.TemporaryDirectory() as found:
            done = subprocess.run(
                _command(name, seconds, Path(found)), stderr=subprocess.PIPE, text=True, check=False
            )
        told = [line for line in done.stderr.splitlines() if line.startswith("stat::number_of_executed_units")]
        print(name, "fine," if done.returncode == 0 else "FAILED,", *told, flush=True)
        if done.returncode != 0:
            print(_why(done.stderr), flush=True)
            failed.append(name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}; what they failed on is in {_CORPUS}")


if __name__ == "__main__":
    typer.run(main)
