"""The program with a home of its own: the embedded server, and the demo."""

import socket
from pathlib import Path
from typing import Any

import pytest

Home = Any  # what the fixture is


def test_the_server_is_started_used_and_stopped(home: Home) -> None:
    assert home.here("db", "status", "--json").document["state"] == "not initialised"
    up = home("db", "up", "--json")
    assert up.code == 0
    assert up.document["state"] == "running"
    assert up.document["version"] == up.document["needed_version"]
    assert up.document["size_bytes"] > 2**20
    said = home("db", "psql", "--", "-XAtc", "select 1, current_user")
    assert (said.code, said.out) == (0, "1|seawall_app\n")
    refused = home("db", "psql", "--", "-Xc", "create table mine (a int)")
    assert refused.code == 1
    assert "permission denied" in refused.err
    status = home.here("db", "status").out
    assert ["state", "running"] in map(str.split, status.splitlines())
    assert "size  " in status
    assert home("db", "down").out == "Stopped.\n"
    assert home.here("db", "down", "--json").document == {"stopped": False}
    assert home.here("db", "status", "--json").document["state"] == "stopped"


def test_the_doctor_makes_a_fresh_home_ready(home: Home) -> None:
    done = home.here("doctor", "--json")
    assert done.code == 0, done
    assert done.document["healthy"] is True


def test_psql_makes_a_fresh_home_ready_and_sees_what_is_the_owners(home: Home) -> None:
    said = home("db", "psql", "--", "-XAtc", "select count(*) from portfolios")
    assert (said.code, said.out) == (0, "0\n")


def test_a_port_that_is_taken_is_named(home: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = home.here("portfolio", "list", "--json", SEAWALL_DATABASE__PORT=str(port))
    assert done.code == 7
    assert f"port {port} on 127.0.0.1 is in use" in done.document["error"]["message"]
    assert "another port" in done.document["error"]["hint"]
    assert home.here("portfolio", "list").code == 0


def test_a_folder_without_the_programs_is_unavailable(home: Home, tmp_path: Path) -> None:
    done = home.here("portfolio", "list", SEAWALL_DATABASE__BIN_DIR=str(tmp_path))
    assert done.code == 7
    assert str(tmp_path) in done.err
    assert "Traceback" not in done.err


@pytest.mark.slow
def test_the_demo_fills_its_own_database_once(home: Home) -> None:
    first = home("demo", "--json")
    assert first.code == 0, first
    assert first.err == ""
    made = first.document
    assert made["simulated"] is True
    assert made["assets"] == 20
    # A late listing has fewer days, a delisting fewer days and hours.
    assert made["candles_inserted"] == (18 * 1_095 + 675 + 760) + (19 * 8_760 + 720)
    assert made["transactions_inserted"] == 21

    second = home.here("demo")
    assert second.code == 0
    assert "SIMULATED DATA: 20 made-up assets, 0 candles and 0 transactions added." in second.out
    assert f"Kept as {made['report']['id']}" in second.out
    assert "simulated prices." in second.out

    assert "There are no portfolios yet." in home.here("portfolio", "list").out
    assert home.here("market", "coverage", "--json").document == {"series": []}
    shown = home.here(
        "--demo", "portfolio", "show", "demo", "--as-of", made["report"]["as_of"], "--json"
    )
    assert shown.document["total_value_usd"] == made["report"]["total_value_usd"]
    series = home.here("--demo", "market", "coverage", "--json").document["series"]
    assert len(series) == 40
    assert all(each["is_simulated"] and each["exchange"] == "simulated" for each in series)

    assert home.here("--demo", "portfolio", "create", "Mine").code == 0
    rows = "date,type,asset,quantity\n2025-12-30,withdrawal,USD,1\n"
    path = home.folder.parent / "more.csv"
    path.write_text(rows, encoding="utf-8")
    assert home.here("--demo", "portfolio", "import", "Demo", path).code == 0
    again = home.here("demo", "--json")
    assert again.code == 0
    assert again.document["transactions_inserted"] == 0
