"""How long after its POST an interaction is seen in GET /popularity."""

import asyncio
import json
import time
from http import HTTPStatus
from uuid import uuid4

from bench.loadgen import get, post
from bench.peers.system import HOST

_LOOK_AGAIN_S = 0.005


async def visible_after_ms(port: int) -> float:
    """Sends a view of a product of its own, and asks until it is there."""
    product = f"probe-{uuid4()}"
    body = {"account_id": "prober", "event_type": "view", "ref_type": "Product", "ref_id": product}
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        started = time.perf_counter()
        writer.write(post(HOST, "/interaction", json.dumps(body).encode()))
        if (status := await _status(reader)) != HTTPStatus.ACCEPTED:
            raise SystemExit(f"a probe was answered {status}")
        while True:
            writer.write(get(HOST, f"/popularity/{product}"))
            if await _status(reader) == HTTPStatus.OK:
                return (time.perf_counter() - started) * 1000
            await asyncio.sleep(_LOOK_AGAIN_S)
    finally:
        writer.close()


async def _status(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    await reader.readexactly(length)
    return int(head[9:12])
