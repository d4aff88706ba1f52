"""The one boundary where our errors become Temporal's failures; the retry policy follows from the class."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.metrics import ATTEMPTS, FAILURES
from domain.errors import FootfallError, PermanentError, TransientError

_LONGEST_MESSAGE = 2_000  # characters: failures are kept in histories
_HEARTBEAT_EVERY_S = 3.0


@asynccontextmanager
async def heartbeats() -> AsyncIterator[Callable[[object], None]]:
    """Inside, Temporal hears from this activity whatever it waits for, so that a dead worker is soon noticed.

    What it yields is called with what people should see of an attempt under way, and the next attempt finds.
    Errors are translated as by `translated_failures`.
    """
    details: list[object] = list(activity.info().heartbeat_details)

    def tell(detail: object) -> None:
        details[:] = [detail]
        activity.heartbeat(detail)

    async def beat() -> None:
        while True:
            activity.heartbeat(*details)
            await asyncio.sleep(_HEARTBEAT_EVERY_S)

    beating = asyncio.create_task(beat(), name="heartbeats")
    try:
        with translated_failures():
            yield tell
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


@contextmanager
def translated_failures() -> Iterator[None]:
    """Inside, a FootfallError becomes an ApplicationError of its class name.

    Transient ones are retried for ever; all others, unforeseen exceptions included, are not retried: they would
    fail again, and an operator has to see them.
    """
    name = activity.info().activity_type
    ATTEMPTS.labels(name).inc()
    for foreseen in (TransientError, PermanentError):
        FAILURES.labels(name, foreseen.__name__)  # from now on it says 0: the first one is seen to be one more
    try:
        yield
    except FootfallError as error:
        FAILURES.labels(name, type(error).__name__).inc()
        raise ApplicationError(
            str(error)[:_LONGEST_MESSAGE],
            type=type(error).__name__,
            non_retryable=not isinstance(error, TransientError),
        ) from error
    except Exception as error:
        FAILURES.labels(name, type(error).__name__).inc()
        message = f"{type(error).__name__}: {error}"[:_LONGEST_MESSAGE]
        raise ApplicationError(message, type=type(error).__name__, non_retryable=True) from error
