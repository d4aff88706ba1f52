"""Hears, through PostgreSQL's NOTIFY, which batches were released; only a hint, nothing depends on hearing all."""

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self
from uuid import UUID

import asyncpg

from domain.errors import FootfallError
from intake.log import RELEASED_CHANNEL
from store.postgres import CONNECT_TIMEOUT_S, translated_errors

_log = logging.getLogger(__name__)
_RECONNECT_AFTER_S = 1.0


class Releases:
    """Tells its listeners of every release heard, with the batch's id, and of every reconnect, with None."""

    def __init__(self, url: str, *, name: str) -> None:
        self._url = url
        self._name = name
        self._listeners: set[Callable[[UUID | None], None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="hear releases")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def add(self, listener: Callable[[UUID | None], None]) -> None:
        self._listeners.add(listener)

    def remove(self, listener: Callable[[UUID | None], None]) -> None:
        self._listeners.discard(listener)

    async def _run(self) -> None:
        while True:
            try:
                with translated_errors():
                    await self._listen()
            except FootfallError as error:
                _log.warning("lost the connection that hears releases, connecting again: %s", error)
            await asyncio.sleep(_RECONNECT_AFTER_S)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(
            self._url,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=CONNECT_TIMEOUT_S,
            server_settings={"application_name": self._name},
        )
        closed = asyncio.Event()
        connection.add_termination_listener(lambda _connection: closed.set())
        try:
            await connection.add_listener(RELEASED_CHANNEL, self._heard)
            self._tell(None)
            await closed.wait()
        finally:
            connection.terminate()  # a farewell could fail, and its error would take the place of our cancellation

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._tell(UUID(str(payload)))

    def _tell(self, batch_id: UUID | None) -> None:
        for listener in list(self._listeners):
            listener(batch_id)
