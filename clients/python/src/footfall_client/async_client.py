"""The client for asyncio: a task of its own sends."""

import asyncio
import atexit
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import UUID

import httpx

from footfall_client.base import PARTIAL, PATH, BaseClient, new_entry, read
from footfall_client.client import post
from footfall_client.interaction import Interaction
from footfall_client.outbox import Batch
from footfall_client.queries import Query, T


class AsyncClient(BaseClient):
    """The same as `Client` on an event loop, and to be used on one loop at a time.

    What a loop leaves behind, since nobody closed the client, is sent at the end of the program. In a forked child it
    begins anew, with nothing to send.
    """

    def _open(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._http: httpx.AsyncClient | None = None
        self._due = asyncio.Event()
        self._moved = asyncio.Event()
        """Set, and replaced, whenever something was settled."""

    def record(self, interaction: Interaction) -> UUID:
        """Takes an interaction to be sent soon; nothing to await. Returns its event id.

        Raises:
            QueueFullError, ClosedError, InvalidInteractionError: it was not taken.

        """
        entry, event_id = new_entry(interaction)
        self._check_open()
        self._start()
        if self._outbox.add(entry):
            self._due.set()
        return event_id

    async def record_when_room(self, interaction: Interaction, timeout_s: float | None = None) -> UUID:
        """The same, after waiting for room where there is none; for as long as it takes when `timeout_s` is None."""
        self._check_open()
        self._start()
        await self._until(lambda: self._outbox.has_room or self._outbox.closed, timeout_s)
        return self.record(interaction)

    async def flush(self, timeout_s: float | None = None) -> int:
        """Sends what was recorded so far, and waits until it is acknowledged or rejected.

        Returns how many of these interactions are neither when time is over: 0 when all is well.
        """
        up_to = self._outbox.hurry()
        if self._outbox.settled >= up_to:
            return 0
        self._start()
        self._due.set()
        await self._until(lambda: self._outbox.settled >= up_to, timeout_s)
        return max(0, up_to - self._outbox.settled)

    async def close(self, timeout_s: float | None = None) -> list[Interaction]:
        """Takes no more, and sends what is left, for `exit_timeout_s` when `timeout_s` is None.

        Returns the interactions that have no acknowledgement, with their ids: they may safely be recorded again.
        """
        atexit.unregister(self._at_exit)
        if self._outbox.closed:
            return self._outbox.unsettled()
        self._start()
        self._outbox.close()
        self._due.set()
        assert self._task is not None  # noqa: S101  (it was started)
        await asyncio.wait({self._task}, timeout=self._exit_timeout_s if timeout_s is None else timeout_s)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        unsent = self._outbox.unsettled()
        self._report_unsent(unsent)
        return unsent

    async def get(self, query: Query[T]) -> T:
        """Asks once.

        Raises:
            AnswerError: the answer is an error.
            ClosedError: nothing was asked.
            httpx.HTTPError: there is none.

        """
        self._check_open()
        return read(query, await self._start().get(query.path, params=query.params))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    def _start(self) -> httpx.AsyncClient:
        """The sender, where none runs on this loop, and its connections."""
        loop = asyncio.get_running_loop()
        if self._http is None or self._task is None or self._task.done() or self._loop is not loop:
            self._loop, self._due, self._moved = loop, asyncio.Event(), asyncio.Event()
            self._http = httpx.AsyncClient(**self._httpx_options)
            self._task = loop.create_task(self._keep_sending(self._http), name="footfall-client")
        return self._http

    async def _until(self, settled: Callable[[], bool], timeout_s: float | None) -> None:
        """Or until time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not settled():
                    await self._moved.wait()

    async def _keep_sending(self, http: httpx.AsyncClient) -> None:
        async with http:
            while (batch := await self._next_batch()) is not None:
                rejections = self._answered(await _post(http, batch))
                self._moved.set()
                self._moved = asyncio.Event()
                self._report(rejections)

    async def _next_batch(self) -> Batch | None:
        """Once it is due; None when there is none to come."""
        while not isinstance(step := self._outbox.next(time.monotonic()), Batch):
            if step is None and self._outbox.closed:
                return None
            self._due.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(step):
                    await self._due.wait()
        return step

    def _at_exit(self) -> None:
        """Without a loop: there is none any more."""
        self._outbox.close()
        if self._outbox.next(time.monotonic()) is None:
            return
        deadline = time.monotonic() + self._exit_timeout_s
        with httpx.Client(**self._httpx_options) as http:
            while (step := self._outbox.next(now := time.monotonic())) is not None and now < deadline:
                if isinstance(step, Batch):
                    self._report(self._answered(post(http, step)))
                else:
                    time.sleep(min(step, deadline - now))
        self._report_unsent(self._outbox.unsettled())


async def _post(http: httpx.AsyncClient, batch: Batch) -> httpx.Response | Exception:
    """Whatever goes wrong is no answer: the interactions stay, and are sent again."""
    try:
        return await http.post(PATH, params=PARTIAL, content=batch.body)
    except Exception as error:
        return error
