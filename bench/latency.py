"""Latencies as an HdrHistogram: percentiles with three digits, over a run or over several."""

from collections import Counter
from collections.abc import Iterable, Sequence

from hdrh.histogram import HdrHistogram

PERCENTILES = (50.0, 90.0, 99.0, 99.9)

_LONGEST_US = 3_600_000_000
_DIGITS = 3
_CURVE = (
    *(float(percent) for percent in range(100)),
    *(99 + tenth / 10 for tenth in range(1, 10)),
    *(99.9 + hundredth / 100 for hundredth in range(1, 10)),
)


class Latency:
    """What some operations took; recorded in microseconds, told in milliseconds."""

    def __init__(self, microseconds: Iterable[float] = ()) -> None:
        self._histogram = HdrHistogram(1, _LONGEST_US, _DIGITS)
        for value, count in Counter(map(round, microseconds)).items():
            self._histogram.record_value(value, count)

    @property
    def count(self) -> int:
        return int(self._histogram.get_total_count())

    def percentile_ms(self, percent: float) -> float:
        """The smallest value that `percent` of all do not exceed; not a number where there are none."""
        return float(self._histogram.get_value_at_percentile(percent)) / 1000 if self.count else float("nan")

    @property
    def max_ms(self) -> float:
        return float(self._histogram.get_max_value()) / 1000 if self.count else float("nan")

    def curve(self) -> list[tuple[float, float]]:
        """(percentile, milliseconds) from 0 to 99.99, or to where only one is above."""
        known = [percent for percent in _CURVE if self.count * (1 - percent / 100) >= 1]
        found = self._histogram.get_percentile_to_value_dict(known)
        return [(percent, value / 1000) for percent, value in sorted(found.items())]

    def encode(self) -> str:
        """The histogram in HdrHistogram's own compressed form, which its tools read."""
        return str(self._histogram.encode().decode())

    @classmethod
    def decode(cls, encoded: str) -> "Latency":
        return cls.merged([encoded])

    @classmethod
    def merged(cls, encoded: Sequence[str]) -> "Latency":
        """One of all these."""
        whole = cls()
        for one in encoded:
            whole._histogram.decode_and_add(one)
        return whole
