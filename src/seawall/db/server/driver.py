"""The embedded server: a real PostgreSQL on a home's folder, started when it is needed."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from seawall.core.errors import ConflictError, UnavailableError
from seawall.db.server import cluster as clusters
from seawall.db.server import postmaster as postmasters
from seawall.db.server.account import server_account
from seawall.db.server.binaries import Binaries, find_binaries, inspect
from seawall.db.server.configuration import SETTINGS_FILE, render, server_settings
from seawall.db.server.credentials import (
    ADMIN_USER,
    APP_USER,
    Access,
    make_passwords,
    read_password,
)
from seawall.db.server.failures import explain_os_error
from seawall.db.server.relocate import within_reach

LOCK_TIMEOUT = 180
"""Seconds to wait for another starter: longer than a start may take."""
LOG_LIMIT = 8 << 20
"""Bytes of log before it becomes the old one, of which one is kept."""


class ServerState(StrEnum):
    """What a home's server is doing."""

    ABSENT = "not initialised"
    STOPPED = "stopped"
    STARTING = "starting or stopping"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A home's server as it is found; what it does not have is None."""

    state: ServerState
    log_path: Path
    data_dir: Path | None = None
    size_bytes: int = 0
    pid: int | None = None
    socket_dir: Path | None = None
    tcp_port: int | None = None
    binaries: Binaries | None = None


