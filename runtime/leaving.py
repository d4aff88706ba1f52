"""How an API process leaves: on SIGTERM it says so and serves on, and ends some seconds later."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import cast

from uvicorn.supervisors import Multiprocess

from api.leaving import Leaving

_Handler = Callable[[int, FrameType | None], None]

_ALL_LEAVE = "leaving"
"""A file that is there from when all processes of a port are told to end."""


class Processes(Multiprocess):
    """Several on one port; `folder` is one that they share."""

    def __init__(self, *arguments: object, folder: Path) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._folder = folder

    def terminate_all(self) -> None:
        (self._folder / _ALL_LEAVE).touch()
        super().terminate_all()

    def keep_subprocess_alive(self) -> None:
        """Replaces those that died or hang. The child's end of the pipe is closed here first: else one that dies
        between being asked whether it is well and its answer is waited for as long as one that hangs.
        """
        for process in self.processes:
            process.child_conn.close()
        super().keep_subprocess_alive()


def leaving_one_of(folder: Path | None) -> Leaving:
    """Of a process alone on its port, or of one of several that share this folder."""
    if folder is None:
        return Leaving()
    return Leaving(lambda: not (folder / _ALL_LEAVE).exists())


def leave_on_sigterm(leaving: Leaving, seconds: float) -> None:
    """Puts off what SIGTERM does now; a second one does it at once. To be called when that is in place."""
    end = signal.getsignal(signal.SIGTERM)
    if not seconds or not callable(end):
        return
    loop = asyncio.get_running_loop()

    def leave(number: int, frame: FrameType | None) -> None:
        if leaving.begun:
            cast("_Handler", end)(number, frame)
            return
        leaving.begin()
        loop.call_soon_threadsafe(loop.call_later, seconds, os.kill, os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)
