"""The intake's side of Temporal: starts the workflow that carries a batch, and asks whether it is open; starts
erasures.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.batch import RECORD_INTERACTIONS, TASK_QUEUE, BatchInput
from domain.erasure import ERASE_ACCOUNT, ErasureInput, workflow_id
from domain.errors import TransientError

_RPC_TIMEOUT = timedelta(seconds=10)


class Carrier:
    """Batches as workflows: the workflow's id is the batch's id."""

    def __init__(self, client: Client, fan_outs: Sequence[str]) -> None:
        self._client = client
        self._fan_outs = list(fan_outs)

    async def start(self, batch_id: UUID, events: int) -> None:
        """Starts the workflow of a sealed batch; a second start of the same batch changes nothing.

        Raises:
            TransientError: Temporal did not take it.

        """
        try:
            await self._client.start_workflow(
                RECORD_INTERACTIONS,
                BatchInput(batch_id, self._fan_outs, local_first=True),
                id=str(batch_id),
                task_queue=TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=f"{events} interactions accepted",
                rpc_timeout=_RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return  # it ran and is closed; a row that it did not see is the sweeper's
        except (RPCError, RuntimeError) as error:  # RuntimeError: a client that can't connect yet
            raise TransientError(f"Temporal: {error}") from error

    async def end(self, batch_id: UUID, reason: str) -> None:
        """Terminates the workflow of a batch whose rows another one carries; a closed or unknown one stays as it is.

        Raises:
            TransientError: Temporal did not do it.

        """
        try:
            await self._client.get_workflow_handle(str(batch_id)).terminate(reason=reason, rpc_timeout=_RPC_TIMEOUT)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise TransientError(f"Temporal: {error}") from error
        except RuntimeError as error:
            raise TransientError(f"Temporal: {error}") from error

    async def is_open(self, batch_id: UUID) -> bool:
        """Whether the batch's workflow will still do something.

        Raises:
            TransientError: Temporal can't say.

        """
        try:
            described = await self._client.get_workflow_handle(str(batch_id)).describe(rpc_timeout=_RPC_TIMEOUT)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return False
            raise TransientError(f"Temporal: {error}") from error
        except RuntimeError as error:
            raise TransientError(f"Temporal: {error}") from error
        return described.status == WorkflowExecutionStatus.RUNNING


async def start_erasure(client: Client, erasure_id: UUID) -> None:
    """Starts the workflow of an erasure, or starts it anew where it has failed; one that runs goes on.

    Raises:
        TransientError: Temporal did not take it.

    """
    try:
        await client.start_workflow(
            ERASE_ACCOUNT,
            ErasureInput(erasure_id),
            id=workflow_id(erasure_id),
            task_queue=TASK_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            rpc_timeout=_RPC_TIMEOUT,
        )
    except WorkflowAlreadyStartedError:
        return  # it has ended well
    except (RPCError, RuntimeError) as error:
        raise TransientError(f"Temporal: {error}") from error
