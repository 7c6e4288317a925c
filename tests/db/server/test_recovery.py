"""Kills, leftovers and crowds: the next starter always finds or makes a server that works."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from seawall.core.errors import UnavailableError
from seawall.db.server import cluster, postmaster
from seawall.db.server.account import server_account
from seawall.db.server.driver import Server, ServerState

Serve = Callable[..., Server]
Ask = Callable[..., Any]
Kill = Callable[[Server], int]

STARTER = """
import sys
from pathlib import Path
from seawall.db.server.driver import Server
home, bin_dir = map(Path, sys.argv[1:])
print(Server(home, bin_dir=bin_dir, settings={"fsync": "off"}).ensure().socket_dir, flush=True)
"""


def starter(server: Server) -> subprocess.Popen[str]:
    """Start the server from another process."""
    command = [sys.executable, "-c", STARTER, str(server.home), str(server.bin_dir)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)
    return found


def starts(server: Server) -> int:
    return server.log_path.read_text().count("ready to accept connections")


def folder_of(server: Server) -> Path:
    folder = cluster.find_cluster(server.home)
    assert folder is not None
    return folder


def test_a_killed_server_recovers_with_its_data(
    home: Path, bin_dir: Path, serve: Serve, ask: Ask, kill: Kill
) -> None:
    server = serve(home, bin_dir=bin_dir)
    url = server.ensure().url("postgres", as_admin=True)
    ask(url, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    killed = kill(server)
    began = time.monotonic()
    server.ensure()
    assert time.monotonic() - began < 10
    assert ask(url, "SELECT sum(n) FROM kept") == 500500
    assert server.status().pid != killed


def test_processes_that_outlive_their_server_are_waited_out(
    home: Path, bin_dir: Path, serve: Serve, ask: Ask, kill: Kill
) -> None:
    server = serve(home, bin_dir=bin_dir)
    url = server.ensure().url("postgres", as_admin=True)

    async def leave_behind() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        backend = await connection.fetchval("SELECT pg_backend_pid()")
        os.kill(backend, signal.SIGSTOP)
        kill(server)
        threading.Timer(1, os.kill, (backend, signal.SIGCONT)).start()
        connection.terminate()

    asyncio.run(leave_behind())
    began = time.monotonic()
    server.ensure()
    assert time.monotonic() - began > 0.5
    assert ask(url, "SELECT answer FROM kept") == 42


def test_processes_that_never_end_are_told(
    home: Path, serve: Serve, ask: Ask, kill: Kill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmaster, "LEFTOVERS_TIMEOUT", 0.3)
    server = serve(home)
    url = server.ensure().url("postgres", as_admin=True)

    async def leave_behind() -> int:
        connection = await asyncpg.connect(url)
        backend: int = await connection.fetchval("SELECT pg_backend_pid()")
        os.kill(backend, signal.SIGSTOP)
        kill(server)
        connection.terminate()
        return backend

    backend = asyncio.run(leave_behind())
    try:
        with pytest.raises(UnavailableError, match="still at work"):
            server.ensure()
    finally:
        os.kill(backend, signal.SIGCONT)
    monkeypatch.undo()
    server.ensure()
    assert ask(url, "SELECT 1") == 1


@pytest.fixture
def stranger(request: pytest.FixtureRequest, home: Path, serve: Serve) -> Iterator[int]:
    """A process id that a killed server's file may come to name."""
    server = serve(home)
    server.ensure()
    uid = server_account(folder_of(server)).uid
    command = ["sleep", "60"] if request.param == "a stranger" else ["true"]
    user = uid if os.geteuid() == 0 else None
    with subprocess.Popen(command, user=user) as process:
        if request.param == "a dead process":
            process.wait()
        if request.param == "a zombie":
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process.pid
        process.kill()


