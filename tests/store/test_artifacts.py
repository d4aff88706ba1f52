"""Folders of files: on this machine, in a store that speaks S3, and in fsspec's own memory."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from domain.errors import InvalidInputError, TransientError
from store.artifacts import Artifacts
from tests.s3_server import S3Server


@pytest.fixture(params=["here", "memory", "s3"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    urls: dict[str, Callable[[], str]] = {
        "here": lambda: str(tmp_path / "kept"),
        "memory": lambda: f"memory://{uuid4()}",
        "s3": lambda: f"{request.getfixturevalue('s3').bucket()}/kept",
    }
    return Artifacts(urls[request.param]())


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


def test_what_is_removed_is_gone_and_nothing_else(artifacts: Artifacts) -> None:
    artifacts.write("a", b"1")
    artifacts.folder("one").folder("within").write("b", b"2")
    artifacts.folder("one-more").write("c", b"3")
    assert (artifacts.names(), artifacts.folders()) == (["a"], ["one", "one-more"])
    artifacts.remove("one")
    artifacts.remove("never-was")
    assert (artifacts.names(), artifacts.folders()) == (["a"], ["one-more"])
    artifacts.remove("a")
    assert artifacts.names() == []
    assert artifacts.folder("one").folder("within").read("b") is None


def test_another_process_is_seen_at_once(artifacts: Artifacts) -> None:
    """A listing that was remembered would not have it."""
    assert artifacts.names() == []
    Artifacts(artifacts.url).write("new", b"1")
    assert artifacts.names() == ["new"]


def test_a_store_that_is_gone_is_worth_another_try(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{s3.bucket()}/kept"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    gone = Artifacts(url)
    for ask in (gone.names, lambda: gone.read("a"), lambda: gone.write("a", b"1"), lambda: gone.remove("a")):
        with pytest.raises(TransientError, match="can't be reached"):
            ask()
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(InvalidInputError, match="nosuch"):
        Artifacts("nosuch://bucket/kept")
