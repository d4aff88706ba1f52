"""What it costs to be looked at: metrics and traces, in processor time an interaction.

`python -m bench.telling [--rounds 2] [--out FOLDER]`. A steady load of one interaction a request, as in
bench/costs.py, on a new Footfall for each way of telling: without the worker's metrics, with all metrics asked for
every five seconds, and with traces sent to a collector that takes them and forgets them.
"""

import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated

import typer

from bench.costs import Bench
from bench.machine import describe_hardware
from bench.stack import data_folder, footfall_up
from bench.table import Table, write_page

_RATE = 600.0
"""Requests a second: traced every one, an API process still has time left."""
_SECONDS = 6.0
_WARM_UP_S = 2.0
_SCRAPE_EVERY_S = 5.0
_HUNDREDTH = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}


class _Forgetful(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Quietly."""


@contextmanager
def _collector() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Forgetful)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def _scraped(urls: Mapping[str, str]) -> Iterator[None]:
    """As by a Prometheus, and three times as often as it usually asks."""
    over = threading.Event()

    def scrape() -> None:
        while not over.wait(_SCRAPE_EVERY_S):
            for url in urls.values():
                with urllib.request.urlopen(url) as answer:
                    answer.read()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _measure(table: Table, name: str, settings: Mapping[str, str]) -> None:
    with data_folder() as folder, footfall_up(folder, settings) as (instance, _):
        bench = Bench(instance, None, _SECONDS)
        bench.warm_up(_WARM_UP_S)
        bench.rest(Table())
        with _scraped(instance.metrics_urls if "worker" in instance.metrics_urls else {}):
            used, _, _ = bench.load(1, _RATE)
        for part in ("api", "worker"):
            table.add(f"{name}: CPU of {part}, µs an interaction", used.cpu_s[part] / used.events * 1e6)


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Of all, one after the other.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Folder for the page and the figures.")] = None,
) -> None:
    table = Table()
    with _collector() as url:
        ways = {
            "nothing of the worker": {"FOOTFALL_WORKER_METRICS_PORT": "0"},
            "metrics": {},
            "metrics, and a hundredth traced": {"OTEL_EXPORTER_OTLP_ENDPOINT": url, **_HUNDREDTH},
            "metrics, and every request traced": {"OTEL_EXPORTER_OTLP_ENDPOINT": url},
        }
        for _ in range(rounds):
            for name, settings in ways.items():
                _measure(table, name, settings)
    if out is not None:
        write_page(
            out, "telling", "What it costs to be looked at", describe_hardware(), {f"{_RATE:.0f} a second": table}
        )


if __name__ == "__main__":
    typer.run(main)
