"""A server is made, started, joined, described and stopped, by every kind of binaries."""

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from seawall.core.errors import ConflictError
from seawall.db.server import driver as server_module
from seawall.db.server.credentials import ADMIN_USER, APP_USER, password_file
from seawall.db.server.driver import Server, ServerState

Serve = Callable[..., Server]
Ask = Callable[..., Any]


def test_a_new_home_gets_a_server_that_answers(
    home: Path, bin_dir: Path, serve: Serve, ask: Ask
) -> None:
    server = serve(home, bin_dir=bin_dir)
    url = server.ensure().url("postgres", as_admin=True)
    assert ask(url, "SELECT current_user") == ADMIN_USER
    assert ask(url, "SHOW server_encoding") == "UTF8"
    assert ask(url, "SELECT datcollate FROM pg_database WHERE datname = 'template1'") == "C"
    assert ask(url, "SHOW data_checksums") == "on"


def test_data_outlives_a_stop(home: Path, bin_dir: Path, serve: Serve, ask: Ask) -> None:
    server = serve(home, bin_dir=bin_dir)
    url = server.ensure().url("postgres", as_admin=True)
    ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert server.stop()
    assert not server.stop()
    assert server.ensure().url("postgres", as_admin=True) == url
    assert ask(url, "SELECT answer FROM kept") == 42


def test_psql_takes_the_same_address(home: Path, bin_dir: Path, serve: Serve) -> None:
    server = serve(home, bin_dir=bin_dir)
    url = server.ensure().url("postgres", as_admin=True)
    command = [str(server.psql()), "-X", "-A", "-t", "-c", "SELECT 6 * 7", url]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "42"


def test_nobody_enters_without_the_password(home: Path, serve: Serve, ask: Ask) -> None:
    access = serve(home).ensure()
    url = access.url("postgres", as_admin=True)
    with pytest.raises(asyncpg.InvalidPasswordError):
        ask(url.replace(access.admin_password, "guess"), "SELECT 1")
    with pytest.raises(asyncpg.InvalidPasswordError):
        ask(access.url("postgres"), "SELECT 1")  # The application's role is the migrations' work.


def test_passwords_are_random_private_and_not_shown(home: Path, serve: Serve) -> None:
    access = serve(home).ensure()
    assert access.admin_password != access.app_password
    assert min(len(access.admin_password), len(access.app_password)) >= 40
    assert access.admin_password not in repr(access)
    assert access.app_password not in repr(access)
    for user in (ADMIN_USER, APP_USER):
        assert password_file(home, user).stat().st_mode & 0o777 == 0o600


def test_it_is_durable_and_hears_only_its_socket(home: Path, serve: Serve, ask: Ask) -> None:
    access = serve(home, settings={}).ensure()
    url = access.url("postgres", as_admin=True)
    expected = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "jit": "off",
        "TimeZone": "UTC",
        "password_encryption": "scram-sha-256",
    }
    assert {name: ask(url, f"SHOW {name}") for name in expected} == expected
    assert access.socket_dir.stat().st_mode & 0o777 == 0o700


def test_settings_of_the_caller_have_the_last_word(home: Path, serve: Serve, ask: Ask) -> None:
    server = serve(home, settings={"fsync": "off", "work_mem": "7MB", "cluster_name": "it's \\x"})
    url = server.ensure().url("postgres", as_admin=True)
    assert ask(url, "SHOW work_mem") == "7MB"
    assert ask(url, "SHOW cluster_name") == "it's \\x"


def test_joining_a_running_server_is_quick(home: Path, serve: Serve) -> None:
    server = serve(home)
    access = server.ensure()
    taken = []
    for _ in range(20):
        began = time.perf_counter()
        assert server.ensure() == access
        taken.append(time.perf_counter() - began)
    assert min(taken) < 0.01


def test_status_tells_what_there_is(home: Path, bin_dir: Path, serve: Serve) -> None:
    server = serve(home, bin_dir=bin_dir)
    before = server.status()
    assert (before.state, before.data_dir, before.pid) == (ServerState.ABSENT, None, None)
    assert not home.exists()

    access = server.ensure()
    running = server.status()
    assert running.state is ServerState.RUNNING
    assert running.pid is not None
    assert os.getsid(running.pid) == running.pid
    assert running.socket_dir == access.socket_dir
    assert running.tcp_port is None
    assert running.size_bytes > 20_000_000
    assert running.binaries is not None
    assert running.binaries.folder.samefile(bin_dir)
    assert running.data_dir is not None
    assert (running.data_dir / "PG_VERSION").read_text().strip() == str(running.binaries.major)

    server.stop()
    stopped = server.status()
    assert (stopped.state, stopped.pid) == (ServerState.STOPPED, None)
    assert stopped.binaries == running.binaries