class Server:
    """The PostgreSQL of one home.

    Args:
        home: the folder that holds everything; made when it is not there.
        bin_dir: the folder of the server's programs; chosen when None.
        port: the TCP port on 127.0.0.1; None for the unix socket alone.
        settings: settings of PostgreSQL that overrule ours, for the next start.
    """

    def __init__(
        self,
        home: Path,
        *,
        bin_dir: Path | None = None,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home.expanduser().resolve()
        self.bin_dir = bin_dir
        self.port = port
        self.settings = dict(settings or {})
        self.log_path = self.home / "logs" / "postgres.log"

    def ensure(self) -> Access:
        """Return how to reach the server; start it, and first make its cluster, if need be.

        Raises:
            UnavailableError: there is no way to run it; says why and what to do.
            ConflictError: it runs already, without the TCP port that is asked for.
        """
        with self._system_errors():
            access = self._join()
            if access is None:
                self.log_path.parent.mkdir(parents=True, exist_ok=True)
                with self._lock():
                    access = self._join() or self._start()
            self._bound_log()
            return access

    def stop(self) -> bool:
        """Stop the server and wait until it has ended; return whether it was running.

        Raises:
            UnavailableError: it does not end in time.
        """
        with self._system_errors():
            if self._running() is None:
                return False
            with self._lock():
                folder, found = clusters.find_cluster(self.home), self._running()
                if folder is None or found is None:
                    return False
                postmasters.stop(found, clusters.data_folder(folder))
                account = server_account(folder)
                account.attempt("rmdir", clusters.runtime_folder(folder, account))
                return True

    def status(self) -> ServerStatus:
        """Return what is there, changing nothing."""
        with self._system_errors():
            folder = clusters.find_cluster(self.home)
            if folder is None or (major := clusters.data_major(folder)) is None:
                return ServerStatus(ServerState.ABSENT, self.log_path, binaries=self._would_run())
            data = clusters.data_folder(folder)
            size = _size_on_disk(data)
            found = postmasters.running(data)
            if found is None:
                would_run = self._would_run(major)
                return ServerStatus(
                    ServerState.STOPPED, self.log_path, data, size, binaries=would_run
                )
            return ServerStatus(
                ServerState.RUNNING if found.is_ready else ServerState.STARTING,
                self.log_path,
                data,
                size,
                pid=found.pid,
                socket_dir=found.socket_dir,
                tcp_port=found.tcp_port,
                binaries=_binaries_in_use(data),
            )

    def psql(self) -> Path:
        """Return the psql that came with the server, else the one on the PATH.

        Raises:
            UnavailableError: there is none.
        """
        binaries = self.status().binaries
        beside = binaries.folder / "psql" if binaries else None
        found = beside if beside and beside.is_file() else shutil.which("psql")
        if found is None:
            raise UnavailableError(
                "There is no psql here.", hint="Install PostgreSQL's client programs."
            )
        return Path(found)

    def _running(self) -> postmasters.Postmaster | None:
        folder = clusters.find_cluster(self.home)
        return postmasters.running(clusters.data_folder(folder)) if folder else None

    def _join(self) -> Access | None:
        """Return how to reach a server that is ready, whoever started it."""
        found = self._running()
        if found is None or not found.is_ready or not found.answers():
            return None
        if self.port is not None and self.port != found.tcp_port:
            listens = f"on port {found.tcp_port}" if found.tcp_port else "on its socket alone"
            raise ConflictError(
                f"The server of {self.home} listens {listens}, not on port {self.port}.",
                hint="Stop it with `seawall db down`, then try again.",
            )
        return Access(
            socket_dir=found.socket_dir,
            port=found.port,
            admin_password=read_password(self.home, ADMIN_USER),
            app_password=read_password(self.home, APP_USER),
        )

    def _start(self) -> Access:
        """Start the server; the lock is held."""
        folder = clusters.find_cluster(self.home) or clusters.make_cluster(self.home)
        data = clusters.data_folder(folder)
        if postmasters.wait_until_settled(data) is None:
            self._start_on(folder)
        access = self._join()
        if access is None:
            raise UnavailableError(
                f"The server on {data} ended right after its start.", hint=f"See {self.log_path}."
            )
        return access

    def _start_on(self, folder: Path) -> None:
        account = server_account(folder)
        data, major = clusters.data_folder(folder), clusters.data_major(folder)
        binaries = within_reach(find_binaries(self.bin_dir, major), account)
        clusters.clear_leftovers(folder, account)
        if major is None:
            make_passwords(self.home)
            password = read_password(self.home, ADMIN_USER)
            durable = self.settings.get("fsync") != "off"
            clusters.initialise(folder, binaries, account, password, sync=durable)
        sockets = clusters.runtime_folder(folder, account)
        clusters.make_runtime_folder(sockets, account)
        settings = server_settings(binaries, sockets, self.port, self.settings)
        account.write(data / SETTINGS_FILE, render(settings))
        postmasters.remove_stale_files(data, account)
        postmasters.start(data, binaries, account, self.log_path, self.port)

    def _would_run(self, major: int | None = None) -> Binaries | None:
        with suppress(UnavailableError):
            return find_binaries(self.bin_dir, major)
        return None

    def _bound_log(self) -> None:
        """Keep one old log; the server appends to an open file, which therefore stays in place."""
        if not self._log_is_long():
            return
        with self._lock():
            if self._log_is_long():
                shutil.copy(self.log_path, self.log_path.with_suffix(".log.old"))
                os.truncate(self.log_path, 0)

    def _log_is_long(self) -> bool:
        return self.log_path.exists() and self.log_path.stat().st_size > LOG_LIMIT

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Let one starter or stopper at a time work on the home, across processes."""
        deadline = time.monotonic() + LOCK_TIMEOUT
        with (self.home / "postgres.lock").open("a") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise UnavailableError(
                            f"Another Seawall has been starting or stopping the server of"
                            f" {self.home} for {LOCK_TIMEOUT} s.",
                            hint="Try again when it is done.",
                        ) from None
                    time.sleep(0.02)
            yield

    @contextmanager
    def _system_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise explain_os_error(error, self.home) from error


def _binaries_in_use(data: Path) -> Binaries | None:
    """Return the binaries that a running server was started from, as it noted itself."""
    with suppress(UnavailableError, FileNotFoundError):
        program = (data / "postmaster.opts").read_text(encoding="utf-8").partition(' "')[0]
        return inspect(Path(program.strip()).parent)
    return None


def _size_on_disk(folder: Path) -> int:
    """Return the bytes that a folder takes; files that go away meanwhile do not count."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(Path(path) / name).st_blocks * 512
    return total
