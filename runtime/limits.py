"""What a process of ours asks of its interpreter and of the system."""

import gc
import resource

_YOUNG = 50_000
_MIDDLE = 20
_OLD = 50


def leave_garbage_longer() -> None:
    """Has the collector of cycles come round less often; call it when all is loaded.

    Requests and interactions under way are many objects in no cycles: with Python's thresholds the collector looks at
    all of them again and again, for half of the time at 10,000 connections (docs/performance/log.md).
    """
    gc.freeze()  # what is loaded now stays: the collector need not look at it again
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)


def allow_many_connections() -> None:
    """Raises the limit of open files to the most that the system lets this process have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
