"""What a trickle of events costs, one a request: `python -m bench.trickle [--seconds 25]`."""

import time
from typing import Annotated

import typer

from bench.beside import open_loop
from bench.peers.system import ask
from bench.processes import cpu_seconds
from bench.stack import data_folder, footfall_up

_RATES = (30, 100, 300)
_BATCHES = "SELECT count(*) FROM batch_end"
_PARTS = ("api", "worker", "temporal")


def main(seconds: Annotated[float, typer.Option(help="How long each rate is sent.")] = 25.0) -> None:
    with data_folder() as folder, footfall_up(folder) as (instance, _):
        port, pids = int(instance.api_url.rsplit(":", 1)[1]), [instance.pids[part] for part in _PARTS]
        for rate in _RATES:
            time.sleep(1)
            batches, cpu = int(str(ask(instance.postgres_url, _BATCHES))), [cpu_seconds([pid]) for pid in pids]
            with open_loop(port, rate, seconds):
                pass
            made = int(str(ask(instance.postgres_url, _BATCHES))) - batches
            shares = [(cpu_seconds([pid]) - before) / seconds for pid, before in zip(pids, cpu, strict=True)]
            told = ", ".join(f"{part} {share:.0%}" for part, share in zip(_PARTS, shares, strict=True))
            print(f"{rate} events/s: {made / seconds:.1f} batches/s; of a core: {told}", flush=True)


if __name__ == "__main__":
    typer.run(main)
