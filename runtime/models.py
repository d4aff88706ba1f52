"""Shows and switches models."""

from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table

from domain.models import ModelVersion
from domain.training import GATE_METRIC
from runtime.connections import open_pool
from runtime.settings import Settings
from store.models import ModelRegistry

_POOL_SIZE = 2
_SHOWN = 20


async def show_models(settings: Settings, console: Console, *, as_json: bool) -> None:
    async with open_pool(settings, "footfall models", _POOL_SIZE) as pool:
        models = await ModelRegistry(pool).newest(_SHOWN)
    if as_json:
        console.print_json(msgspec.json.encode({"models": models}).decode())
    else:
        console.print(_table(models))


def _table(models: Sequence[ModelVersion]) -> Table:
    table = Table("version", "state", "trained", GATE_METRIC, "popularity's", "data", "reason")
    for one in models:
        table.add_row(
            one.version,
            one.state if one.location else f"{one.state}, files removed",
            f"{one.trained_at:%Y-%m-%d %H:%M}",
            _figure(one, GATE_METRIC),
            _figure(one, f"popularity_{GATE_METRIC}"),
            one.fingerprint[:12],
            one.reason or "",
        )
    return table


def _figure(one: ModelVersion, name: str) -> str:
    return f"{one.metrics[name]:.4f}" if name in one.metrics else ""


async def activate(settings: Settings, console: Console, version: str, reason: str) -> None:
    async with open_pool(settings, "footfall models", _POOL_SIZE) as pool:
        await ModelRegistry(pool).activate(version, reason)
    console.print(f"model {version} is the current one now", highlight=False)


async def roll_back_model(settings: Settings, console: Console, reason: str) -> None:
    async with open_pool(settings, "footfall models", _POOL_SIZE) as pool:
        before = await ModelRegistry(pool).roll_back(reason)
    console.print(f"model {before.version} is the current one now", highlight=False)
