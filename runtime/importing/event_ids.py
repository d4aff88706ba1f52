"""Event ids that follow from the rows, so that importing a file again makes the same ids.

Two identical rows of a file are two events: the second has occurrence number 1. Counting occurrences needs memory
only for rows that are there more than once. Which ones may be is found by a first look at all rows, in a bitmap of
fixed size; the few rows that share a bit by chance are counted for nothing, and get number 0 all the same.
"""

from hashlib import blake2b

from domain.ids import derive_id
from runtime.importing.rows import Row

_BITMAP_BITS = 1 << 27  # 16 MiB: with a million rows one in 130 shares a bit by chance


class Repeats:
    """The first look: which rows may be there more than once."""

    def __init__(self) -> None:
        self._seen = bytearray(_BITMAP_BITS // 8)
        self._counts: dict[int, int] = {}

    def see(self, row: Row) -> None:
        if row.event_id is not None:
            return
        key = _key(row.source)
        at, bit = (key % _BITMAP_BITS) >> 3, 1 << (key & 7)
        if self._seen[at] & bit:
            self._counts[key] = 0
        else:
            self._seen[at] |= bit

    def counts(self) -> dict[int, int]:
        """A zero for each of them."""
        return self._counts


class EventIds:
    """The second look, at all rows in the same order: their ids.

    `salt` is empty, or sets the events of this import apart from those of an earlier one.
    """

    def __init__(self, format_name: str, repeats: dict[int, int], salt: str = "") -> None:
        self._format = format_name.encode()
        self._counts = dict(repeats)
        self._salt = [salt.encode()] if salt else []

    def of(self, row: Row) -> bytes:
        """16 bytes of a UUID."""
        if row.event_id is not None:
            return self._own(row.event_id)
        key = _key(row.source)
        occurrence = self._counts.get(key, 0)
        if key in self._counts:
            self._counts[key] = occurrence + 1
        return derive_id(self._format, row.source, occurrence.to_bytes(8, "big"), *self._salt)

    def _own(self, event_id: str) -> bytes:
        own = bytes.fromhex(event_id.replace("-", ""))
        return derive_id(self._format, own, *self._salt) if self._salt else own


def _key(source: bytes) -> int:
    # Two rows with the same key only share a counter: their ids stay distinct and the same every time.
    return int.from_bytes(blake2b(source, digest_size=8).digest(), "little")
