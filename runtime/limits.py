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


def allow_open_files(wanted: int | None = None) -> int:
    """Lets this process, and what it starts from now on, open so many files and sockets, or as many as it may.

    None: as many as it may. Returns how many these are.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else max(wanted or soft, soft)
    allowed = most if wanted is None else max(soft, min(wanted, most))
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
