"""What the figures were measured on."""

import asyncio
import os
import platform
from pathlib import Path

import asyncpg
import psutil

from runtime.instance import Instance
from runtime.temporal_binary import VERSION

_ON_ONE = "everything, the load generator too, on this one machine."


def describe_machine(instance: Instance) -> str:
    """One line: processors, memory, versions."""
    postgres = asyncio.run(_postgres_version(instance.postgres_url))
    return f"{_hardware()}, PostgreSQL {postgres}, Temporal CLI {VERSION}; {_ON_ONE}"


def describe_hardware(*others: str) -> str:
    """The same for a bench with other servers, which are named."""
    return f"{', '.join((_hardware(), *others))}; {_ON_ONE}"


def _hardware() -> str:
    cpu = "unknown processor"
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores ({cpu}), {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"
    )


async def _postgres_version(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()
