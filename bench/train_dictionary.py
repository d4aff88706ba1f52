"""Trains the dictionary of small blocks: `python -m bench.train_dictionary FILE`.

On columns of single interactions, as apps send them: with a browser's user agent or a server's, with an address or
without, ids of several kinds, metadata as shops have it. The one in domain/dictionaries is number 1 for good: stored
blocks need it. A better one would be number 2, and a codec of its own.
"""

import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec
import zstandard

from bench.user_agents import USER_AGENTS
from domain.columns import encode_columns
from domain.interaction import Interaction
from domain.week import to_us
from runtime.demo_shop import DemoShop

DICTIONARY_BYTES = 8_192
_SAMPLES = 40_000


def samples(count: int, seed: int) -> Iterator[Interaction]:
    """Interactions of single blocks, in all shapes."""
    picker = random.Random(seed)
    start = to_us(datetime(2026, 1, 1, tzinfo=UTC))
    shop = DemoShop(seed=seed, accounts=5_000, products=2_000, rate=200.0, start_us=start)
    agents = [text for _, text in USER_AGENTS]
    shares = [share for share, _ in USER_AGENTS]
    for event in shop.take(count):
        (agent,) = picker.choices(agents, shares)
        yield Interaction(
            picker.randbytes(16),
            event.fields["account_id"],
            event.fields["event_type"],
            event.fields["ref_type"],
            _ref(picker, event.fields["ref_id"]),
            picker.randrange(start, start + 300 * 86_400_000_000, picker.choice((1, 1_000, 1_000_000))),
            picker.choice((None, None, picker.randrange(10**6))),
            picker.choice((None, event.fields.get("session_id"), str(UUID(bytes=picker.randbytes(16))))),
            picker.choice((None, user_agent(picker, agent))),
            picker.choice((None, ".".join(str(picker.randrange(256)) for _ in range(4)))),
            _metadata(event.fields.get("metadata")),
        )


def user_agent(picker: random.Random, pattern: str) -> str:
    return pattern.format(
        chrome=picker.randrange(110, 145),
        firefox=picker.randrange(115, 147),
        samsung=picker.randrange(20, 29),
        ios=picker.choice(("16_7", "17_5_1", "17_6_1", "18_1", "18_5")),
        safari=picker.choice(("16.6", "17.5", "17.6", "18.1", "18.5")),
        minor=picker.randrange(10),
    )


def _ref(picker: random.Random, slug: str) -> str:
    return picker.choice(
        (slug, str(picker.randrange(10**6)), f"SKU-{picker.randrange(10**5):05}", f"p{picker.randrange(10**4)}")
    )


def _metadata(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def main() -> None:
    columns: list[bytes | bytearray | memoryview[int]] = [encode_columns([one]) for one in samples(_SAMPLES, seed=7)]
    dictionary = zstandard.train_dictionary(DICTIONARY_BYTES, columns, level=3)
    Path(sys.argv[1]).write_bytes(dictionary.as_bytes())
    print(
        f"{len(dictionary)} bytes, from {len(columns)} samples of {sum(map(len, columns)) / len(columns):.0f} bytes"
    )


if __name__ == "__main__":
    main()
