"""`footfall keys`: who may call the API."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from domain.access import SCOPES, Scope, new_key
from domain.errors import InvalidInputError
from runtime.commands import connected_settings, console, errors
from runtime.importing.time_mapping import parse_span
from store.keys import KeyRecord, KeyStore

app = typer.Typer(help="Keys that programs call the API with.", no_args_is_help=True)

_T = TypeVar("_T")
_LONGEST_NAME = 100

Scopes = Annotated[
    list[str],
    typer.Option("--scope", help=f"What it may: {', '.join(SCOPES)}; or several.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


@app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What it is for: others see it in the list.")],
    scope: Scopes,
    expires_in: Annotated[
        str | None, typer.Option(help="How long it holds: 12h, 90d, 52w. [default: until it is revoked]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, and show it: this once, as it is kept nowhere. Running APIs know it within seconds."""
    if not 1 <= len(name) <= _LONGEST_NAME:
        raise InvalidInputError(f"a name has 1 to {_LONGEST_NAME} characters")
    scopes = _scopes(scope)
    expires_at = None if expires_in is None else datetime.now(UTC) + timedelta(microseconds=parse_span(expires_in))
    key = new_key()
    _with_store(lambda store: store.add(key, name, scopes, expires_at))
    if as_json:
        _print_json({"key_id": key.key_id, "key": key.text, "name": name, "scopes": scopes, "expires_at": expires_at})
        return
    errors.print(f"The key {key.key_id} for {name}. It is not shown again:", highlight=False, markup=False)
    console.print(key.text, highlight=False, markup=False, soft_wrap=True)


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """All keys that were made, and when they were used last; not the keys themselves."""
    found = _with_store(KeyStore.all)
    if as_json:
        _print_json([_described(one) for one in found])
    elif not found:
        console.print("there are no keys")
    else:
        console.print(_table(found))


@app.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="As `footfall keys list` has it.")]) -> None:
    """Take a key back, for good. Running APIs refuse it within seconds."""
    _with_store(lambda store: store.revoke(key_id))
    console.print(f"revoked {key_id}", highlight=False)


def _scopes(names: Sequence[str]) -> list[Scope]:
    chosen = [scope for scope in SCOPES if scope in names]
    unknown = sorted(set(names) - set(SCOPES))
    if unknown:
        raise InvalidInputError(f"{', '.join(unknown)}: a scope is one of {', '.join(SCOPES)}")
    return chosen


def _with_store(work: Callable[[KeyStore], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        from runtime.connections import open_pool  # noqa: PLC0415  (so that other commands start without it)

        async with open_pool(connected_settings(), "footfall keys", 1) as pool:
            return await work(KeyStore(pool))

    return asyncio.run(run())


def _state(one: KeyRecord) -> str:
    if one.revoked_at is not None:
        return "revoked"
    return "expired" if one.expires_at is not None and one.expires_at <= datetime.now(UTC) else "active"


def _described(one: KeyRecord) -> dict[str, object]:
    return {
        "key_id": one.key_id,
        "name": one.name,
        "scopes": one.scopes,
        "state": _state(one),
        "created_at": one.created_at,
        "expires_at": one.expires_at,
        "revoked_at": one.revoked_at,
        "last_used_at": one.last_used_at,
    }


def _table(found: Sequence[KeyRecord]) -> Table:
    table = Table("id", "name", "scopes", "state", "made", "expires", "last used")
    for one in found:
        times = (one.created_at, one.expires_at, one.last_used_at)
        shown = ("" if moment is None else f"{moment:%Y-%m-%d %H:%M}" for moment in times)
        table.add_row(one.key_id, one.name, " ".join(one.scopes), _state(one), *shown)
    return table


def _print_json(document: object) -> None:
    from runtime.fan_outs import print_json  # noqa: PLC0415

    print_json(document)
