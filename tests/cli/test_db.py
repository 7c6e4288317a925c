"""`seawall db` and `seawall doctor` on a server that is somebody else's."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from seawall.db.database import Location
from seawall.db.engine import create_engine

Cli = Callable[..., Any]
SECRET = "secret-word"  # noqa: S105 - it opens nothing
UNREACHABLE = f"postgresql://somebody:{SECRET}@127.0.0.1:1/seawall"


def _psql(statement: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "seawall.cli.app", "db", "psql", "--", "-XAtc", statement],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_the_server_of_others_is_neither_started_nor_stopped(cli: Cli) -> None:
    for command in ("up", "down"):
        done = cli("db", command)
        assert done.code == 4
        assert "names a server that Seawall does not run" in done.err


def test_status_tells_the_version_and_hides_the_password(
    cli: Cli, installation: Location, needed_version: str
) -> None:
    done = cli("db", "status", "--json")
    found = done.document
    assert found["server"] == "external"
    assert found["version"] == found["needed_version"] == needed_version
    assert found["url"].startswith("postgresql://seawall_app:***@")
    password = installation.url.partition("seawall_app:")[2].partition("@")[0]
    assert len(password) > 8
    text = cli("db", "status").out
    assert password not in done.out + text
    assert ["needed", "version", needed_version] in map(str.split, text.splitlines())


def test_status_of_a_server_that_is_down_says_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAWALL_DATABASE__URL", UNREACHABLE)
    done = cli("db", "status", "--json")
    assert done.code == 0
    assert done.document["version"] is None
    assert "cannot be reached" in done.document["problem"]
    assert SECRET not in done.out


def test_the_address_is_printed(cli: Cli, installation: Location) -> None:
    assert _as_psql_reads(cli("db", "url").out) == installation.url
    assert _as_psql_reads(cli("db", "url", "--admin").out) == installation.admin_url


def _as_psql_reads(printed: str) -> str:
    assert printed.startswith("postgresql")
    return printed.strip().replace("postgresql+asyncpg://", "postgresql://").replace("%2F", "/")


def test_an_up_to_date_database_is_left_alone(cli: Cli, needed_version: str) -> None:
    done = cli("db", "migrate")
    assert done.out == f"The database is at version {needed_version} already.\n"
    assert cli("db", "migrate", "--json").document == {
        "from": needed_version,
        "to": needed_version,
    }


def test_an_empty_place_is_unavailable_until_it_is_migrated(
    cli: Cli, installation: Location, monkeypatch: pytest.MonkeyPatch, needed_version: str
) -> None:
    name = f"{installation.name}_new"
    monkeypatch.setenv("SEAWALL_DATABASE__NAME", name)
    done = cli("portfolio", "list")
    assert done.code == 7
    assert "Run `seawall db migrate`." in done.err
    try:
        assert cli("db", "migrate").out == f"Migrated from version none to {needed_version}.\n"
        assert cli("portfolio", "list").code == 0
    finally:
        asyncio.run(_drop(installation.maintenance_url, name))


async def _drop(url: str, name: str) -> None:
    engine = create_engine(url, role=None, pooled=False)
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    await engine.dispose()


def test_psql_acts_as_the_application(
    cli: Cli, installation: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("db", "migrate").code == 0
    assert _psql("select current_user") == "seawall_app"
    # Even where the login could do more.
    monkeypatch.setenv("SEAWALL_DATABASE__URL", installation.admin_url)
    assert _psql("select current_user, session_user <> current_user") == "seawall_app|t"


def test_psql_as_a_document_says_what_would_run(cli: Cli) -> None:
    found = cli("db", "psql", "--json", "--", "-c", "select 1").document
    assert found["program"].endswith("psql")
    assert found["arguments"] == ["-c", "select 1"]


def _checks(done: Any) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in done.document["checks"]}


def test_the_doctor_finds_a_healthy_installation(cli: Cli, needed_version: str) -> None:
    done = cli("doctor", "--json")
    assert done.code == 0
    assert done.document["healthy"] is True
    checks = _checks(done)
    assert list(checks) == ["python", "versions", "disk", "database", "cache"]
    assert all(each["ok"] and not each["advice"] for each in checks.values())
    assert f"at version {needed_version}" in checks["database"]["found"]
    text = cli("doctor").out
    assert text.count("\nok ") == 5
    assert "FAIL" not in text


@pytest.mark.parametrize(
    ("url", "found"),
    [
        (f"redis://:{SECRET}@127.0.0.1:1/0", "The cache does not answer: "),
        (f"http://{SECRET}", "is not a cache's address"),
    ],
)
def test_the_doctor_advises_on_a_wrong_cache(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, url: str, found: str
) -> None:
    monkeypatch.setenv("SEAWALL_CACHE__URL", url)
    done = cli("doctor", "--json")
    assert done.code == 7
    assert done.document["healthy"] is False
    wrong = [each for each in done.document["checks"] if not each["ok"]]
    assert [each["name"] for each in wrong] == ["cache"]
    assert found in wrong[0]["found"]
    assert not wrong[0]["found"].endswith("..")
    assert "redis://" in wrong[0]["advice"] or "SEAWALL_CACHE__URL" in wrong[0]["advice"]
    assert SECRET not in done.out


def test_the_doctor_advises_on_a_database_that_is_down(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAWALL_DATABASE__URL", UNREACHABLE)
    done = cli("doctor", "--json")
    assert done.code == 7
    database = _checks(done)["database"]
    assert not database["ok"]
    assert "cannot be reached" in database["found"]
    assert "SEAWALL_DATABASE__URL" in database["advice"]
    assert SECRET not in done.out
