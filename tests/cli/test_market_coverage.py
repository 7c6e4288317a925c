"""What is held and what is missing, as the command line shows it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market.formats.base import ParseHints
from seawall.market.formats.parse import parse_file
from seawall.market.ingest import ingest

Cli = Callable[..., Any]


@pytest.fixture
def filled(cli: Cli, write_candles: Callable[..., Path]) -> Cli:
    """Hold two pairs of BTC, one of them with gaps, and one of ETH."""
    files = (
        write_candles(range(100, 120), name="BTCUSD-1d.csv", skip=(4, 5, 6, 10)),
        write_candles(range(100, 105), name="BTCUSDT-1d.csv"),
        write_candles(
            [7, 8, 9],
            name="ETHUSD-1h.csv",
            start=datetime(2024, 1, 1, 22, tzinfo=UTC),
            step=timedelta(hours=1),
        ),
    )
    assert cli("market", "import", *files, "--exchange", "kraken").code == 0
    return cli


def test_the_table_shows_every_series(filled: Cli) -> None:
    lines = filled("market", "coverage").out.splitlines()
    assert lines[0].split() == [
        *("Symbol", "Exchange", "Series", "Rows", "First", "Last", "Missing", "Gaps"),
        *("Longest", "gap"),
    ]
    assert lines[2].split() == [
        *("BTC/USD", "kraken", "1d", "16", "2024-01-01", "2024-01-20", "4", "2"),
        *("2024-01-05", "until", "2024-01-08,", "absent", "in", "source"),
    ]
    assert lines[3].split() == [
        *("BTC/USDT", "kraken", "1d", "5", "2024-01-01", "2024-01-05", "0", "0"),
    ]
    assert lines[4].split() == [
        *("ETH/USD", "kraken", "1h", "3", "2024-01-01", "22:00", "2024-01-02", "0", "0"),
    ]


def test_the_document_has_every_gap_with_its_reason(filled: Cli) -> None:
    series = filled("market", "coverage", "btc/usd", "--json").document["series"]
    assert len(series) == 1
    assert series[0] == {
        "kind": "candles",
        "exchange": "kraken",
        "symbol": "BTC/USD",
        "timeframe": "1d",
        "rows": 16,
        "first_time": "2024-01-01T00:00:00Z",
        "last_time": "2024-01-20T00:00:00Z",
        "missing": 4,
        "gap_count": 2,
        "gaps": [
            {
                "start": "2024-01-05T00:00:00Z",
                "end": "2024-01-08T00:00:00Z",
                "missing": 3,
                "reason": "absent_in_source",
            },
            {
                "start": "2024-01-11T00:00:00Z",
                "end": "2024-01-12T00:00:00Z",
                "missing": 1,
                "reason": "absent_in_source",
            },
        ],
        "is_simulated": False,
    }


def test_an_asset_and_a_pair_can_be_chosen(filled: Cli) -> None:
    def symbols(wanted: str) -> list[str]:
        found = filled("market", "coverage", wanted, "--json").document["series"]
        return [each["symbol"] for each in found]

    assert symbols("BTC") == ["BTC/USD", "BTC/USDT"]
    assert symbols("BTC/USDT") == ["BTC/USDT"]
    assert symbols("eth") == ["ETH/USD"]


def test_what_is_not_held_is_not_found(filled: Cli) -> None:
    done = filled("market", "coverage", "DOGE")
    assert done.code == 3
    assert done.out == ""
    assert "Nothing is held of 'DOGE'." in done.err


def test_nothing_held_is_said_in_words(cli: Cli) -> None:
    done = cli("market", "coverage")
    assert done.code == 0
    assert done.out == "Nothing is held yet. Import some: seawall market import PATH\n"
    assert cli("market", "coverage", "--json").document == {"series": []}


def test_of_trades_nothing_can_be_said_to_be_missing(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "coinbase-btcusd-20240101-minute-quote.csv"
    row = "{ms},100,101,99,100,2,102,103,101,102,3\n"
    path.write_text("".join(row.format(ms=ms) for ms in (0, 60_000, 600_000)), encoding="utf-8")
    assert cli("market", "import", path).code == 0
    series = cli("market", "coverage", "--json").document["series"][0]
    assert (series["kind"], series["missing"], series["gap_count"]) == ("quotes", None, None)
    assert cli("market", "coverage").out.splitlines()[2].split()[-2:] == ["-", "-"]


async def _simulate(url: str, path: Path) -> None:
    engine = create_engine(url)
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        for part in parse_file(path, hints=ParseHints(exchange="mine")):
            await ingest(session, part, str(path), is_simulated=True)
    await engine.dispose()


def test_what_is_simulated_is_marked(
    cli: Cli, installation: Any, write_candles: Callable[..., Path]
) -> None:
    asyncio.run(_simulate(installation.url, write_candles([1, 2, 3])))
    assert " mine (simulated) " in cli("market", "coverage").out
    assert cli("market", "coverage", "--json").document["series"][0]["is_simulated"] is True
