"""What API, gRPC and worker load: no arithmetic of recommendations, no drivers of stores that are not there."""

import subprocess
import sys

import pytest

_HEAVY = (
    "numpy",
    "scipy",
    "pyarrow",
    "lightgbm",
    "faiss",
    "sklearn",
    "implicit",
    "cassandra",
    "redis",
    "confluent_kafka",
    "opentelemetry.sdk",
    "jwt",
    "limits",
)


@pytest.mark.parametrize("process", ["runtime.api_process", "runtime.grpc_process", "runtime.worker_process"])
def test_what_takes_memory_and_is_not_needed_is_not_loaded(process: str) -> None:
    ask = f"import sys, {process}; print(*sorted({set(_HEAVY)} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True)
    assert said.stdout.split() == []
