"""A Cassandra node as a child of ours: `python -m runtime.cassandra.server FOLDER` runs one until Ctrl-C."""

import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import msgspec
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.policies import RoundRobinPolicy

from domain.errors import FootfallError
from runtime.cassandra.jars import find_jars
from runtime.children import Command, log_tail, spawn, stop
from runtime.ports import free_port

HOST = "127.0.0.1"
LOCAL_DC = "datacenter1"  # what SimpleSnitch calls it
USERNAME = PASSWORD = "cassandra"  # noqa: S105  (what a new cluster has; the node listens on this machine only)

_COMMITLOG = {
    True: {"commitlog_sync": "batch"},
    False: {"commitlog_sync": "periodic", "commitlog_sync_period": "10s"},
}
_START_S = 180.0
_STOP_S = 30.0
_KEYSTORE_PASSWORD = "footfall"  # noqa: S105  (of a key that is made for one run)
_TOKENS = 2**64


@dataclass(frozen=True, slots=True)
class Ring:
    """The nodes of one cluster: an address of this machine each, and the same two ports on all of them.

    The first is the one that the others find the cluster by. Each holds an equal part of the ring, for good.
    """

    hosts: tuple[str, ...]
    port: int
    storage_port: int

    @classmethod
    def of(cls, *hosts: str, port: int = 0) -> "Ring":
        """A ring on ports that are free on the first address; on the others nobody else listens."""
        return cls(hosts, free_port(hosts[0], port), free_port(hosts[0], 0))