def test_a_stop_leaves_no_socket_behind(home: Path, serve: Serve) -> None:
    server = serve(home)
    folder = server.ensure().socket_dir
    server.stop()
    assert not folder.exists()


def test_a_plain_home_holds_its_own_socket(open_folder: Path, serve: Serve) -> None:
    server = serve(open_folder / "home")
    access = server.ensure()
    assert access.socket_dir == open_folder.resolve() / "home" / "postgres" / "run"
    assert len(str(access.socket_dir / ".s.PGSQL.5432")) <= 107


def test_a_long_home_has_a_short_socket(open_folder: Path, serve: Serve, ask: Ask) -> None:
    access = serve(open_folder / ("a-long-name/" * 20) / "home").ensure()
    assert len(str(access.socket_dir / ".s.PGSQL.5432")) <= 107
    assert ask(access.url("postgres", as_admin=True), "SELECT 1") == 1


def test_the_log_is_bounded_while_the_server_runs(
    home: Path, serve: Serve, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(home)
    url = server.ensure().url("postgres", as_admin=True)
    limit = server.log_path.stat().st_size
    monkeypatch.setattr(server_module, "LOG_LIMIT", limit)
    assert server.log_path.stat().st_mode & 0o777 == 0o600
    ask(url, "DO $$ BEGIN RAISE WARNING 'a first line'; END $$")
    server.ensure()
    assert server.log_path.stat().st_size == 0
    old = server.log_path.with_suffix(".log.old")
    assert "a first line" in old.read_text()
    assert old.stat().st_mode & 0o777 == 0o600
    ask(url, "DO $$ BEGIN RAISE WARNING 'a second line'; END $$")
    assert re.match(r"\d{4}-\d\d-\d\d .* a second line", server.log_path.read_text())


def test_the_log_keeps_no_statement_that_failed(home: Path, serve: Serve, ask: Ask) -> None:
    server = serve(home)
    url = server.ensure().url("postgres", as_admin=True)
    with pytest.raises(asyncpg.UndefinedObjectError):
        ask(url, "ALTER ROLE nobody_here PASSWORD 'hush'")
    log = server.log_path.read_text()
    assert "nobody_here" in log
    assert "hush" not in log


def test_a_tcp_port_is_heard_on_this_machine_alone(
    home: Path, serve: Serve, ask: Ask, free_port: int
) -> None:
    server = serve(home, port=free_port)
    access = server.ensure()
    password = access.admin_password
    url = f"postgresql://{ADMIN_USER}:{password}@127.0.0.1:{free_port}/postgres"
    assert ask(url, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(access.url("postgres", as_admin=True), "SELECT 1") == 1
    assert server.status().tcp_port == free_port
    assert serve(home).ensure() == access
    with pytest.raises(ConflictError, match=str(free_port)):
        serve(home, port=free_port + 1).ensure()


def test_timescaledb_is_loaded_and_tells_nobody(
    home: Path, timescale_bin: Path, serve: Serve, ask: Ask
) -> None:
    server = serve(home, bin_dir=timescale_bin)
    url = server.ensure().url("postgres", as_admin=True)
    status = server.status()
    assert status.binaries is not None
    assert status.binaries.has_timescaledb
    ask(url, "CREATE EXTENSION timescaledb")
    assert ask(url, "SHOW timescaledb.telemetry_level") == "off"
    made = "CREATE TABLE t (at timestamptz NOT NULL)", "SELECT create_hypertable('t', 'at')::text"
    assert "public,t" in ask(url, *made)


def test_without_timescaledb_nothing_is_preloaded(
    home: Path, bin_dir: Path, serve: Serve, ask: Ask
) -> None:
    server = serve(home, bin_dir=bin_dir)
    url = server.ensure().url("postgres", as_admin=True)
    binaries = server.status().binaries
    assert binaries is not None
    expected = "timescaledb" if binaries.has_timescaledb else ""
    assert ask(url, "SHOW shared_preload_libraries") == expected
