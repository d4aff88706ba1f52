"""Known faults of the locked dependencies, from PyPI's advisories: `python .ci/audit.py`.

pip-audit passes over a package that its database does not answer for, and says that no faults are known. So a version
with a known fault is asked for first: where that is not found, nothing was asked, and this says so. Exit code 0:
clean, or not asked; 1: faults; 2: not asked, where FOOTFALL_AUDIT_MUST_ASK is set.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_LOCKED = Path(__file__).parents[1] / "requirements-dev.txt"
_KNOWN_TO_BE_FAULTY = "jinja2==2.4.1\n"
_FAULTY, _NOT_ASKED = 1, 2


def main() -> int:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(_KNOWN_TO_BE_FAULTY)
        file.flush()
        asked = any(one.get("vulns") for one in _answers(Path(file.name)))
    if not asked:
        print(
            "NOT AUDITED: no database of advisories answers. Try again where pypi.org can be reached.",
            file=sys.stderr,
        )
        return _NOT_ASKED if os.environ.get("FOOTFALL_AUDIT_MUST_ASK") else 0
    answers = _answers(_LOCKED)
    if not answers:
        raise SystemExit("the audit did not come to its end")
    found = [_line(one) for one in answers if one.get("vulns") or one.get("skip_reason")]
    print("\n".join(found) or "no known faults in what is locked")
    return _FAULTY if found else 0


def _answers(requirements: Path) -> list[dict[str, Any]]:
    """What is said of each package; nothing where nobody answers."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--disable-pip",
        "--no-deps",
        "--progress-spinner=off",
        "--format=json",
    ]
    done = subprocess.run([*command, "-r", str(requirements)], check=False, capture_output=True, text=True)  # noqa: S603
    try:
        dependencies: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(done.stderr[-500:], file=sys.stderr)
        return []
    return dependencies


def _line(one: dict[str, Any]) -> str:
    ids = ", ".join(fault["id"] for fault in one.get("vulns", []))
    return f"{one['name']} {one.get('version', '')}: {ids or one['skip_reason']}"


if __name__ == "__main__":
    sys.exit(main())