class CassandraServer:
    """One node on one data folder, with passwords, and with TLS for those who ask for it, on the same port."""

    def __init__(
        self,
        data_dir: Path,
        log_dir: Path,
        *,
        heap_mb: int = 1024,
        port: int = 0,
        durable: bool = True,
        ring: Ring | None = None,
        host: str = HOST,
    ) -> None:
        """`durable`: a write is on the disk before it is acknowledged, as it has to be where there is one node only.
        Without it a node that dies loses the writes of up to 10 s, as is the servers' own default.

        A node is alone, on `port`, or the one of `ring` that has this `host`.
        """
        self._data_dir = data_dir.resolve()
        self._log_file = log_dir.resolve() / "cassandra.log"
        self._heap_mb = heap_mb
        self._durable = durable
        self._ring = ring or Ring.of(host, port=port)
        self.host = host
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Where it speaks CQL."""
        return self._ring.port

    @property
    def certificate(self) -> Path:
        """What a TLS client has to trust, as PEM."""
        return self._data_dir / "certificate.pem"

    @property
    def environment(self) -> dict[str, str]:
        """The settings with which Footfall finds this node."""
        return {
            "SCYLLA_ENABLED": "true",
            "SCYLLA_CONTACT_POINTS": ",".join(self._ring.hosts),
            "SCYLLA_PORT": str(self.port),
            "SCYLLA_USERNAME": USERNAME,
            "SCYLLA_PASSWORD": PASSWORD,
            "SCYLLA_LOCAL_DC": LOCAL_DC,
            "SCYLLA_REPLICATION_FACTOR": str(len(self._ring.hosts)),
        }

    @property
    def command(self) -> Command:
        jars = find_jars()
        agent = next(jars.glob("jamm-*.jar"))
        options = [
            f"-Xms{self._heap_mb}m",
            f"-Xmx{self._heap_mb}m",
            "-Xss512k",
            "-XX:+UseG1GC",
            f"-javaagent:{agent}",
            f"@{self._data_dir / 'jvm.options'}",
            f"-Dcassandra.config=file://{self._data_dir / 'cassandra.yaml'}",
            f"-Dlogback.configurationFile=file://{self._data_dir / 'logback.xml'}",
            f"-Dcassandra.storagedir={self._data_dir}",
            "-Dcassandra-foreground=yes",
            "-Dcassandra.superuser_setup_delay_ms=0",
            *self._waits(),
        ]
        main = ["-cp", f"{jars}/*", "org.apache.cassandra.service.CassandraDaemon"]
        return Command("cassandra", [_tool("java"), *options, *main], os.environ, self._log_file)

    def start(self) -> None:
        """Launches the node and waits until it lets us in."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self._make_key()
        for name in ("jvm.options", "logback.xml"):
            (self._data_dir / name).write_bytes((resources.files("runtime.cassandra") / name).read_bytes())
        (self._data_dir / "cassandra.yaml").write_bytes(
            msgspec.json.format(msgspec.json.encode(self._configuration()))
        )
        self.process = spawn(self.command)

    def wait_until_ready(self) -> None:
        """Returns when the node takes the superuser's password.

        Raises:
            FootfallError: it does not start; with the end of its log.

        """
        assert self.process is not None  # noqa: S101
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._answers():
                return
            time.sleep(0.2)
        self.stop()
        raise FootfallError(f"Cassandra did not start:\n{log_tail(self._log_file)}")

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process, self.command, _STOP_S)
            self.process = None

    def _waits(self) -> list[str]:
        """How long a node looks around before it takes its place."""
        if len(self._ring.hosts) == 1:  # it has nobody to wait for
            return ["-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.ring_delay_ms=1"]
        # All are started at once, and the first one may be slow to answer the others.
        return [f"-Dcassandra.ring_delay_ms={_START_S * 1000:.0f}"]

    def _answers(self) -> bool:
        with socket.socket() as probe:
            if probe.connect_ex((self.host, self.port)) != 0:
                return False
        cluster = Cluster(
            [self.host],
            port=self.port,
            auth_provider=PlainTextAuthProvider(USERNAME, PASSWORD),
            execution_profiles={EXEC_PROFILE_DEFAULT: ExecutionProfile(RoundRobinPolicy())},
            protocol_version=4,
        )
        try:
            cluster.connect()
        except NoHostAvailable:
            return False
        finally:
            cluster.shutdown()
        return True

    def _configuration(self) -> dict[str, object]:
        """cassandra.yaml; JSON is YAML."""
        folders = {
            f"{name}_directory": str(self._data_dir / name)
            for name in ("commitlog", "saved_caches", "hints", "cdc_raw")
        }
        return {
            "cluster_name": "footfall",
            **self._place(),
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "SimpleSnitch",
            "listen_address": self.host,
            "rpc_address": self.host,
            "native_transport_port": self.port,
            "storage_port": self._ring.storage_port,
            "seed_provider": [
                {
                    "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                    "parameters": [{"seeds": f"{self._ring.hosts[0]}:{self._ring.storage_port}"}],
                }
            ],
            "batch_size_warn_threshold": "64KiB",
            "unlogged_batch_across_partitions_warn_threshold": 1_000,
            **_COMMITLOG[self._durable],
            "auto_snapshot": False,
            "data_file_directories": [str(self._data_dir / "data")],
            **folders,
            "authenticator": "PasswordAuthenticator",
            "authorizer": "CassandraAuthorizer",
            "client_encryption_options": {
                "enabled": True,
                "optional": True,
                "keystore": str(self._data_dir / "key.p12"),
                "keystore_password": _KEYSTORE_PASSWORD,
                "store_type": "PKCS12",
            },
        }

    def _place(self) -> dict[str, object]:
        """Which part of the ring the node has. Several take theirs at once, where a bootstrap goes one by one."""
        hosts = self._ring.hosts
        if len(hosts) == 1:
            return {"num_tokens": 16, "allocate_tokens_for_local_replication_factor": 1}
        token = hosts.index(self.host) * _TOKENS // len(hosts) - _TOKENS // 2
        return {
            "num_tokens": 1,
            "initial_token": str(token),
            "auto_bootstrap": False,
            # Of the system's own tables: nobody gets in while the only node is down that knows the users.
            "default_keyspace_rf": len(hosts),
        }

    def _make_key(self) -> None:
        """A key and a certificate of its own, by the JDK's keytool."""
        key = self._data_dir / "key.p12"
        if key.exists():
            return
        of_store = ["-keystore", str(key), "-storepass", _KEYSTORE_PASSWORD, "-storetype", "PKCS12", "-alias", "node"]
        subject = ["-dname", "CN=footfall", "-ext", f"SAN=ip:{self.host},dns:localhost", "-validity", "365"]
        for arguments in (
            ["-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", *subject, *of_store],
            ["-exportcert", "-rfc", "-file", str(self.certificate), *of_store],
        ):
            subprocess.run([_tool("keytool"), *arguments], check=True, capture_output=True, timeout=60)  # noqa: S603


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise FootfallError(f"Cassandra needs a JDK of 11 or 17, and {name} is not on PATH")
    return found


def main() -> None:
    """Runs a node on the folder given, with its settings on standard output, until Ctrl-C."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".footfall/cassandra")
    server = CassandraServer(folder, folder, port=9042)
    server.start()
    print("\n".join(f"export {name}={value}" for name, value in server.environment.items()), flush=True)  # noqa: T201
    assert server.process is not None  # noqa: S101
    try:
        server.process.wait()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
