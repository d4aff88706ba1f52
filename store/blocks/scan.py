"""Goes over all accounts of a token range, with what their blocks hold."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence

from domain.block import decode_block
from domain.errors import CorruptBlockError
from domain.interaction import Interaction
from domain.week import monday_of
from store.blocks.protocol import Block, BlockStore, TokenRange

# Accounts read ahead, so that round trips do not add up; the pool is shared with live traffic.
_READS_AT_ONCE = 8


async def read_accounts(
    store: BlockStore, within: TokenRange, first_week: int, last_week: int, after: str | None = None
) -> AsyncGenerator[tuple[str, list[Block]], None]:
    """The blocks of each account behind `after`, in the store's order; to be closed, since it reads ahead."""
    weeks = first_week, last_week
    ahead: deque[tuple[str, asyncio.Task[list[Block]]]] = deque()
    try:
        async for page in store.accounts(within, *weeks, after):
            for account_id in page:
                ahead.append((account_id, asyncio.create_task(store.read_exact(account_id, *weeks))))
                if len(ahead) >= _READS_AT_ONCE:
                    first, read = ahead[0]
                    yield first, await read
                    ahead.popleft()
        while ahead:
            first, read = ahead[0]
            yield first, await read
            ahead.popleft()
    finally:
        for _, read in ahead:
            read.cancel()
        await asyncio.gather(*(read for _, read in ahead), return_exceptions=True)


def merged(blocks: Sequence[Block]) -> list[Interaction]:
    """The interactions of an account's week, each once: blocks may overlap, as readers know.

    Raises:
        CorruptBlockError: one can't be read; with the account that it is of.

    """
    try:
        first, *others = (decode_block(block.data, block.account_id) for block in blocks)
    except CorruptBlockError as error:
        account_id, week = blocks[0].account_id, blocks[0].week
        raise CorruptBlockError(f"a block of {account_id!r}, week of {monday_of(week)}: {error}") from error
    if not others:
        return first
    return list({one.event_id: one for interactions in (first, *others) for one in interactions}.values())
