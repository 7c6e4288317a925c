"""The server's process: finding it, starting it, stopping it."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from seawall.core.errors import UnavailableError
from seawall.db.server.account import Account, own_account
from seawall.db.server.binaries import Binaries
from seawall.db.server.failures import LEFTOVERS, explain

START_TIMEOUT = 120
"""Seconds; a server that recovers from a crash may need them."""
STOP_TIMEOUT = 60
LEFTOVERS_TIMEOUT = 30
_POLL = 0.01


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What a server says of itself in postmaster.pid."""

    pid: int
    data: Path
    port: int
    socket_dir: Path
    address: str
    state: str

    @property
    def is_ready(self) -> bool:
        """Whether it takes connections."""
        return self.state == "ready"

    @property
    def tcp_port(self) -> int | None:
        """The port on TCP, if it listens there."""
        return self.port if self.address else None

    def answers(self) -> bool:
        """Whether someone listens at the socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(1)
            try:
                client.connect(str(self.socket_dir / f".s.PGSQL.{self.port}"))
            except OSError:
                return False
            return True


def pid_file(data: Path) -> Path:
    """Return where a running server writes about itself."""
    return data / "postmaster.pid"


def running(data: Path) -> Postmaster | None:
    """Return the living server of a data folder, whoever started it."""
    found = _read(data)
    return found if found and _lives(found, data) else None


def _read(data: Path) -> Postmaster | None:
    """Read postmaster.pid; None when there is none, or none that is whole."""
    try:
        lines = pid_file(data).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    # Line 7 is the key of the shared memory; a server that starts writes one after another.
    pid, folder, _, port, socket_dir, address, _, state = (*lines, *[""] * 8)[:8]
    if not pid.isdecimal():
        return None
    number = int(port) if port.isdecimal() else 0
    return Postmaster(int(pid), Path(folder), number, Path(socket_dir), address, state.strip())


def _lives(found: Postmaster, data: Path) -> bool:
    """Whether the process is a PostgreSQL on this data folder, and not a zombie or a stranger."""
    if sys.platform != "linux":
        said = own_account().attempt("ps", "-o", "stat=,comm=", "-p", str(found.pid)).stdout
        return "postgres" in said and not said.startswith("Z") and _same(found.data, data)
    process = Path("/proc") / str(found.pid)
    try:
        name, _, rest = (process / "stat").read_text().partition("(")[2].rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return False
    if name != "postgres" or rest.split()[0] in "ZX":
        return False
    try:
        return _same(process / "cwd", data)
    except PermissionError:  # Root in a container without CAP_SYS_PTRACE.
        return _same(found.data, data)


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except FileNotFoundError:
        return False


def wait_until_settled(data: Path) -> Postmaster | None:
    """Wait for a server that starts or stops; return it when it is ready, None when it is gone.

    Raises:
        UnavailableError: it is neither in time, or it is ready but its socket is not there.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while found := running(data):
        if found.is_ready and found.answers():
            return found
        if found.is_ready or time.monotonic() > deadline:
            raise UnavailableError(
                f"A server runs on {data} as process {found.pid}, but does not answer at"
                f" {found.socket_dir} (it says it is {found.state or 'starting'}).",
                hint="Stop it with `seawall db down`, then try again.",
            )
        time.sleep(_POLL)
    return None


def remove_stale_files(data: Path, account: Account) -> None:
    """Remove postmaster.pid when its process is a stranger or a zombie, or it is damaged.

    PostgreSQL would take such a process for a running server. When the process is gone, the file
    stays: it names the shared memory by which a starting server knows that others still use it.
    """
    found = _read(data)
    if found is None or _exists(found.pid):
        account.attempt("rm", "-f", pid_file(data))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def start(data: Path, binaries: Binaries, account: Account, log: Path, port: int | None) -> None:
    """Start the server in a session of its own and wait until it takes connections.

    Raises:
        UnavailableError: it does not start; the last words of its log say why.
    """
    deadline = time.monotonic() + LEFTOVERS_TIMEOUT
    # In the environment, because pg_ctl hands an option -D to a shell, with quotes or not.
    where = ("/usr/bin/env", f"PGDATA={data}")
    command = (*where, binaries.folder / "pg_ctl", "start", "-w", "-s", "-t", str(START_TIMEOUT))
    while True:
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
            said_before = output.tell()
            if account.attempt(*command, output=output).returncode == 0:
                return
        said = _said_since(log, said_before)
        if not LEFTOVERS.search(said) or time.monotonic() > deadline:
            raise explain("start", said, data, port=port, log=log)
        time.sleep(10 * _POLL)


def _said_since(log: Path, offset: int) -> str:
    with log.open("rb") as file:
        file.seek(offset)
        return file.read().decode("utf-8", "replace")


def stop(found: Postmaster, data: Path) -> None:
    """Shut the server down: its clients are dropped, what they committed is kept.

    Raises:
        UnavailableError: it has not ended in time.
    """
    with suppress(ProcessLookupError):
        os.kill(found.pid, signal.SIGINT)
    if not _wait(lambda: running(data) is None, STOP_TIMEOUT):
        raise UnavailableError(
            f"The server on {data} (process {found.pid}) has not stopped in {STOP_TIMEOUT} s.",
            hint="It may be writing to a slow disk: try again in a while.",
        )


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
