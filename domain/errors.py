"""What can go wrong, as one small tree. The retry policy follows from the class.

FootfallError
├── InvalidInputError    the caller's fault; the same request will fail again
├── ConflictError        the state moved on: a missing or changed thing; the caller decides
├── TransientError       connection, timeout, deadlock, overload: retried for ever, with backoff
└── PermanentError       corrupt data or a broken invariant: retrying cannot help, an operator must look
    └── CorruptBlockError
"""


class FootfallError(Exception):
    """Base of every error that Footfall raises on purpose."""


class InvalidInputError(FootfallError):
    """The input breaks a rule; the message says what and where."""


class ConflictError(FootfallError):
    """The request does not fit the present state."""


class TransientError(FootfallError):
    """A dependency could not do it now; the same call may succeed later."""


class PermanentError(FootfallError):
    """The same call can never succeed."""


class CorruptBlockError(PermanentError):
    """Stored bytes that are not what was written: truncated, altered, or of an unknown version."""
