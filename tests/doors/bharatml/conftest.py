"""One gRPC process on the session's stack."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.doors.bharatml.client import Client, connected, grpc_beside
from tests.stack import Stack


@pytest.fixture(scope="session")
def door(stack: Stack) -> Iterator[Stack]:
    with grpc_beside(stack) as running:
        yield running


@pytest.fixture
async def bharatml(door: Stack) -> AsyncIterator[Client]:
    async with connected(door) as client:
        yield client
