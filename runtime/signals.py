"""Signals that ask a process to stop, and that it does."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_log = logging.getLogger(__name__)
_CANCEL_S = 1.0

T = TypeVar("T")


def stop_event() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set, in the running loop."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, event.set)
    return event


async def unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` returns; None where `stop` is set before, and `work` is cancelled then."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.wait({working, stopping}, timeout=_CANCEL_S)


def end_within(seconds: float) -> None:
    """From now on this process has so long to end, and is ended then whatever hangs.

    That loses nothing: what was acknowledged is in the stores, and the rest is taken up as after a kill.
    """
    timer = threading.Timer(seconds, _end, [seconds])
    timer.daemon = True  # nobody waits for it
    timer.start()


def _end(seconds: float) -> None:
    _log.error("could not end in an orderly way within %.0f s; what is left undone is taken up by others", seconds)
    logging.shutdown()
    os._exit(os.EX_SOFTWARE)
