"""The block store on PostgreSQL keeps the contract."""

import pytest

from store.blocks.postgres import PostgresBlockStore
from store.postgres import Pool
from tests.contract.block_store import BlockStoreContract


class TestPostgresBlockStore(BlockStoreContract):
    @pytest.fixture
    def store(self, pool: Pool) -> PostgresBlockStore:
        return PostgresBlockStore(pool)
