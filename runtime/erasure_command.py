"""`footfall erase` and `footfall export`: what people may ask of whoever keeps something of them."""

import asyncio
import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from domain.errors import InvalidInputError, PermanentError
from intake.erasures import Erasures
from runtime.commands import connected_settings, console, leave_after
from runtime.settings import Settings
from store.erasure import Erasure, ErasureStore

_LOOK_EVERY_S = 0.3

Account = Annotated[str, typer.Argument(help="As the app sent it.", metavar="ACCOUNT")]


def erase(
    account_id: Account,
    subtract: Annotated[bool, typer.Option("--subtract", help="Take its share out of popularity too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Erase everything that is kept of an account, and wait until it is gone; the erasure goes on without this."""
    leave_after(_erase(connected_settings(), account_id, subtract=subtract, as_json=as_json))


def export(
    account_id: Account,
    to: Annotated[Path | None, typer.Option("--to", "-o", help="A file, in place of standard output.")] = None,
) -> None:
    """Write everything that is kept of an account, as lines of JSON. The last one is of the kind `end`."""
    out = sys.stdout.buffer if to is None else to.open("wb")
    leave_after(_export(connected_settings(), account_id, out))


async def _erase(settings: Settings, account_id: str, *, subtract: bool, as_json: bool) -> int:
    from intake.carrier import start_erasure  # noqa: PLC0415
    from runtime.connections import connected_client, open_pool  # noqa: PLC0415

    if settings.shard is not None and not settings.shard.holds(account_id):
        raise InvalidInputError(f"account {account_id!r} does not belong to shard {settings.shard}")
    async with open_pool(settings, "footfall erase", 1) as pool:
        client = await connected_client(settings)
        erasures = Erasures(ErasureStore(pool), partial(start_erasure, client))
        asked = await erasures.ask(account_id, subtract=subtract)
        if not as_json:
            console.print(f"erasure {asked.erasure_id} is under way", highlight=False, soft_wrap=True)
        with console.status("waiting for a worker …"):
            gone = await _gone(erasures, asked)
    _tell(gone, as_json=as_json)
    return 0


async def _gone(erasures: Erasures, asked: Erasure) -> Erasure:
    while True:
        found = await erasures.find(asked.erasure_id)
        if found is None:
            raise PermanentError(f"erasure {asked.erasure_id} is not there any more")
        if found.erased_at is not None:
            return found
        await asyncio.sleep(_LOOK_EVERY_S)


def _tell(one: Erasure, *, as_json: bool) -> None:
    if as_json:
        from api.erasures import described  # noqa: PLC0415
        from runtime.fan_outs import print_json  # noqa: PLC0415

        print_json(described(one))
        return
    removed = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in sorted(one.counts.items()) if count)
    console.print(f"gone from every store: {removed or 'there was nothing'}", highlight=False, soft_wrap=True)


async def _export(settings: Settings, account_id: str, out: BinaryIO) -> int:
    from intake.export import Exporter  # noqa: PLC0415
    from runtime.connections import open_block_store, open_pool, open_signal_store  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(settings, "footfall export", 2))
        blocks = await stack.enter_async_context(open_block_store(settings, pool))
        signals = await stack.enter_async_context(open_signal_store(settings, pool, "footfall export"))
        found = await Exporter(pool, blocks, signals).export(account_id)
        async for line in found.lines():
            out.write(line)
        out.flush()
    return 0
