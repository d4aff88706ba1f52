#!/usr/bin/env python3
"""Says whether the worker of this container takes work: exits with 0 when it does, else with 1 and a line why.

A worker has no port to ask. Temporal knows it from the other side: who polled a task queue, and when. A process that
hangs or has lost its connection still is in every list of processes, and drops out of this one.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from domain.batch import TASK_QUEUE
from runtime.settings import Settings

# A poll without work is answered after a minute; Temporal forgets who polled after five, which is late to notice.
_RECENT = timedelta(minutes=2)
_PATIENCE_S = 10.0
_RPC_TIMEOUT = timedelta(seconds=5)


async def fault(client: Client, task_queue: str = TASK_QUEUE) -> str | None:
    """Why no worker of this host counts as working; None when one does.

    Only polls for workflow tasks are looked at. A worker whose activities all wait for a store that is down has no
    room for more and so does not ask for any, as it should.
    """
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=task_queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    answer = await client.workflow_service.describe_task_queue(request, timeout=_RPC_TIMEOUT)
    host = socket.gethostname()
    if polled_lately(answer.pollers, host, datetime.now(UTC)):
        return None
    return f"Temporal knows of no poll of {task_queue!r} from {host} in the last {_RECENT}"


def polled_lately(pollers: Iterable[PollerInfo], host: str, now: datetime) -> bool:
    """Whether a process of `host` is among them; the SDK calls itself pid@host, and the host is the container."""
    return any(
        poller.identity.rpartition("@")[2] == host and now - poller.last_access_time.ToDatetime(UTC) < _RECENT
        for poller in pollers
    )


async def _check(settings: Settings) -> str | None:
    if settings.temporal_address is None:
        return "TEMPORAL_ADDRESS is not set"
    try:
        async with asyncio.timeout(_PATIENCE_S):
            client = await Client.connect(settings.temporal_address, namespace=settings.temporal_namespace)
            return await fault(client)
    except TimeoutError:
        return f"Temporal at {settings.temporal_address} has not answered for {_PATIENCE_S:.0f} s"
    except (RPCError, RuntimeError) as error:  # RuntimeError is what the SDK raises where it can't connect
        return f"Temporal at {settings.temporal_address}: {error}"


if __name__ == "__main__":
    found = asyncio.run(_check(Settings()))
    if found is not None:
        print(found, file=sys.stderr)  # noqa: T201  (for whoever looks at the container's health)
    # The SDK's threads may outlive the interpreter and abort it (temporalio/sdk-python#300): it is left to nobody.
    sys.stderr.flush()
    os._exit(0 if found is None else 1)
