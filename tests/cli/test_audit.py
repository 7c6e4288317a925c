"""`seawall audit`: the log as its keeper meets it."""

import asyncio
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from seawall.db.database import Location, open_admin
from seawall.identity.owner import OWNER_ID

Cli = Callable[..., Any]
TAMPER = (
    "ALTER TABLE audit_logs DISABLE TRIGGER USER",
    "UPDATE audit_logs SET new_data = '{\"name\": \"Mine\"}' WHERE operation = 'INSERT'",
    "ALTER TABLE audit_logs ENABLE TRIGGER USER",
)


def _as_superuser(location: Location, *statements: str) -> None:
    async def run() -> None:
        async with open_admin(location) as engine, engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    asyncio.run(run())


@pytest.fixture
def anchors(tmp_path: Path) -> Path:
    """The file of anchors, in the home of the installation."""
    return tmp_path / "home" / "audit" / "anchors.jsonl"


def test_an_untouched_log_is_verified_and_anchored(cli: Cli, anchors: Path) -> None:
    assert cli("portfolio", "create", "Main").code == 0
    done = cli("audit", "verify")
    assert done.code == 0
    assert done.out.startswith("All 3 entries in 2 chains are as they were logged.\nAnchored as ")
    assert "Note: The log was not anchored before" in done.out
    assert sha256(anchors.read_bytes().splitlines()[-1]).hexdigest() in done.out
    found = cli("audit", "verify", "--json").document
    assert found == {
        "intact": True,
        "entries": 4,
        "chains": 2,
        "found": 0,
        "findings": [],
        "anchor": sha256(anchors.read_bytes().splitlines()[-1]).hexdigest(),
        "notes": [],
    }


def test_a_changed_log_is_a_conflict_that_says_where(cli: Cli, installation: Location) -> None:
    assert cli("portfolio", "create", "Main").code == 0
    assert cli("audit", "anchor").code == 0
    _as_superuser(installation, *TAMPER)
    done = cli("audit", "verify")
    assert done.code == 5
    message = f"Chain {OWNER_ID}: entry 2 was changed: it does not fit its hash."
    assert "not all is as it was logged: 2 faults" in done.out
    assert message in done.out.splitlines()
    found = cli("audit", "verify", "--json")
    assert found.code == 5
    assert found.document["anchor"] is None
    assert found.document["findings"][-1] == {
        "fault": "edited",
        "chain": str(OWNER_ID),
        "sequence": 2,
        "message": message,
    }


def test_an_anchor_is_written_and_named(cli: Cli, anchors: Path) -> None:
    done = cli("audit", "anchor")
    assert done.code == 0
    (line,) = anchors.read_bytes().splitlines()
    assert done.out == f"Anchored 1 chains in {anchors}, as {sha256(line).hexdigest()}.\n"
    found = cli("audit", "anchor", "--json").document
    assert found["anchor"] == sha256(anchors.read_bytes().splitlines()[1]).hexdigest()
    again = cli("audit", "anchor", "--anew")
    assert again.code == 5
    assert "Move it away first" in again.err
    anchors.unlink()
    assert cli("audit", "verify").code == cli("audit", "anchor").code == 5
    assert cli("audit", "anchor", "--anew").code == cli("audit", "verify").code == 0


def test_the_anchors_lie_where_they_are_said_to(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anchors: Path
) -> None:
    elsewhere = tmp_path / "disk"
    monkeypatch.setenv("SEAWALL_AUDIT__ANCHOR_FILE", str(elsewhere / "anchors"))
    done = cli("audit", "verify")
    assert done.code == 7
    assert "No such file or directory" in done.err
    elsewhere.mkdir()
    assert cli("audit", "verify").code == 0
    assert (elsewhere / "anchors").exists()
    assert not anchors.exists()


def test_a_login_that_is_not_the_owner_s_is_refused(
    cli: Cli, installation: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAWALL_DATABASE__ADMIN_URL", installation.url)
    done = cli("audit", "verify")
    assert done.code == 6
    assert "permission denied to set role" in done.err


@pytest.fixture
def history(cli: Cli, installation: Location) -> str:
    """A portfolio that was made and changed; its id."""
    assert cli("portfolio", "create", "Main").code == 0
    _as_superuser(
        installation,
        "UPDATE portfolios SET name = 'Red' || chr(27) || '[31m', color = '#000000',"
        " total_invested_usd = 0.100000000000000003",
    )
    entries = cli("audit", "log", "--table", "portfolios", "--json").document["entries"]
    return str(entries[0]["record"])


def _entries(done: Any) -> list[Mapping[str, Any]]:
    assert done.code == 0, done.err
    found: list[Mapping[str, Any]] = done.document["entries"]
    return found


def test_the_latest_entries_are_listed_with_what_changed(cli: Cli, history: str) -> None:
    found = _entries(cli("audit", "log", "--json"))
    assert [(each["table"], each["operation"]) for each in found] == [
        ("portfolios", "UPDATE"),
        ("portfolios", "INSERT"),
        ("users", "INSERT"),
        ("audit_logs", "BEGIN"),
    ]
    latest = found[0]
    assert (latest["record"], latest["chain"], latest["sequence"]) == (history, str(OWNER_ID), 3)
    assert (latest["actor"], latest["role"]) == (None, "seawall_admin")
    assert found[1]["actor"] == str(OWNER_ID)
    assert found[-1]["chain"] == "system"
    assert latest["new"]["total_invested_usd"] == "0.100000000000000003", "with all its digits"
    text = cli("audit", "log").out
    assert "  color: #3B82F6 → #000000\n" in text
    assert f"UPDATE portfolios {history}\n" in text
    assert "entry 3, by nobody as seawall_admin\n" in text
    assert "\x1b" not in text


def test_entries_are_chosen_by_table_record_and_time(cli: Cli, history: str) -> None:
    assert len(_entries(cli("audit", "log", "--record", history, "--json"))) == 2
    assert len(_entries(cli("audit", "log", "--table", "users", "--json"))) == 1
    assert len(_entries(cli("audit", "log", "--limit", "1", "--json"))) == 1
    latest, first = _entries(cli("audit", "log", "--record", history, "--json"))
    assert _entries(cli("audit", "log", "--since", latest["time"], "--json")) == [latest]
    assert first["operation"] == "INSERT"
    nothing = cli("audit", "log", "--since", "2100-01-01")
    assert (nothing.code, nothing.out) == (0, "There is no such entry.\n")
    assert cli("audit", "log", "--since", "yesterday").code == 2
