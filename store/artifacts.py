"""Folders of files that processes on different machines share: a path, or what else fsspec can reach, as S3."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from domain.errors import InvalidInputError, TransientError


class Artifacts:
    """One such folder. Its methods raise TransientError where it can't be reached; they block: use a thread.

    Raises:
        InvalidInputError: the URL's kind is unknown, or what speaks to it is not installed.

    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            # Other processes write there too: a listing that is remembered would be out of date.
            self._files, self._root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise InvalidInputError(f"{url}: {error} (S3 needs `pip install footfall[s3]`)") from error

    def folder(self, name: str) -> "Artifacts":
        return Artifacts(f"{self.url}/{name}")

    @property
    def here(self) -> Path | None:
        """The folder on this machine, where it is one."""
        return Path(self._root) if isinstance(self._files, LocalFileSystem) else None

    def read(self, name: str) -> bytes | None:
        """None where there is no such file."""
        try:
            with _reached(self.url):
                return bytes(self._files.cat_file(f"{self._root}/{name}"))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Readers see the old file or the new one, never half of one."""
        with _reached(self.url):
            self._files.makedirs(self._root, exist_ok=True)
            if self.here is None:
                self._files.pipe_file(f"{self._root}/{name}", content)
            else:
                new = self.here / f"{name}.new"
                new.write_bytes(content)
                new.replace(self.here / name)

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """To read from, here and there."""
        with _reached(self.url):
            file = self._files.open(f"{self._root}/{name}", "rb")
        with file:
            yield file

    def names(self) -> list[str]:
        """The files that are there."""
        return self._listed("file")

    def folders(self) -> list[str]:
        """The folders that are there."""
        return self._listed("directory")

    def remove(self, name: str) -> None:
        """Removes a file, or a folder with all that is in it; one that is not there is removed already."""
        with suppress(FileNotFoundError), _reached(self.url):
            self._files.rm(f"{self._root}/{name}", recursive=True)

    def _listed(self, kind: str) -> list[str]:
        try:
            with _reached(self.url):
                found = self._files.ls(self._root, detail=True)
        except FileNotFoundError:
            return []
        return sorted(one["name"].rstrip("/").rsplit("/", 1)[-1] for one in found if one["type"] == kind)

    def put(self, file: Path) -> None:
        """Moves a file of this machine here; readers see it whole or not at all."""
        with _reached(self.url):
            self._files.makedirs(self._root, exist_ok=True)
            if self.here is None:
                self._files.put_file(str(file), f"{self._root}/{file.name}")
                file.unlink()
            else:
                new = self.here / f"{file.name}.new"
                shutil.move(file, new)
                new.replace(self.here / file.name)

    def fetch(self, cache: Path) -> Path:
        """A folder of this machine with all files: this one, or `cache`, which is filled."""
        if self.here is not None:
            return self.here
        cache.mkdir(parents=True, exist_ok=True)
        for name in self.names():
            if not (cache / name).exists():
                new = cache / f"{name}.new"
                with _reached(self.url):
                    self._files.get_file(f"{self._root}/{name}", str(new))
                new.replace(cache / name)
        return cache


@contextmanager
def _reached(url: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        # Each kind of store has errors of its own, with no class in common.
        raise TransientError(f"{url} can't be reached: {error}") from error
