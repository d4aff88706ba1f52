"""A real CQL server for the tests: Cassandra where there is Java, ScyllaDB where there is Docker."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.policies import RoundRobinPolicy

from runtime.cassandra.jars import why_not
from runtime.cassandra.server import HOST, LOCAL_DC, PASSWORD, USERNAME, CassandraServer, Ring
from store.cql import CqlCluster
from tests.needed import give_up

_SCYLLA_IMAGE = "scylladb/scylla:6.2"
_CQL_PORT = 9042
_PATIENCE_S = 180.0
_NEEDED = "FOOTFALL_TESTS_NEED_CQL"
_HOSTS = (HOST, "127.0.0.2", "127.0.0.3")
_SMALL_HEAP_MB = 512


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
        give_up(
            f"no CQL server for the tests: for Cassandra, {lacking}; for ScyllaDB, no Docker engine answers", _NEEDED
        )


@contextmanager
def three_nodes(folder: Path) -> Iterator[list[CassandraServer]]:
    """A Cassandra cluster of three, its nodes as quick to lose acknowledged writes as the servers are by default."""
    lacking = why_not() or next((f"no address {host}" for host in _HOSTS if not _is_ours(host)), None)
    if lacking is not None:
        give_up(f"no three Cassandra nodes: {lacking}", _NEEDED)
    ring = Ring.of(*_HOSTS)
    nodes = [
        CassandraServer(
            folder / host, folder / f"{host}-logs", heap_mb=_SMALL_HEAP_MB, durable=False, ring=ring, host=host
        )
        for host in _HOSTS
    ]
    try:
        for node in nodes:
            node.launch()
        for node in nodes:
            node.wait_until_ready()
        yield nodes
    finally:
        for node in nodes:
            if node.process is not None:
                node.process.kill()  # nobody wants its data: no need to have it written out
            node.stop()


def _is_ours(host: str) -> bool:
    """All of 127.0.0.0/8 is a Linux machine's own; others have 127.0.0.1 alone."""
    with socket.socket() as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
        return True


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
