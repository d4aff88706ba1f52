"""A Kafka broker as a child of ours: `python -m runtime.kafka.server FOLDER` runs one until Ctrl-C."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from domain.errors import FootfallError
from runtime.children import Command, log_tail, spawn, stop
from runtime.jars import Jars
from runtime.ports import free_port

HOST = "127.0.0.1"
VERSION = "4.1.1"
USERNAME = PASSWORD = "footfall"  # noqa: S105  (the broker listens on this machine only)

_CLUSTER_ID = "Zm9vdGZhbGwta2Fma2EtMQ"
_FORMAT_S = 60.0
_START_S = 120.0
_STOP_S = 30.0

_JARS = Jars("Kafka", VERSION, "runtime.kafka")

why_not = _JARS.why_not


class KafkaServer:
    """One node that is broker and controller (KRaft), on one data folder.

    It has a listener for everybody and one for those who give USERNAME and PASSWORD (SASL PLAIN). Topics are made by
    whoever wants them, by an admin client.
    """

    def __init__(self, data_dir: Path, log_dir: Path, *, heap_mb: int = 384, port: int = 0) -> None:
        self._data_dir = data_dir.resolve()
        self._log_file = log_dir.resolve() / "kafka.log"
        self._heap_mb = heap_mb
        self.port = free_port(HOST, port)
        self.sasl_port = free_port(HOST, 0)
        self._controller_port = free_port(HOST, 0)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Where clients find it, as their `bootstrap.servers`."""
        return f"{HOST}:{self.port}"

    @property
    def sasl_bootstrap(self) -> str:
        """The same for those who have a password."""
        return f"{HOST}:{self.sasl_port}"

    @property
    def command(self) -> Command:
        return Command("kafka", self._java("kafka.Kafka", str(self._properties)), os.environ, self._log_file)

    def start(self) -> None:
        """Launches the broker, on what is in its folder, and waits until it answers.

        Raises:
            FootfallError: it does not start; with the end of its log.

        """
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self._properties.write_text("\n".join(f"{key}={value}" for key, value in self._configuration().items()))
        self._format()
        self.process = spawn(self.command)
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._answers():
                return
        self.stop()
        raise FootfallError(f"Kafka did not start:\n{log_tail(self._log_file)}")

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process, self.command, _STOP_S)
            self.process = None

    def kill(self) -> None:
        """Ends it as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def _properties(self) -> Path:
        return self._data_dir / "server.properties"

    def _java(self, main: str, *arguments: str) -> list[str]:
        java = shutil.which("java")
        if java is None:
            raise FootfallError("Kafka needs Java 17 or later, and java is not on PATH")
        options = [
            f"-Xmx{self._heap_mb}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",  # up sooner, and less of the processor for a short life
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        ]
        return [java, *options, "-cp", f"{_JARS.find()}/*", main, *arguments]

    def _format(self) -> None:
        arguments = ["format", "--config", str(self._properties), "--cluster-id", _CLUSTER_ID, "--ignore-formatted"]
        done = subprocess.run(  # noqa: S603
            self._java("kafka.tools.StorageTool", *arguments),
            capture_output=True,
            text=True,
            timeout=_FORMAT_S,
            check=False,
        )
        if done.returncode != 0:
            raise FootfallError(f"Kafka's folder could not be made:\n{done.stdout}{done.stderr}")

    def _answers(self) -> bool:
        try:
            AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(timeout=1)
        except KafkaException:
            return False
        return True

    def _configuration(self) -> dict[str, object]:
        listeners = {"OPEN": self.port, "SASL": self.sasl_port, "CONTROLLER": self._controller_port}
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{HOST}:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "OPEN",
            "listeners": ",".join(f"{name}://{HOST}:{port}" for name, port in listeners.items()),
            "listener.security.protocol.map": "OPEN:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listener.name.sasl.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl.plain.sasl.jaas.config": f'{login} user_{USERNAME}="{PASSWORD}";',
            "log.dirs": self._data_dir / "data",
            "auto.create.topics.enable": "false",
            # One node has nobody to copy to, and nobody to wait for.
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            # Test times may be as old as they like.
            "log.retention.ms": -1,
        }


def main() -> None:
    """Runs a broker on the folder given, with its setting on standard output, until Ctrl-C."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".footfall/kafka")
    server = KafkaServer(folder, folder, port=9092)
    server.start()
    print(f"export FOOTFALL_KAFKA_BOOTSTRAP={server.bootstrap}", flush=True)  # noqa: T201
    assert server.process is not None  # noqa: S101
    try:
        server.process.wait()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
