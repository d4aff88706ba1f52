"""Erasures in a Footfall without processes, step by step."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from temporalio.testing import ActivityEnvironment

from activities.erasure import Erasing
from domain.block import decode_block
from domain.erasure import ErasureInput
from domain.interaction import Interaction
from store.blocks.protocol import BlockStore
from store.erasure import Erasure, ErasureStore
from store.signals import SignalStore
from store.signals_postgres import PostgresSignalStore
from tests.activities.rebuilding import Shop


class Erasures:
    def __init__(self, shop: Shop, signals: SignalStore | None = None) -> None:
        self.shop = shop
        self.store = ErasureStore(shop.pool)
        self.signals = signals or PostgresSignalStore(shop.pool)
        self.ended: list[UUID] = []
        """Batches whose workflows were ended."""

    def steps(self, blocks: BlockStore | None = None) -> Erasing:
        async def end(batch_id: UUID, _reason: str) -> None:
            self.ended.append(batch_id)

        return Erasing(self.shop.pool, blocks or self.shop.blocks, self.signals, self.shop.weights, end, settle_s=0)

    async def begin(self, account_id: str, *, subtract: bool = False) -> ErasureInput:
        asked = await self.store.ask(account_id, subtract=subtract)
        work = ErasureInput(asked.erasure_id)
        await self.run(self.steps().begin, work)
        return work

    async def go_over(self, work: ErasureInput) -> None:
        """All stores, once."""
        await self.run(self.steps().erase_interactions, work)
        await self.run(self.steps().erase_traces, work)

    async def finish(self, work: ErasureInput) -> Erasure:
        await self.run(self.steps().note_erased, work)
        await self.go_over(work)
        await self.run(self.steps().finish, work)
        found = await self.store.find(work.erasure_id)
        assert found is not None
        return found

    async def erase(self, account_id: str, *, subtract: bool = False) -> Erasure:
        """The whole way."""
        work = await self.begin(account_id, subtract=subtract)
        await self.go_over(work)
        return await self.finish(work)

    async def run(self, step: Callable[[ErasureInput], Awaitable[object]], work: ErasureInput) -> None:
        await ActivityEnvironment().run(step, work)

    async def in_blocks(self, account_id: str) -> dict[bytes, Interaction]:
        blocks = await self.shop.blocks.read_exact(account_id, 0, 2**31 - 1)
        return {one.event_id: one for block in blocks for one in decode_block(block.data, block.account_id)}
