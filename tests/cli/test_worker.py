"""`seawall worker` does what an import has queued, and shows how the queue stands."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 40


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """A file of daily candles of BTC."""
    path = tmp_path / "BTCUSD-1d.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["time", "open", "high", "low", "close", "volume"])
        for number in range(DAYS):
            close = 100 + 5 * ((number * 7) % 11)
            day = START + timedelta(days=number)
            rows.writerow([day.date().isoformat(), close, close, close, close, 1])
    return path


@pytest.fixture
def transactions(tmp_path: Path) -> Path:
    """A file with one purchase of BTC."""
    path = tmp_path / "transactions.csv"
    path.write_text(
        "date,type,asset,quantity,price_usd,fee_usd,notes\n2024-01-05,buy,BTC,1.5,100,0,\n"
    )
    return path


def test_what_imports_queued_is_done_once(
    cli: Cli, prices: Path, transactions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("portfolio", "create", "Mine").code == 0
    assert cli("portfolio", "import", "Mine", transactions).code == 0
    for _ in range(2):
        imported = cli("market", "import", prices, "--symbol", "BTC/USD", "--timeframe", "1d")
        assert imported.code == 0, imported.err
    waiting = cli("worker", "status", "--json").document
    assert {(each["task"], each["state"], each["jobs"]) for each in waiting["tasks"]} == {
        ("risk.remeasure", "todo", 1),
        ("risk.measure_assets", "todo", 1),
        ("risk.revise", "todo", 1),
        ("risk.report_portfolio", "todo", 1),
    }
    assert waiting["workers"] == 0

    # Some statement takes a millisecond, and is told of.
    monkeypatch.setenv("SEAWALL_DATABASE__SLOW_MS", "1")
    done = cli("worker", "run", "--once", "--json")
    assert done.code == 0, done.err
    assert done.document["done"] >= 5
    kept = cli("logs", "--limit", "1000", "--json").document["logs"]
    assert any(each["metadata"]["process"].startswith("worker ") for each in kept)

    state = cli("worker", "status", "--json").document
    assert {each["state"] for each in state["tasks"]} == {"succeeded"}
    assert state["failures"] == []
    history = cli("risk", "history", "Mine", "--json").document["reports"]
    # As of the last midnight, which was missed, and of now.
    assert len(history) >= 2
    measured = cli("risk", "assets", "btc", "--window", "30", "--json").document
    assert [(each["asset"], each["observations"]) for each in measured] == [("BTC", 30)]
    again = cli("risk", "assets", "--window", "30", "--recompute", "--as-of", "2024-02-01")
    assert again.code == 0
    assert again.out == "BTC as of 2024-02-01: the same.\n"
    shown = cli("risk", "assets", "BTC")
    assert "BTC" in shown.out
    assert "risk.measure_assets" in cli("worker", "status").out


def test_nothing_measured_is_not_found(cli: Cli) -> None:
    outcome = cli("risk", "assets", "ETH", "--json")
    assert outcome.code == 3
    assert "let a worker measure" in outcome.document["error"]["hint"]
    assert cli("risk", "assets", "--window", "31").code == 4
