"""Clocks that can be stepped, each for one process: libfaketime is loaded into it and told the time by a file."""

import platform
from importlib.util import find_spec
from pathlib import Path

# Found without importing the package, which would load the library into this process.
_WHEEL = find_spec("libfaketime")
_LIBRARY = Path(str(_WHEEL and _WHEEL.origin)).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
_SHARED = Path("/dev/shm")

SEEN_AFTER_S = 1.1
"""A process looks at its file once in each second."""


class Clocks:
    """The wall clocks of processes by name; what they measure durations with is never touched."""

    can_be_stepped = platform.system() == "Linux" and _LIBRARY.exists()

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def environment(self, name: str) -> dict[str, str]:
        """What a process has to be started with; its clock is as it was left."""
        if not self.can_be_stepped:
            return {}
        if not self._file(name).exists():
            self.step(name, 0)
        return {
            "LD_PRELOAD": str(_LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file(name)),
            "FAKETIME_CACHE_DURATION": "0",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def step(self, name: str, by_s: int) -> None:
        """From the next second on the process has the true time and so many seconds."""
        if not self.can_be_stepped:
            return
        self._folder.mkdir(exist_ok=True)
        written = self._file(f"{name}.new")
        written.write_text(f"{by_s:+d}\n")
        written.replace(self._file(name))  # never read half

    def clear_up_after(self, pid: int) -> None:
        """Removes what the library leaves behind in shared memory where its process is killed."""
        for name in (f"sem.faketime_sem_{pid}", f"faketime_shm_{pid}"):
            (_SHARED / name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._folder / name
