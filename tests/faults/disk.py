"""A disk that can be full: a tmpfs of a fixed size, for PostgreSQL's data."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

_MB = 1_048_576
_SIZE_MB = 1_500


class SmallDisk:
    """Mounting takes root; without it the disk is the machine's and is never full."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._filler = folder / "filler"
        self.can_be_full = os.geteuid() == 0
        self.is_full = False

    def mount(self) -> None:
        if not self.can_be_full:
            return
        self._folder.mkdir(parents=True)
        options = f"size={_SIZE_MB}m,mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self._folder], check=True)

    def unmount(self) -> None:
        if self.can_be_full:
            subprocess.run(["umount", self._folder], check=True)

    def fill(self) -> None:
        """Takes what is free; others write meanwhile, so it is taken piece by piece until there is none."""
        if not self.can_be_full:
            return
        self.is_full = True
        with self._filler.open("ab") as file:
            for piece in (64 * _MB, _MB, 4_096):
                with suppress(OSError):  # ENOSPC is what it is for
                    while True:
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, piece)

    def empty(self) -> None:
        self._filler.unlink(missing_ok=True)
        self.is_full = False
