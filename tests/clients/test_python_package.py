"""The Python client as a package, and its types beside the server's own document."""

import dataclasses
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import get_args

import httpx

import footfall_client
from api.schemas import MAX_INTERACTIONS
from footfall_client import Interaction, RefType
from footfall_client.outbox import Limits
from runtime.settings import Settings
from tests.clients.answers import FILE, source
from tests.clients.driving import SOURCES
from tests.stack import Stack


def test_the_answers_types_are_those_of_the_document(stack: Stack) -> None:
    """Else: `python -m tests.clients.answers` with the URL of a running server."""
    document = httpx.get(f"{stack.url}/openapi.json").raise_for_status().json()
    assert FILE.read_text() == source(document)


def test_an_interaction_has_the_documents_fields(stack: Stack) -> None:
    schema = httpx.get(f"{stack.url}/openapi.json").json()["components"]["schemas"]["InteractionIn"]
    fields = dataclasses.fields(Interaction)
    assert {field.name for field in fields} == set(schema["properties"])
    required = {field.name for field in fields if field.default is dataclasses.MISSING}
    assert required | {"ref_type"} == set(schema["required"])
    assert set(get_args(RefType)) == set(schema["properties"]["ref_type"]["enum"])


def test_a_request_may_be_as_large_as_the_server_takes() -> None:
    assert Limits().max_body_bytes <= Settings.model_fields["max_body_bytes"].default
    assert Limits(max_batch=MAX_INTERACTIONS).max_batch == 1_000


def test_the_package_is_whole_and_needs_httpx_alone(tmp_path: Path) -> None:
    folder = shutil.copytree(
        SOURCES.parent, tmp_path / "python", ignore=shutil.ignore_patterns("build", "*.egg-info")
    )
    build = "import setuptools.build_meta as backend, sys; backend.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=folder, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("footfall_client-*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        (metadata,) = (name for name in names if name.endswith("METADATA"))
        described = opened.read(metadata).decode()
    modules = {f"footfall_client/{file.name}" for file in SOURCES.glob("footfall_client/*.py")}
    assert modules | {"footfall_client/py.typed"} == {name for name in names if ".dist-info/" not in name}
    assert any(name.endswith("LICENSE") for name in names)
    lines = described.splitlines()
    assert [line for line in lines if line.startswith("Requires-Dist")] == ["Requires-Dist: httpx>=0.28"]
    assert f"Version: {footfall_client.VERSION}" in lines
    assert "License-Expression: Apache-2.0" in lines
