"""What the figures were measured on."""

import asyncio
import os
import platform
from pathlib import Path

import asyncpg
import psutil

from runtime.instance import Instance
from runtime.temporal_binary import VERSION


def describe_machine(instance: Instance) -> str:
    """One line: processors, memory, versions."""
    cpu = "unknown processor"
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    memory = psutil.virtual_memory().total / 2**30
    postgres = asyncio.run(_postgres_version(instance.postgres_url))
    return (
        f"{os.cpu_count()} cores ({cpu}), {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}, "
        f"PostgreSQL {postgres}, Temporal CLI {VERSION}; everything, the load generator too, on this one machine."
    )


async def _postgres_version(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()
