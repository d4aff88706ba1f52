from collections.abc import Iterator

import pytest

from tests.runtime.importing.faulty_server import FaultyServer, faulty_server


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with faulty_server() as one:
        yield one
