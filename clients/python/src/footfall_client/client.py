"""The client for programs with threads: a thread of its own sends."""

import atexit
import threading
import time
from types import TracebackType
from typing import Self
from uuid import UUID

import httpx

from footfall_client.base import PARTIAL, PATH, BaseClient, new_entry, read
from footfall_client.interaction import Interaction
from footfall_client.outbox import Batch, Entry
from footfall_client.queries import Query, T


class Client(BaseClient):
    """Takes interactions from any thread, sends them in batches, and again until they are acknowledged.

    At the end of the program what is left is sent. In a forked child it begins anew, with nothing to send.
    """

    def _open(self) -> None:
        self._changed = threading.Condition()
        """Guards all that follows, and the outbox; it can be entered again, by a signal handler that records."""
        self._thread: threading.Thread | None = None
        self._http: httpx.Client | None = None
        self._given_up = False

    def record(self, interaction: Interaction) -> UUID:
        """Takes an interaction to be sent soon; never waits. Returns its event id.

        Raises:
            QueueFullError, ClosedError, InvalidInteractionError: it was not taken.

        """
        entry, event_id = new_entry(interaction)
        with self._changed:
            self._add(entry)
        return event_id

    def record_when_room(self, interaction: Interaction, timeout_s: float | None = None) -> UUID:
        """The same, after waiting for room where there is none; for as long as it takes when `timeout_s` is None."""
        entry, event_id = new_entry(interaction)
        with self._changed:
            self._changed.wait_for(lambda: self._outbox.has_room or self._outbox.closed, timeout_s)
            self._add(entry)
        return event_id

    def flush(self, timeout_s: float | None = None) -> int:
        """Sends what was recorded so far, and waits until it is acknowledged or rejected.

        Returns how many of these interactions are neither when time is over: 0 when all is well.
        """
        with self._changed:
            up_to = self._outbox.hurry()
            if self._outbox.settled < up_to:
                self._start()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._outbox.settled >= up_to or self._given_up, timeout_s)
            return max(0, up_to - self._outbox.settled)

    def close(self, timeout_s: float | None = None) -> list[Interaction]:
        """Takes no more, and sends what is left, for `exit_timeout_s` when `timeout_s` is None.

        Returns the interactions that have no acknowledgement, with their ids: they may safely be recorded again.
        """
        atexit.unregister(self._at_exit)
        with self._changed:
            if self._outbox.closed:
                return self._outbox.unsettled()
            self._outbox.close()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(self._exit_timeout_s if timeout_s is None else timeout_s)
        with self._changed:
            self._given_up = True
            self._changed.notify_all()
            unsent = self._outbox.unsettled()
            if self._http is not None and not self._is_sending:
                self._http.close()
        self._report_unsent(unsent)
        return unsent

    def get(self, query: Query[T]) -> T:
        """Asks once.

        Raises:
            AnswerError: the answer is an error.
            ClosedError: nothing was asked.
            httpx.HTTPError: there is none.

        """
        self._check_open()
        return read(query, self._connections().get(query.path, params=query.params))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def _at_exit(self) -> None:
        self.close()

    @property
    def _is_sending(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _add(self, entry: Entry) -> None:
        self._check_open()
        self._start()
        if self._outbox.add(entry):
            self._changed.notify_all()

    def _start(self) -> None:
        if not self._is_sending:
            self._thread = threading.Thread(target=self._keep_sending, name="footfall-client", daemon=True)
            self._thread.start()

    def _connections(self) -> httpx.Client:
        with self._changed:
            if self._http is None:
                self._http = httpx.Client(**self._httpx_options)
            return self._http

    def _keep_sending(self) -> None:
        http = self._connections()
        while (batch := self._next_batch()) is not None:
            answer = post(http, batch)
            with self._changed:
                rejections = self._answered(answer)
                self._changed.notify_all()
            self._report(rejections)

    def _next_batch(self) -> Batch | None:
        """Once it is due; None when there is none to come."""
        with self._changed:
            while not self._given_up:
                step = self._outbox.next(time.monotonic())
                if isinstance(step, Batch):
                    return step
                if step is None and self._outbox.closed:
                    break
                self._changed.wait(step)
        return None


def post(http: httpx.Client, batch: Batch) -> httpx.Response | Exception:
    """Whatever goes wrong is no answer: the interactions stay, and are sent again."""
    try:
        return http.post(PATH, params=PARTIAL, content=batch.body)
    except Exception as error:
        return error
