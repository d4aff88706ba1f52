"""Gets the jars of a server that runs on Java once, by Maven, into the cache."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from domain.errors import FootfallError
from runtime.caches import cache_dir

_FETCH_S = 600.0


@dataclass(frozen=True, slots=True)
class Jars:
    server: str
    """As people call it."""
    version: str
    package: str
    """Ours that has the pom.xml."""

    def why_not(self) -> str | None:
        """What this machine lacks to run the server, or None."""
        missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
        if "mvn" in missing and self._cached().exists():
            missing.remove("mvn")
        return f"{' and '.join(missing)} not on PATH" if missing else None

    def find(self) -> Path:
        """The folder of the jars; the first time Maven fetches them, some 50 MB.

        Raises:
            FootfallError: Maven could not fetch them.

        """
        cached = self._cached()
        if cached.exists():
            return cached
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent, prefix="new-") as folder:
            self._fetch(Path(folder))
            try:
                (Path(folder) / "lib").rename(cached)
            except OSError:
                if not cached.exists():  # another process was quicker, with the same jars
                    raise
        return cached

    def _cached(self) -> Path:
        return cache_dir(self.server.lower(), self.version)

    def _fetch(self, folder: Path) -> None:
        pom = folder / "pom.xml"
        pom.write_bytes((resources.files(self.package) / "pom.xml").read_bytes())
        maven = shutil.which("mvn")
        if maven is None:
            raise FootfallError(f"{self.server}'s jars come by Maven, and mvn is not on PATH")
        goals = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder / 'lib'}"]
        done = subprocess.run(  # noqa: S603
            [maven, "--batch-mode", "--quiet", "--file", str(pom), *goals],
            capture_output=True,
            text=True,
            timeout=_FETCH_S,
            check=False,
        )
        if done.returncode != 0:
            said = f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
            raise FootfallError(f"Maven could not fetch {self.server} {self.version}:\n{said}")
