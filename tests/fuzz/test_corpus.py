"""What fuzzing begins with and what it found goes well; and each target can fail."""

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

_CORPUS = Path(__file__).parent / "corpus"
_KEPT = sorted(_CORPUS.glob("*/*"))


def test_each_target_has_something_to_begin_with() -> None:
    assert {one.parent.name for one in _KEPT} == set(TARGETS)


@pytest.mark.parametrize("kept", _KEPT, ids=lambda one: f"{one.parent.name}/{one.name}")
def test_what_is_kept(kept: Path) -> None:
    TARGETS[kept.parent.name](kept.read_bytes())
