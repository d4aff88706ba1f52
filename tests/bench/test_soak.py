"""What the soak sends, and what is said of it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench.soak.page import Interval, Soak, page, write
from bench.soak.traffic import MIX, Traffic
from bench.soak.watch import Sample

_TABLES = ("intake_log", "applied", "event_ledger", "interaction_block", "batch_end", "temporal.db")


def _event(request: bytes) -> dict[str, Any]:
    return dict(json.loads(request.partition(b"\r\n\r\n")[2]))


def test_what_is_sent_again_has_the_same_bytes_and_counts_once() -> None:
    traffic = Traffic()
    sent = [traffic.next_request() for _ in range(50_000)]
    with_id = Counter(request for request in sent if "event_id" in _event(request))
    assert set(with_id.values()) == {1, 2}
    assert traffic.again == sum(times - 1 for times in with_id.values())
    assert traffic.again == pytest.approx(500, rel=0.4)
    assert sum(traffic.first.values()) + traffic.again == len(sent)
    once = Counter(_event(request)["event_type"] for request in sent if request not in with_id)
    once.update(_event(request)["event_type"] for request in with_id)
    assert traffic.first == once
    assert traffic.first["view"] / sum(traffic.first.values()) == pytest.approx(MIX["view"], abs=0.02)


def _sample(at: float, mb: float) -> Sample:
    return Sample(at, {"api": mb}, dict.fromkeys(_TABLES, mb), dict.fromkeys(_TABLES, 5), 3, [100.0])


def _soak() -> Soak:
    """Eight minutes, a sample a minute: a megabyte more each minute, and latencies that double at half time."""
    soak = Soak("a machine", 8, 1_000.0, 700.0, 60.0, 24.0, began=0.5, ended=480.5)
    soak.samples = [_sample(at, 10 + at / 60) for at in range(0, 600, 60)]
    soak.intervals = [Interval(at, 700.0, 1.0, 4.0 if at <= 240 else 8.0, 9.0) for at in range(60, 481, 60)]
    soak.accepted, soak.batches, soak.drained = 1_000, 10, 9
    return soak


def test_slopes_are_of_the_second_half_and_quarters_of_the_load() -> None:
    soak = _soak()
    assert soak.an_hour(lambda one: one.memory_mb["api"]) == pytest.approx(60)
    assert soak.p99_ratio() == pytest.approx(2)
    assert soak.before.at == 0
    assert [one.at for one in soak.under_load] == list(range(60, 481, 60))


def test_the_page_says_what_is_not_back_at_its_level(tmp_path: Path) -> None:
    soak = _soak()
    assert "intake_log: **above** its level before, 19 MB by\n10;" in page(soak)
    soak.samples.append(_sample(600, 10))
    assert "intake_log: back at its level before, 10 MB by\n10;" in page(soak)
    assert "| temporal.db | 10 | 18 | 19 | 10 | 60 | 900,000 a batch |" in page(soak)
    write(tmp_path, soak)
    assert json.loads((tmp_path / "soak.json").read_text())["accepted"] == 1_000
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")
