"""A real CQL server for the tests: Cassandra where there is Java, ScyllaDB where there is Docker."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.policies import RoundRobinPolicy

from runtime.cassandra.jars import why_not
from runtime.cassandra.server import HOST, LOCAL_DC, PASSWORD, USERNAME, CassandraServer
from store.cql import CqlCluster

_SCYLLA_IMAGE = "scylladb/scylla:6.2"
_CQL_PORT = 9042
_PATIENCE_S = 180.0


@contextmanager
def cql_server(folder: Path) -> Iterator[CqlCluster]:
    """Where to reach one; skips the tests that ask for it where there can be none, or fails them in CI."""
    lacking = why_not()
    if lacking is None:
        server = CassandraServer(folder / "cassandra", folder / "logs")
        server.start()
        try:
            yield CqlCluster(
                [HOST], server.port, "unset", 1, LOCAL_DC, USERNAME, PASSWORD, timeout_s=20.0
            )  # one slow disk, many tests
        finally:
            server.stop()
    elif _docker_answers():
        with _scylla() as cluster:
            yield cluster
    else:
        _give_up(f"no CQL server for the tests: for Cassandra, {lacking}; for ScyllaDB, no Docker engine answers")


def _give_up(reason: str) -> None:
    if os.environ.get("FOOTFALL_TESTS_NEED_CQL"):
        pytest.fail(reason)
    pytest.skip(reason)


def _docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False)
    return asked.returncode == 0


@contextmanager
def _scylla() -> Iterator[CqlCluster]:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415  (needs Docker)

    options = "--smp 1 --memory 1G --overprovisioned 1 --developer-mode 1"
    with DockerContainer(_SCYLLA_IMAGE).with_exposed_ports(_CQL_PORT).with_command(options) as container:
        host, port = container.get_container_host_ip(), int(container.get_exposed_port(_CQL_PORT))
        cluster = CqlCluster([host], port, "unset", 1, LOCAL_DC, timeout_s=20.0)
        _wait_until_ready(cluster)
        yield cluster


def _wait_until_ready(cluster: CqlCluster) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        profiles = {EXEC_PROFILE_DEFAULT: ExecutionProfile(RoundRobinPolicy())}
        driver = Cluster(
            list(cluster.contact_points), port=cluster.port, protocol_version=4, execution_profiles=profiles
        )
        try:
            driver.connect()
        except NoHostAvailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return
        finally:
            driver.shutdown()


def in_keyspace(cluster: CqlCluster, keyspace: str) -> CqlCluster:
    return replace(cluster, keyspace=keyspace)


def scylla_settings(cluster: CqlCluster) -> dict[str, str]:
    """The environment of a process that is to use this cluster and keyspace."""
    given = {
        "SCYLLA_ENABLED": "true",
        "SCYLLA_CONTACT_POINTS": ",".join(cluster.contact_points),
        "SCYLLA_PORT": str(cluster.port),
        "SCYLLA_KEYSPACE": cluster.keyspace,
        "SCYLLA_REPLICATION_FACTOR": str(cluster.replication_factor),
        "SCYLLA_TIMEOUT_S": str(cluster.timeout_s),
    }
    optional = {
        "SCYLLA_USERNAME": cluster.username,
        "SCYLLA_PASSWORD": cluster.password,
        "SCYLLA_LOCAL_DC": cluster.local_dc,
    }
    return given | {name: value for name, value in optional.items() if value is not None}
