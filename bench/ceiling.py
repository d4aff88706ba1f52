"""The load generator's own limit: how fast it is where the server costs next to nothing."""

import asyncio
import multiprocessing
import time
from multiprocessing.connection import Connection as Pipe
from typing import cast

import uvloop

from bench.http1 import post
from bench.loadgen import drive

HOST = "127.0.0.1"
_OPEN_LOOP_RATE = 10_000.0


class _Responder(asyncio.Protocol):
    """Answers every read with an empty 202."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, _data: bytes) -> None:
        self._transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")


def _respond(pipe: "Pipe[int, None]") -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Responder, HOST, 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


async def measure_ceiling(seconds: float) -> None:
    """Prints requests a second and CPU a request of this process."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    responder = multiprocessing.get_context("spawn").Process(target=_respond, args=(theirs,), daemon=True)
    responder.start()
    port = int(ours.recv())
    request = post(HOST, "/interaction", b"{}" * 80)
    try:
        for connections, rate in ((1, None), (32, None), (32, _OPEN_LOOP_RATE)):
            before = time.process_time()
            result = await drive(HOST, port, lambda: request, connections=connections, seconds=seconds, rate=rate)
            cpu_us = (time.process_time() - before) / result.require(202).answers * 1e6
            what = f"{connections} connections, {'closed' if rate is None else 'open'} loop"
            print(
                f"{what}: {result.answers / result.seconds:,.0f} requests/s, {cpu_us:.0f} µs of CPU a request, "
                f"p50 {result.percentile_ms(50):.3f} ms, p99 {result.percentile_ms(99):.3f} ms"
            )
    finally:
        responder.terminate()
        responder.join()
