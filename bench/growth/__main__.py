"""How cost grows, axis by axis: `python -m bench.growth [--quick] [--out FOLDER] [--only AXIS,AXIS]`.

Server, workers, databases and the load generator share one machine, so compare figures of one run with each other.
The largest sizes take gigabytes of disk, which are given back.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.growth import accounts, backlog, front_door, ledger, products
from bench.growth.axis import DEFINITION, Axis
from bench.growth.measuring import FULL, QUICK, Effort
from bench.machine import describe_hardware
from runtime.temporal_binary import VERSION

_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
_AXES: dict[str, Callable[[Sequence[int], Effort], Axis]] = {
    "products": products.measure,
    "ledger": ledger.measure,
    "accounts": accounts.measure,
    "events": front_door.measure_events,
    "connections": front_door.measure_connections,
    "backlog": backlog.measure,
}
_QUICK = {
    "products": (1_000, 10_000, 100_000),
    "ledger": (1_000, 10_000, 100_000),
    "accounts": (1_000, 10_000, 100_000),
    "events": (1, 10, 100),
    "connections": (1, 10, 100),
    "backlog": (0, 1_000, 10_000),
}


def page(axes: Sequence[Axis], machine: str) -> str:
    head = ["# How cost grows", "`python -m bench.growth`", machine, DEFINITION]
    return "\n\n".join([*head, *(axis.markdown() for axis in axes)]) + "\n"


def write(out: Path, axes: Sequence[Axis], machine: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "growth.md").write_text(page(axes, machine))
    figures = {axis.name: axis.figures() for axis in axes}
    notes = {axis.name: axis.notes for axis in axes}
    (out / "growth.json").write_text(
        json.dumps({"machine": machine, "figures": figures, "notes": notes}, indent=1) + "\n"
    )
    for axis in axes:
        axis.plot(out)


def _tens(least: int, most: int) -> list[int]:
    """Powers of ten from the one to the other."""
    return [10**power for power in range(10) if least <= 10**power <= most]


def main(
    quick: Annotated[bool, typer.Option(help="Small sizes; slopes of so few say little.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the page, the plots and the figures.")] = None,
    only: Annotated[str, typer.Option(help="Which axes, with commas between.")] = ",".join(_AXES),
    most_products: Annotated[int, typer.Option(help="Ten million take 6 GB of disk.")] = 10_000_000,
    most_ids: Annotated[int, typer.Option(help="In the ledger; a hundred million take 20 GB.")] = 100_000_000,
    most_accounts: Annotated[int, typer.Option(help="Ten million take 4 GB.")] = 10_000_000,
    most_connections: int = 10_000,
    most_backlog: int = 1_000_000,
) -> None:
    sizes = _QUICK if quick else {
        "products": _tens(1_000, most_products),
        "ledger": _tens(100_000, most_ids),
        "accounts": _tens(1_000, most_accounts),
        "events": _EVENTS,
        "connections": _tens(1, most_connections),
        "backlog": [0, *_tens(10_000, most_backlog)],
    }  # fmt: skip
    machine = describe_hardware(f"Temporal CLI {VERSION}")
    axes = []
    for name in only.split(","):
        print(name, flush=True)
        axes.append(_AXES[name](sizes[name], QUICK if quick else FULL))
        if out is not None:
            write(out, axes, machine)  # after each: what comes later may take an hour
    print(page(axes, machine))


if __name__ == "__main__":
    typer.run(main)
