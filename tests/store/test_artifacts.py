"""Folders of files, on this machine and in a memory that stands for a store elsewhere: fsspec's own."""

from pathlib import Path
from uuid import uuid4

import pytest

from store.artifacts import Artifacts


@pytest.fixture(params=["here", "elsewhere"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    return Artifacts(str(tmp_path / "kept") if request.param == "here" else f"memory://{uuid4()}")


def test_what_is_written_is_read_and_listed(artifacts: Artifacts) -> None:
    assert artifacts.names() == []
    assert artifacts.read("a.json") is None
    artifacts.write("b.json", b"2")
    artifacts.write("a.json", b"1")
    artifacts.write("a.json", b"3")
    assert artifacts.names() == ["a.json", "b.json"]
    assert artifacts.read("a.json") == b"3"
    with artifacts.open("b.json") as file:
        assert file.read() == b"2"


def test_a_file_of_this_machine_moves_there(artifacts: Artifacts, tmp_path: Path) -> None:
    file = tmp_path / "big.bin"
    file.write_bytes(b"x" * 100_000)
    artifacts.put(file)
    assert artifacts.read("big.bin") == b"x" * 100_000
    assert not file.exists()


def test_folders_within_are_apart(artifacts: Artifacts) -> None:
    artifacts.folder("one").write("a", b"1")
    assert artifacts.folder("two").read("a") is None
    assert artifacts.folder("one").read("a") == b"1"


def test_all_files_can_be_had_on_this_machine(artifacts: Artifacts, tmp_path: Path) -> None:
    artifacts.write("a", b"1")
    artifacts.write("b", b"2")
    folder = artifacts.fetch(tmp_path / "cache")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {"a": b"1", "b": b"2"}
    assert artifacts.fetch(tmp_path / "cache") == folder


def test_files_of_this_machine_are_not_copied(tmp_path: Path) -> None:
    here = Artifacts(str(tmp_path / "kept"))
    here.write("a", b"1")
    assert here.fetch(tmp_path / "cache") == tmp_path / "kept"
