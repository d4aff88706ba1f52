"""Reads batches from the intake log, once for all the fan-outs of this process."""

import asyncio
from collections import OrderedDict
from uuid import UUID

from intake.log import IntakeLog, IntakeRow

_KEPT = 4


class BatchReader:
    """Shares one read and decode of a batch among the activities that work on it at the same time.

    A shared answer may be older than a retry. That is harmless: rows never change, and marks decide, in the
    transaction of an effect, which of them still count.
    """

    def __init__(self, log: IntakeLog) -> None:
        self._log = log
        self._reads: OrderedDict[UUID, asyncio.Task[list[IntakeRow]]] = OrderedDict()

    async def read(self, batch_id: UUID) -> list[IntakeRow]:
        read = self._reads.get(batch_id)
        if read is None:
            read = asyncio.create_task(self._log.read(batch_id), name=f"read {batch_id}")
            self._reads[batch_id] = read
            while len(self._reads) > _KEPT:
                self._reads.popitem(last=False)
        try:
            return await asyncio.shield(read)
        except BaseException:
            if read.done():
                self._reads.pop(batch_id, None)  # a failed read is not an answer for the next attempt
            raise

    def forget(self, batch_id: UUID) -> None:
        self._reads.pop(batch_id, None)
