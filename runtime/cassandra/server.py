"""One Cassandra node as a child of ours: `python -m runtime.cassandra.server FOLDER` runs one until Ctrl-C."""

import os
import shutil
import socket
import subprocess
import sys
import time
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
_START_S = 120.0
_STOP_S = 30.0
_KEYSTORE_PASSWORD = "footfall"  # noqa: S105  (of a key that is made for one run)


class CassandraServer:
    """One node on one data folder, with passwords, and with TLS for those who ask for it, on the same port."""

    def __init__(
        self, data_dir: Path, log_dir: Path, *, heap_mb: int = 1024, port: int = 0, durable: bool = True
    ) -> None:
        """`durable`: a write is on the disk before it is acknowledged, as it has to be where there is one node only.
        Without it a node that dies loses the writes of up to 10 s, as is the servers' own default.
        """
        self._data_dir = data_dir.resolve()
        self._log_file = log_dir.resolve() / "cassandra.log"
        self._heap_mb = heap_mb
        self._durable = durable
        self._storage_port = free_port(HOST, 0)
        self.port = free_port(HOST, port)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def certificate(self) -> Path:
        """What a TLS client has to trust, as PEM."""
        return self._data_dir / "certificate.pem"

    @property
    def environment(self) -> dict[str, str]:
        """The settings with which Footfall finds this node."""
        return {
            "SCYLLA_ENABLED": "true",
            "SCYLLA_CONTACT_POINTS": HOST,
            "SCYLLA_PORT": str(self.port),
            "SCYLLA_USERNAME": USERNAME,
            "SCYLLA_PASSWORD": PASSWORD,
            "SCYLLA_LOCAL_DC": LOCAL_DC,
            "SCYLLA_REPLICATION_FACTOR": "1",
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
            # One node has nobody to wait for.
            "-Dcassandra.skip_wait_for_gossip_to_settle=0",
            "-Dcassandra.ring_delay_ms=1",
            "-Dcassandra.superuser_setup_delay_ms=0",
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

    def _answers(self) -> bool:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, self.port)) != 0:
                return False
        cluster = Cluster(
            [HOST],
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
            "num_tokens": 16,
            "allocate_tokens_for_local_replication_factor": 1,
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "SimpleSnitch",
            "listen_address": HOST,
            "rpc_address": HOST,
            "native_transport_port": self.port,
            "storage_port": self._storage_port,
            "seed_provider": [
                {
                    "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                    "parameters": [{"seeds": f"{HOST}:{self._storage_port}"}],
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

    def _make_key(self) -> None:
        """A key and a certificate of its own, by the JDK's keytool."""
        key = self._data_dir / "key.p12"
        if key.exists():
            return
        of_store = ["-keystore", str(key), "-storepass", _KEYSTORE_PASSWORD, "-storetype", "PKCS12", "-alias", "node"]
        subject = ["-dname", "CN=footfall", "-ext", f"SAN=ip:{HOST},dns:localhost", "-validity", "365"]
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
