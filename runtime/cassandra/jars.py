"""Gets Cassandra's jars once, by Maven, into the cache."""

import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

from domain.errors import FootfallError
from runtime.caches import cache_dir

VERSION = "5.0.6"
_FETCH_S = 600.0


def why_not() -> str | None:
    """What this machine lacks to run Cassandra, or None."""
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if "mvn" in missing and _cached().exists():
        missing.remove("mvn")
    return f"{' and '.join(missing)} not on PATH" if missing else None


def find_jars() -> Path:
    """The folder of Cassandra's jars; the first time Maven fetches 66 MB.

    Raises:
        FootfallError: Maven could not fetch them.

    """
    cached = _cached()
    if cached.exists():
        return cached
    cached.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cached.parent, prefix="new-") as folder:
        _fetch(Path(folder))
        try:
            (Path(folder) / "lib").rename(cached)
        except OSError:
            if not cached.exists():  # another process was quicker, with the same jars
                raise
    return cached


def _cached() -> Path:
    return cache_dir("cassandra", VERSION)


def _fetch(folder: Path) -> None:
    pom = folder / "pom.xml"
    pom.write_bytes((resources.files("runtime.cassandra") / "pom.xml").read_bytes())
    maven = shutil.which("mvn")
    if maven is None:
        raise FootfallError("Cassandra's jars come by Maven, and mvn is not on PATH")
    goals = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder / 'lib'}"]
    done = subprocess.run(  # noqa: S603
        [maven, "--batch-mode", "--quiet", "--file", str(pom), *goals],
        capture_output=True,
        text=True,
        timeout=_FETCH_S,
        check=False,
    )
    if done.returncode != 0:
        raise FootfallError(f"Maven could not fetch Cassandra {VERSION}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


if __name__ == "__main__":
    print(find_jars())  # noqa: T201
