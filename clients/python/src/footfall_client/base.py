"""What both clients are but for their waiting: settings, the outbox, what is asked of httpx."""

import atexit
import logging
import os
import time
import weakref
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx

from footfall_client.errors import AnswerError, ClosedError
from footfall_client.interaction import Interaction, encoded, stamped
from footfall_client.outbox import Entry, Limits, Outbox, Rejection, Stats
from footfall_client.queries import Query, T
from footfall_client.verdict import Answer
from footfall_client.version import VERSION

_log = logging.getLogger("footfall_client")

_SHOWN = 3
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

PATH = "interaction"
PARTIAL = {"partial": "true"}
"""One that is invalid does not keep the others of its batch out."""

OnRejected = Callable[[Sequence[Rejection]], None]


def log_rejected(rejections: Sequence[Rejection]) -> None:
    """One line for those of one request."""
    shown = [f"{one.interaction.event_id} ({one.status} {one.reason})" for one in rejections[:_SHOWN]]
    more = f" and {len(rejections) - _SHOWN} more" if len(rejections) > _SHOWN else ""
    _log.warning("%d interactions were rejected: %s%s", len(rejections), ", ".join(shown), more)


class BaseClient:
    """Args:
    url: of the server, with the path that it stands under, if any.
    api_key: sent as a bearer token.
    limits: bounds of the queue and of a request.
    timeout_s: until a connection, and until each part of an answer.
    exit_timeout_s: how long the end of the program, or of a `with`, waits for what is not sent yet.
    on_rejected: told of what the server refuses for good; logged as a warning when None. It is called by the
        sender, so it must not wait for what is still to be sent.

    Raises:
        ValueError: the url or the key can't be one.

    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        limits: Limits | None = None,
        timeout_s: float = 30.0,
        exit_timeout_s: float = 10.0,
        on_rejected: OnRejected | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._exit_timeout_s = exit_timeout_s
        self._on_rejected = on_rejected or log_rejected
        self._httpx_options = _httpx_options(url, api_key, timeout_s)
        self._outbox = Outbox(self._limits)
        self._open()
        _clients.add(self)
        atexit.register(self._at_exit)

    def _open(self) -> None:
        """Makes what sending needs, but for what is made when it is first used."""
        raise NotImplementedError

    @property
    def stats(self) -> Stats:
        """What became of what was recorded; the object goes on counting."""
        return self._outbox.stats

    def _at_exit(self) -> None:
        """Sends what is left, as far as that can be had in time."""
        raise NotImplementedError

    def _check_open(self) -> None:
        if self._outbox.closed:
            raise ClosedError("the client is closed")

    def _after_fork(self) -> None:
        """In the child: what was recorded before is the parent's to send, and so are its connections."""
        was_closed = self._outbox.closed
        self._outbox = Outbox(self._limits)
        self._outbox.closed = was_closed
        self._open()

    def _report(self, rejections: Sequence[Rejection]) -> None:
        if rejections:
            try:
                self._on_rejected(rejections)
            except Exception:
                # The app's fault must not end the sending of all else.
                _log.exception("on_rejected failed for %d interactions", len(rejections))

    def _report_unsent(self, unsent: Sequence[Interaction]) -> None:
        if unsent:
            _log.error("%d interactions have no acknowledgement: %s", len(unsent), self._outbox.stats.trouble)

    def _answered(self, answer: httpx.Response | Exception) -> list[Rejection]:
        """Of the batch in hand."""
        if isinstance(answer, Exception):
            self._outbox.failed(f"{type(answer).__name__} {answer}".strip(), time.monotonic())
            return []
        said = Answer(answer.status_code, answer.headers, answer.content)
        return self._outbox.answered(said, time.monotonic(), datetime.now(UTC))


def new_entry(interaction: Interaction) -> tuple[Entry, UUID]:
    one = stamped(interaction)
    line = encoded(one)
    assert one.event_id is not None  # noqa: S101  (it is stamped)
    return Entry(one, line, time.monotonic()), one.event_id


def read(query: Query[T], response: httpx.Response) -> T:
    """The answer to a query.

    Raises:
        AnswerError: it is an error.

    """
    if response.status_code == httpx.codes.OK:
        return query.answer(response.json())
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    raise AnswerError(response.status_code, problem if isinstance(problem, dict) else {})


def _httpx_options(url: str, api_key: str | None, timeout_s: float) -> dict[str, Any]:
    parsed = httpx.URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"{url!r} is not an http:// or https:// URL")
    headers = {"Content-Type": "application/json", "User-Agent": f"footfall-client/{VERSION} (Python)"}
    if api_key is not None:
        if not (api_key.isascii() and api_key.isprintable()):
            raise ValueError("an API key has printable ASCII characters only")
        headers["Authorization"] = f"Bearer {api_key}"
    return {
        "base_url": parsed,
        "headers": headers,
        "timeout": timeout_s,
        # A proxy from the environment would rarely reach this very machine.
        "trust_env": parsed.host not in _LOOPBACK,
    }


_clients: "weakref.WeakSet[BaseClient]" = weakref.WeakSet()


def _after_fork() -> None:
    for client in list(_clients):
        client._after_fork()  # noqa: SLF001  (a hook of the module's own)


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork)
