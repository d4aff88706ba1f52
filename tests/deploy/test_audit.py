"""What `make check` looks for beside the code's own faults: secrets in files, and known faults of dependencies."""

import subprocess
import sys
from pathlib import Path

import pytest

from domain.access import new_key

ROOT = Path(__file__).parents[2]


def _scanned(file: Path) -> "subprocess.CompletedProcess[str]":
    command = [
        str(Path(sys.executable).parent / "detect-secrets-hook"),
        "--no-verify",
        "--baseline",
        ".secrets.baseline",
    ]
    return subprocess.run(
        [*command, str(file)], check=False, capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": "."}
    )


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        (lambda: f"curl -H 'X-API-Key: {new_key().text}'", "Footfall API key"),
        (lambda: "-----BEGIN " + "RSA PRIVATE KEY-----", "Private Key"),
        (lambda: "aws = '" + "AKIA" + "IOSFODNN7EXAMPLE'", "AWS Access Key"),
        (lambda: "postgresql://me:" + "opensesame" + "@db.example/footfall", "Basic Auth Credentials"),
    ],
)
def test_a_planted_secret_is_found(tmp_path: Path, planted: object, found: str) -> None:
    assert callable(planted)
    file = tmp_path / "notes.txt"
    file.write_text(f"nothing\n{planted()}\n")
    done = _scanned(file)
    assert done.returncode == 1, done.stdout + done.stderr
    assert found in done.stdout


def test_what_only_looks_like_a_key_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("such as ff_abcdefghij_" + "x" * 38 + "\n")
    assert _scanned(file).returncode == 0


def test_an_audit_that_could_not_ask_says_so(tmp_path: Path) -> None:
    """No database of advisories is at this address, wherever the tests run."""
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    audit = [sys.executable, str(ROOT / ".ci" / "audit.py")]
    done = subprocess.run(audit, check=False, capture_output=True, text=True, env=nowhere)
    assert (done.returncode, "NOT AUDITED" in done.stderr) == (0, True), done.stderr
    must = subprocess.run(
        audit, check=False, capture_output=True, text=True, env={**nowhere, "FOOTFALL_AUDIT_MUST_ASK": "1"}
    )
    assert must.returncode == 2
