"""How programs that use the Python client end, and fork: with real processes."""

import asyncio
import signal
import subprocess
import sys
from uuid import UUID

import httpx
import pytest

from tests.clients.driving import assert_recorded_once, environment, new_product
from tests.stack import Stack

_HEAD = """
import asyncio, logging, os, signal, sys, time
from footfall_client import AsyncClient, Client, Limits, view

logging.basicConfig(level="WARNING", stream=sys.stderr)
url, product = sys.argv[1:]
LATE = Limits(linger_s=600)


def record(client, count):
    for number in range(count):
        event_id = client.record(view(f"{product}-{number % 4}", product))
        os.write(1, f"{event_id}\\n".encode())  # whole, whoever else writes

"""


async def _run(
    program: str, url: str, product: str, sign: signal.Signals | None = None
) -> tuple[list[UUID], int, str]:
    """The ids that it recorded, its code, and what it logged; `sign` is sent once it says that it is ready."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", _HEAD + program, url, product),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    ids = []
    async for line in process.stdout:
        if line.strip() == b"ready":
            process.send_signal(sign or signal.SIGCONT)
        else:
            ids.append(UUID(line.decode().strip()))
    _, err = await process.communicate()
    return ids, process.returncode or 0, err.decode()


_ENDS = {
    "at its last line": "client = Client(url, limits=LATE); record(client, 30)",
    "by an exception": "client = Client(url, limits=LATE); record(client, 30); sys.exit(3)",
    "after a with": "with Client(url, limits=LATE) as client: record(client, 30)",
    "with the loop, the client left open": """
async def main():
    record(AsyncClient(url, limits=LATE), 30)

asyncio.run(main())
""",
    "with the loop, the client closed": """
async def main():
    async with AsyncClient(url, limits=LATE) as client:
        record(client, 30)

asyncio.run(main())
""",
    "with a second loop": """
client = AsyncClient(url, limits=LATE)

async def main():
    record(client, 15)

asyncio.run(main())
asyncio.run(main())
""",
}


@pytest.mark.parametrize("how", _ENDS)
async def test_a_program_that_ends_has_sent_all(how: str, stack: Stack, http: httpx.AsyncClient) -> None:
    product = new_product()
    ids, code, err = await _run(_ENDS[how], stack.url, product)
    assert (len(ids), code, err) == (30, 3 if how == "by an exception" else 0, "")
    await assert_recorded_once(http, product, ids)


async def test_a_program_that_turns_sigterm_into_its_end_has_sent_all(stack: Stack, http: httpx.AsyncClient) -> None:
    """As gunicorn, uvicorn and Celery do."""
    product = new_product()
    program = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
record(Client(url, limits=LATE), 30)
print("ready", flush=True)
time.sleep(600)
"""
    ids, code, err = await _run(program, stack.url, product, signal.SIGTERM)
    assert (len(ids), code, err) == (30, 0, "")
    await assert_recorded_once(http, product, ids)


async def test_a_signal_handler_may_record(stack: Stack, http: httpx.AsyncClient) -> None:
    product = new_product()
    program = """
client = Client(url, limits=LATE)
signal.signal(signal.SIGCONT, lambda *_: record(client, 1))
with client._changed:
    print("ready", flush=True)
    signal.sigtimedwait([], 1)
"""
    ids, code, err = await _run(program, stack.url, product)
    assert (len(ids), code, err) == (1, 0, "")
    await assert_recorded_once(http, product, ids)


async def test_what_could_not_be_sent_at_the_end_is_counted() -> None:
    program = """
client = KIND("http://127.0.0.1:9", limits=LATE, exit_timeout_s=0.5)

async def main():
    record(client, 30)

asyncio.run(main())
"""
    for kind in ("Client", "AsyncClient"):
        ids, code, err = await _run(program.replace("KIND", kind), "nowhere", new_product())
        assert (len(ids), code) == (30, 0)
        assert "30 interactions have no acknowledgement: ConnectError" in err


async def test_a_forked_child_sends_its_own_and_the_parent_the_rest(stack: Stack, http: httpx.AsyncClient) -> None:
    """As gunicorn does with an app that is loaded before its workers are."""
    product = new_product()
    program = """
client = Client(url, limits=LATE)
record(client, 10)
client.flush()
record(client, 10)
children = []
for _ in range(3):
    if (child := os.fork()) == 0:
        assert client.stats.recorded == 0
        record(client, 10)
        sys.exit(0)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
record(client, 10)
assert client.flush(30) == 0
assert codes == [0, 0, 0], codes
assert (client.stats.accepted, client.stats.duplicates) == (30, 0), client.stats
"""
    ids, code, err = await _run(program, stack.url, product)
    assert (len(ids), code, err) == (60, 0, "")
    await assert_recorded_once(http, product, ids)


async def test_threads_share_a_client(stack: Stack, http: httpx.AsyncClient) -> None:
    product = new_product()
    program = """
import threading

client = Client(url, limits=Limits(max_batch=50, max_queued=100, linger_s=0.01))

def work():
    for number in range(200):
        event_id = client.record_when_room(view(f"{product}-{number % 4}", product))
        sys.stdout.write(f"{event_id}\\n")

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    ids, code, err = await _run(program, stack.url, product)
    assert (len(ids), code, err) == (1_600, 0, "")
    await assert_recorded_once(http, product, ids)
