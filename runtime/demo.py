"""`footfall demo`: made-up shop traffic into a running Footfall."""

import time
from typing import Annotated

import typer


def demo(
    url: Annotated[
        str | None,
        typer.Option(envvar="FOOTFALL_URL", help="[default: the running `footfall up`, or http://127.0.0.1:8000]"),
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=100_000, help="Events a second, on average.")] = 50.0,
    accounts: Annotated[int, typer.Option(min=1, help="Accounts that come and go.")] = 2_000,
    products: Annotated[int, typer.Option(min=12, help="Products, in 12 categories.")] = 500,
    seed: Annotated[
        int | None, typer.Option(help="The same seed makes the same shop. [default: another each time]")
    ] = None,
    events: Annotated[int | None, typer.Option(min=1, help="Stop after so many. [default: at Ctrl-C]")] = None,
) -> None:
    """Make shop traffic with tastes and a trend, until Ctrl-C.

    Each account mostly acts in one or two categories, and every minute or so another product becomes hot.
    """
    import asyncio  # noqa: PLC0415  (so that other commands start without these)

    from rich.console import Console  # noqa: PLC0415

    from runtime.demo_run import run_demo  # noqa: PLC0415
    from runtime.demo_shop import DemoShop  # noqa: PLC0415
    from runtime.target import target_url  # noqa: PLC0415

    start_us = time.time_ns() // 1_000
    seed = start_us if seed is None else seed
    shop = DemoShop(seed=seed, accounts=accounts, products=products, rate=rate, start_us=start_us)
    console = Console()
    figures = asyncio.run(run_demo(shop, target_url(url), events, console))
    if not console.is_terminal:
        console.print()  # there the live view ends without one
    console.print(f"{figures.text()} (seed {seed})", highlight=False)
