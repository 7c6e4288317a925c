"""What the doctor and the status say of an installation."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from seawall.core.settings import load_settings
from seawall.db.database import Location
from seawall.ops import doctor
from seawall.ops.database import describe


async def test_every_check_passes_on_a_healthy_installation(installation: Location) -> None:
    checks = await doctor.examine(load_settings())
    assert [each.name for each in checks if not each.ok] == []
    found = {each.name: each.found for each in checks}
    assert found["database"].startswith("PostgreSQL 1")
    assert "numba" in found["versions"]
    assert found["cache"] == "in this process; no server is configured"
    assert installation.url not in "".join(found.values())


def test_a_disk_that_is_nearly_full_is_told_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=doctor.LOW_DISK - 1))
    check = doctor._check_disk(tmp_path / "not" / "there" / "yet")
    assert not check.ok
    assert check.found.startswith("2.0 GiB free for ")
    assert "SEAWALL_HOME" in check.advice


async def test_the_status_of_another_server_is_its_address_and_version(
    installation: Location, needed_version: str
) -> None:
    found = await describe()
    assert found["server"] == "external"
    assert found["version"] == needed_version
    assert str(found["url"]).startswith("postgresql://")
    assert installation.url != found["url"]


async def test_the_status_of_a_home_without_a_cluster_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAWALL_HOME", str(tmp_path / "home"))
    found = await describe()
    assert (found["server"], found["state"], found["pid"]) == ("embedded", "not initialised", None)
    assert "version" not in found
    assert not (tmp_path / "home").exists()
