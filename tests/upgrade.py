"""From another version to this one, under load: `python -m tests.upgrade COMMIT`.

Two APIs behind HAProxy and two workers run as they were at that commit. One fan-out of some batches is parked; then
this version migrates the stores, and its processes take the place of the others one by one, workers first. No request
may fail at the proxy, what was parked is replayed by this version, and everything has to be counted exactly once.
"""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import typer

from runtime.ports import free_port
from runtime.postgres_server import EmbeddedPostgres
from runtime.settings import Settings
from runtime.temporal_binary import find_temporal
from runtime.temporal_server import TemporalServer
from tests.faults.check import drained, judge
from tests.faults.load import Load
from tests.haproxy import CONFIGURATION, haproxy
from tests.scale.rolling import replace
from tests.stack import Stack, footfall_says

_HERE = Path(__file__).parent.parent
_BETWEEN_S = 3.0
_PARKED_S = 3.0


@contextmanager
def _tree(commit: str) -> Iterator[Path]:
    """That version's files, with what they need installed."""
    with tempfile.TemporaryDirectory(prefix="footfall-upgrade-") as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--detach", "--quiet", str(tree), commit], cwd=_HERE, check=True)
        try:
            subprocess.run(["make", ".venv/.installed"], cwd=tree, check=True, stdout=subprocess.DEVNULL)
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=_HERE, check=True)


@contextmanager
def _servers(folder: Path) -> Iterator[tuple[str, str]]:
    """PostgreSQL's URL and Temporal's address."""
    postgres = EmbeddedPostgres(folder / "postgres", folder)
    ports = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
    temporal = TemporalServer(find_temporal(), folder / "temporal", folder, port=ports[0], ui_port=ports[1])
    postgres.start()
    temporal.start()
    try:
        yield postgres.url, temporal.address
    finally:
        temporal.stop()
        postgres.stop()


async def _park(url: str) -> None:
    """Popularity of what comes meanwhile can't be written, and nothing mends that by itself."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("ALTER TABLE product_popularity RENAME TO product_popularity_away")
        await asyncio.sleep(_PARKED_S)
        await connection.execute("ALTER TABLE product_popularity_away RENAME TO product_popularity")
        while not (parked := await connection.fetchval("SELECT count(*) FROM parked")):
            await asyncio.sleep(0.1)
        print(f"parked by the version before: {parked} batches", flush=True)
    finally:
        await connection.close()


async def _upgrade(stacks: Sequence[Stack], front: str) -> None:
    prefix, url = f"upgraded-{uuid4().hex[:8]}-", stacks[0].database_url
    load = Load([front], prefix, seed=5, clients=20, requests_a_second=100)
    loading = asyncio.create_task(load.run(600.0))
    await asyncio.sleep(_BETWEEN_S)
    await _park(url)
    await footfall_says(Stack(url, stacks[0].temporal_address, stacks[0].logs, stacks[0].settings), "migrate")
    for name in ("worker", "api"):
        for stack in stacks:
            stack.code = _HERE
            await replace(stack, name)
            print(f"{name} replaced", flush=True)
            await asyncio.sleep(_BETWEEN_S)
    load.stop()
    await loading
    print(await footfall_says(stacks[0], "fan-outs", "replay", "--all"), flush=True)
    await drained(url)
    verdict = await judge(Settings.model_validate({"postgres_url": url}), prefix, load.sent, set(load.sent.bodies))
    print(f"{len(load.sent.bodies)} interactions; answers {dict(load.sent.answers)}; wrong: {verdict.faults[:5]}")
    if verdict.faults or set(load.sent.answers) != {"202"}:
        raise SystemExit(1)


def main(commit: str) -> None:
    with tempfile.TemporaryDirectory(prefix="footfall-upgrade-") as made, _tree(commit) as tree:
        folder = Path(made)
        folder.chmod(0o755)
        # Versions before this one have no /health/serving.
        configuration = folder / "haproxy.cfg"
        configuration.write_text(CONFIGURATION.read_text().replace("/health/serving", "/health/live"))
        with _servers(folder) as (url, address):
            logs = [folder / "first", folder / "second"]
            for one in logs:
                one.mkdir()
            stacks = [Stack(url, address, one, {"FOOTFALL_LEAVE_S": "3"}, code=tree) for one in logs]
            asyncio.run(footfall_says(stacks[0], "migrate"))
            try:
                for stack in stacks:
                    stack.start()
                with haproxy([stack.port for stack in stacks], folder, configuration) as front:
                    asyncio.run(_upgrade(stacks, front))
            finally:
                for stack in stacks:
                    stack.stop()


if __name__ == "__main__":
    os.environ.pop("VIRTUAL_ENV", None)
    typer.run(main)
