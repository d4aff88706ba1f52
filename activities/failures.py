"""The one boundary where our errors become Temporal's failures; the retry policy follows from the class."""

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.exceptions import ApplicationError

from domain.errors import FootfallError, TransientError

_LONGEST_MESSAGE = 2_000  # characters: failures are kept in histories


@contextmanager
def translated_failures() -> Iterator[None]:
    """Inside, a FootfallError becomes an ApplicationError of its class name.

    Transient ones are retried for ever; all others, unforeseen exceptions included, are not retried: they would
    fail again, and an operator has to see them.
    """
    try:
        yield
    except FootfallError as error:
        raise ApplicationError(
            str(error)[:_LONGEST_MESSAGE],
            type=type(error).__name__,
            non_retryable=not isinstance(error, TransientError),
        ) from error
    except Exception as error:
        message = f"{type(error).__name__}: {error}"[:_LONGEST_MESSAGE]
        raise ApplicationError(message, type=type(error).__name__, non_retryable=True) from error