@pytest.mark.parametrize("stranger", ["a stranger", "a dead process", "a zombie"], indirect=True)
def test_a_stale_pid_file_hinders_nobody(
    home: Path, serve: Serve, ask: Ask, kill: Kill, stranger: int
) -> None:
    server = serve(home)
    access = server.ensure()
    pid = kill(server)
    folder = folder_of(server)
    socket_lock = access.socket_dir / f".s.PGSQL.{access.port}.lock"
    for path in (postmaster.pid_file(cluster.data_folder(folder)), socket_lock):
        text = path.read_text()
        assert text.startswith(f"{pid}\n")
        path.write_text(text.replace(str(pid), str(stranger), 1))
    assert server.status().state is ServerState.STOPPED
    server.ensure()
    assert ask(access.url("postgres", as_admin=True), "SELECT 1") == 1
    assert server.status().pid != stranger


@pytest.mark.parametrize("text", ["", "not a number\n", "999999"])
def test_a_damaged_pid_file_hinders_nobody(home: Path, serve: Serve, kill: Kill, text: str) -> None:
    server = serve(home)
    server.ensure()
    kill(server)
    postmaster.pid_file(cluster.data_folder(folder_of(server))).write_text(text)
    server.ensure()
    assert server.status().state is ServerState.RUNNING


def test_a_server_is_told_from_one_that_was_copied(
    home: Path, open_folder: Path, serve: Serve, ask: Ask
) -> None:
    first = serve(home)
    url = first.ensure().url("postgres", as_admin=True)
    ask(url, "CHECKPOINT")
    subprocess.run(["cp", "-a", home, open_folder / "copy"], check=True)
    copy = serve(open_folder / "copy")
    other = copy.ensure().url("postgres", as_admin=True)
    ask(url, "CREATE TABLE only_here ()")
    assert copy.status().pid != first.status().pid
    assert ask(other, "SELECT to_regclass('only_here')") is None


def test_many_processes_share_one_server(home: Path, bin_dir: Path, serve: Serve) -> None:
    server = serve(home, bin_dir=bin_dir)
    crowd = [starter(server) for _ in range(5)]
    told = {process.communicate(timeout=60)[0] for process in crowd}
    assert [process.returncode for process in crowd] == [0] * 5
    assert told == {f"{server.ensure().socket_dir}\n"}
    assert starts(server) == 1


def test_many_threads_share_one_server(home: Path, serve: Serve) -> None:
    server = serve(home)
    with ThreadPoolExecutor(8) as pool:
        told = {pool.submit(server.ensure) for _ in range(8)}
    assert {one.result() for one in told} == {server.ensure()}
    assert starts(server) == 1


def test_a_server_whose_starter_was_killed_is_adopted(
    home: Path, bin_dir: Path, serve: Serve, ask: Ask
) -> None:
    server = serve(home, bin_dir=bin_dir)
    with starter(server) as process:
        pid = wait_for(lambda: home.exists() and server.status().pid)
        process.kill()
    url = server.ensure().url("postgres", as_admin=True)
    assert server.status().pid == pid
    assert ask(url, "SELECT 1") == 1


def test_a_killed_initdb_leaves_nothing_half_made(home: Path, bin_dir: Path, serve: Serve) -> None:
    server = serve(home, bin_dir=bin_dir)
    with starter(server) as process:
        staging = wait_for(lambda: [*home.glob("postgres/new-*/data/base")])[0].parent
        process.kill()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if str(staging).encode() in entry.read_bytes():
                os.kill(int(entry.parent.name), signal.SIGKILL)
    folder = folder_of(server)
    assert server.status().state is ServerState.ABSENT
    assert staging.exists()
    server.ensure()
    assert server.status().state is ServerState.RUNNING
    assert not [*folder.glob("new-*")]


def test_a_starter_waits_for_the_lock_and_says_when_it_gave_up(
    home: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seawall.db.server.driver.LOCK_TIMEOUT", 0.1)
    server = serve(home)
    server.log_path.parent.mkdir(parents=True)
    with server._lock(), pytest.raises(UnavailableError, match="starting or stopping"):
        serve(home).ensure()


def test_a_server_whose_socket_was_removed_is_told(home: Path, serve: Serve) -> None:
    server = serve(home)
    access = server.ensure()
    (access.socket_dir / f".s.PGSQL.{access.port}").unlink()
    with pytest.raises(UnavailableError, match=str(server.status().pid)):
        server.ensure()
    assert server.stop()
    assert server.ensure() == access
