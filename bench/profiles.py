"""Where API and worker spend their time under load, as flame graphs: `python -m bench.profiles [--out FOLDER]`.

One interaction a request over 32 connections. Sampled from outside by py-spy; threads that wait are left out.
"""

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from bench.events import requests
from bench.loadgen import load
from bench.peers.system import HOST
from bench.stack import data_folder, footfall_up

_CONNECTIONS = 32
_SAMPLES_A_SECOND = 250
_WARM_S = 3.0
_BEFORE_S = 1.0


def _record(pid: int, seconds: int, out: Path) -> None:
    py_spy = Path(sys.executable).with_name("py-spy")
    time.sleep(_BEFORE_S)
    subprocess.run(
        [str(py_spy), "record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(_SAMPLES_A_SECOND),
         "--output", str(out)],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def main(
    out: Annotated[Path, typer.Option(help="Folder for profile-api.svg and profile-worker.svg.")] = Path(),
    seconds: int = 15,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with data_folder() as folder, footfall_up(folder) as (instance, _):
        port = int(instance.api_url.rsplit(":", 1)[1])
        load(HOST, port, requests(HOST, 1), connections=_CONNECTIONS, seconds=_WARM_S)
        for name in ("api", "worker"):
            recording = threading.Thread(
                target=_record, args=(instance.pids[name], seconds, out / f"profile-{name}.svg")
            )
            recording.start()
            result = load(
                HOST, port, requests(HOST, 1), connections=_CONNECTIONS, seconds=_BEFORE_S + seconds + _BEFORE_S
            )
            recording.join()
            print(f"{name}: {result.answers / result.seconds:,.0f} requests/s while it was sampled")


if __name__ == "__main__":
    typer.run(main)
