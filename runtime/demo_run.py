"""The demo's traffic: real time, over the public interface, with a live line of what it does."""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx
import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from domain.errors import InvalidInputError, TransientError
from domain.ids import id_text, new_id_bytes
from domain.week import from_us
from runtime.demo_shop import DemoShop, ShopEvent
from runtime.posting import MAX_ROWS, Poster, new_client
from runtime.signals import stop_event
from runtime.target import api_key

_SEND_EVERY_S = 0.2
_LOOK_EVERY_S = 3.0
_LAST_ANSWER_S = 5.0


@dataclass(slots=True)
class Figures:
    """What the demo did."""

    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    started: float = field(default_factory=time.monotonic)
    top: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.sent / max(time.monotonic() - self.started, 0.001)

    def text(self) -> str:
        text = f"{self.sent} sent, {self.accepted} accepted, {self.duplicates} known already"
        return f"{text}, {self.refused} refused, {self.rate:.0f} events/s"


async def run_demo(shop: DemoShop, url: str, events: int | None, console: Console) -> Figures:
    """Until `events` are sent, or a signal to stop."""
    figures = Figures()
    stop = stop_event()
    async with new_client(url, api_key()) as client:
        poster = Poster(client, retry_for_s=math.inf)
        await _stock(client, shop)
        with Live(console=console, refresh_per_second=2, get_renderable=lambda: _view(figures, shop, poster, url)):
            traffic = asyncio.create_task(_traffic(shop, poster, figures, events, stop))
            looking = asyncio.create_task(_look(client, figures))
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({traffic, stopping}, return_when=asyncio.FIRST_COMPLETED)
                # What is on its way may still be answered, so that the figures are right.
                await asyncio.wait({traffic}, timeout=_LAST_ANSWER_S)
            finally:
                for task in (traffic, looking, stopping):
                    task.cancel()
                results = await asyncio.gather(traffic, looking, stopping, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return figures


async def _stock(client: httpx.AsyncClient, shop: DemoShop) -> None:
    """Puts the shop's items into the catalog, before anybody acts on them.

    Raises:
        TransientError: there is no answer, or another one than to a catalog that was taken in.

    """
    items = shop.items()
    for start in range(0, len(items), MAX_ROWS):
        try:
            answer = await client.put("/items", json={"items": items[start : start + MAX_ROWS]})
        except httpx.TransportError as error:
            raise TransientError(f"{client.base_url} does not answer: {type(error).__name__}") from error
        if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise InvalidInputError(
                f"PUT /items: {answer.json()['detail']} FOOTFALL_API_KEY has to be one for operate."
            )
        if not answer.is_success:
            raise TransientError(f"PUT /items: {answer.status_code} {answer.text}")


async def _traffic(shop: DemoShop, poster: Poster, figures: Figures, events: int | None, stop: asyncio.Event) -> None:
    while not stop.is_set() and (events is None or figures.sent < events):
        most = MAX_ROWS if events is None else min(MAX_ROWS, events - figures.sent)
        due = shop.until(time.time_ns() // 1_000, most)
        if due:
            outcome = await poster.submit(bodies(due))
            figures.sent += len(due)
            figures.accepted += outcome.accepted
            figures.duplicates += outcome.duplicates
            figures.refused += len(due) - outcome.accepted - outcome.duplicates
        if len(due) < most:
            await asyncio.sleep(_SEND_EVERY_S)


def bodies(events: Sequence[ShopEvent]) -> list[bytes]:
    """The events as JSON, each with an id of its own: sending them again is safe."""
    return [
        msgspec.json.encode(
            {
                **one.fields,
                "event_id": id_text(new_id_bytes()),
                "occurred_at": from_us(one.occurred_at_us).isoformat(),
            }
        )
        for one in events
    ]


async def _look(client: httpx.AsyncClient, figures: Figures) -> None:
    while True:
        try:
            answer = await client.get("/popularity/top", params={"window": "1d", "limit": 5})
            figures.top = answer.json()["items"] if answer.is_success else []
        except (httpx.TransportError, ValueError, KeyError):
            figures.top = []
        await asyncio.sleep(_LOOK_EVERY_S)


def _view(figures: Figures, shop: DemoShop, poster: Poster, url: str) -> Group:
    hot = shop.hot.id if shop.hot else "none"
    line = Text(f"{figures.text()}, hot: {hot}")
    if poster.trouble:
        line.append(f"\nwaiting for {url}: {poster.trouble}", style="yellow")
    table = Table("top of today", "score", "views", "purchases", box=None, padding=(0, 2, 0, 0))
    for one in figures.top:
        table.add_row(
            str(one["product_id"]), f"{one['score']:.1f}", str(one["view_count"]), str(one["purchase_count"])
        )
    return Group(line, table)
