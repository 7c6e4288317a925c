"""Importing price files through the command line."""

import gzip
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

BINANCE = """\
1704067200000,42283.58,44184.10,42180.77,44179.55,27174.29903,1704153599999,1169995682.10,1095327,13545.1,583000000.1,0
1704153600000,44179.55,45879.63,44148.34,44946.91,65146.40661,1704239999999,2944330823.89,2095095,33031.2,1492000000.1,0
"""
YAHOO = """\
Date,Open,High,Low,Close,Volume,Dividends,Stock Splits
2024-01-01 00:00:00+00:00,2282.0,2352.3,2265.2,2352.3,8293774336,0.0,0.0
2024-01-02 00:00:00+00:00,2352.3,2431.2,2346.2,2355.8,16675923968,0.0,0.0
2024-01-03 00:00:00+00:00,2355.8,2385.3,2111.4,2210.7,23141239808,0.0,0.0
"""
UNIX = """\
timestamp,open,close,volume,unix_timestamp,high,low
2024-01-01 00:00:00,42283.6,44179.0,9000.5,1704067200,44200,42170
"""
INDEX = """\
Date,Close
2024-01-02,4742.83
2024-01-03,4704.81
"""
GENERIC = """\
time,open,high,low,close,volume
2024-01-01T00:00:00Z,10,12,9,11,5
2024-01-01T01:00:00Z,11,12,10,11.5,4
2024-01-01T03:00:00Z,11.5,13,11,12,3
"""
LEAN = "0,67900000,67950000,67890000,67940000,1.5\n60000,67940000,67960000,67930000,67950000,2.5\n"
FILES = {
    "BTCUSDT-1d.csv": BINANCE,
    "ETH-USD.yahoo.csv": YAHOO,
    "BTCUSD-coinbase-1d.csv": UNIX,
    "SP500-close.csv": INDEX,
    "SOLUSD-1h.csv": GENERIC,
}
Cli = Callable[..., Any]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Write one small file of each text format, and a LEAN zip."""
    made = {}
    for name, text in FILES.items():
        made[name] = tmp_path / name
        made[name].write_text(text, encoding="utf-8")
    zipped = tmp_path / "coinbase-btcusd-20240101-minute-trade.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("20240101_btcusd_minute_trade.csv", LEAN)
    return made | {zipped.name: zipped}


def _counts(result: dict[str, Any]) -> tuple[int, ...]:
    return tuple(result[name] for name in ("rows_read", "inserted", "updated", "unchanged"))


def _held(cli: Cli) -> dict[str, int]:
    series = cli("market", "coverage", "--json").document["series"]
    return {f"{s['exchange']} {s['symbol']} {s['timeframe']}": s["rows"] for s in series}


def test_every_format_is_taken_and_taking_it_again_changes_nothing(
    cli: Cli, files: dict[str, Path]
) -> None:
    done = cli("market", "import", *files.values(), "--json")
    assert done.code == 0, done.out
    assert done.err == ""
    found = {Path(each["path"]).name: each for each in done.document["files"]}
    assert {name: (f["format"], f["exchange"], f["symbol"]) for name, f in found.items()} == {
        "BTCUSDT-1d.csv": ("binance", "binance", "BTC/USDT"),
        "ETH-USD.yahoo.csv": ("yahoo", "yahoo", "ETH/USD"),
        "BTCUSD-coinbase-1d.csv": ("unix-timestamp", "coinbase", "BTC/USD"),
        "SP500-close.csv": ("index", "", "SP500"),
        "SOLUSD-1h.csv": ("ohlcv", "unknown", "SOL/USD"),
        "coinbase-btcusd-20240101-minute-trade.zip": ("lean", "coinbase", "BTC/USD"),
    }
    assert _counts(found["ETH-USD.yahoo.csv"]) == (3, 3, 0, 0)
    gappy = found["SOLUSD-1h.csv"]
    assert (gappy["gap_count"], gappy["missing"]) == (1, 1)
    assert gappy["gaps"] == [
        {"start": "2024-01-01T02:00:00Z", "end": "2024-01-01T03:00:00Z", "missing": 1}
    ]
    assert gappy["first_time"] == "2024-01-01T00:00:00Z"
    assert gappy["last_time"] == "2024-01-01T03:00:00Z"
    before = _held(cli)
    again = cli("market", "import", *files.values(), "--json").document["files"]
    assert [_counts(each)[1:3] for each in again] == [(0, 0)] * 6
    assert _held(cli) == before


def test_the_text_says_what_became_of_each_file(cli: Cli, files: dict[str, Path]) -> None:
    done = cli("market", "import", files["SOLUSD-1h.csv"], files["BTCUSDT-1d.csv"])
    assert done.code == 0
    assert done.err == ""
    assert done.out == (
        "SOLUSD-1h.csv: unknown SOL/USD 1h candles, format ohlcv\n"
        "  3 rows read: 3 inserted, 0 updated, 0 unchanged, 0 rejected\n"
        "  2024-01-01 to 2024-01-01 03:00, 1 gap with 1 missing\n"
        "  gap: 1 missing from 2024-01-01 02:00 until 2024-01-01 03:00\n"
        "  note: no exchange is named; recorded as 'unknown' (--exchange names one)\n"
        "BTCUSDT-1d.csv: binance BTC/USDT 1d candles, format binance\n"
        "  2 rows read: 2 inserted, 0 updated, 0 unchanged, 0 rejected\n"
        "  2024-01-01 to 2024-01-02, no gaps\n"
        "2 files taken, 0 failed; 5 rows written, 0 rejected\n"
    )


def test_a_file_that_changed_updates_what_changed(cli: Cli, files: dict[str, Path]) -> None:
    path = files["ETH-USD.yahoo.csv"]
    assert cli("market", "import", path).code == 0
    path.write_text(YAHOO.replace(",2355.8,16675923968", ",2400.5,16675923968"), encoding="utf-8")
    done = cli("market", "import", path, "--json")
    assert _counts(done.document["files"][0]) == (3, 0, 1, 2)


def test_one_file_that_fails_does_not_keep_the_others_out(
    cli: Cli, files: dict[str, Path], tmp_path: Path
) -> None:
    missing = tmp_path / "missing.csv"
    paths = (files["BTCUSDT-1d.csv"], missing, files["ETH-USD.yahoo.csv"])
    done = cli("market", "import", *paths)
    assert done.code == 3
    assert f"{missing}: not imported\n  {missing} is not there.\n" in done.err
    assert "2 files taken, 1 failed; 5 rows written, 0 rejected" in done.out
    assert len(_held(cli)) == 2


def test_a_dry_run_says_what_it_would_do_and_does_nothing(cli: Cli, files: dict[str, Path]) -> None:
    done = cli("market", "import", files["BTCUSDT-1d.csv"], "--dry-run", "--json")
    assert done.code == 0
    assert done.document["dry_run"] is True
    assert _counts(done.document["files"][0]) == (2, 2, 0, 0)
    assert _held(cli) == {}
    assert (
        "A dry run: nothing was changed."
        in cli("market", "import", files["BTCUSDT-1d.csv"], "--dry-run").out
    )
    assert cli("market", "import", files["BTCUSDT-1d.csv"]).code == 0
    would = cli("market", "import", files["BTCUSDT-1d.csv"], "--dry-run", "--json")
    assert _counts(would.document["files"][0]) == (2, 0, 0, 2)


def test_options_name_what_the_file_does_not(cli: Cli, write_candles: Callable[..., Path]) -> None:
    path = write_candles([5, 6, 7], name="prices.csv", step=timedelta(hours=4))
    done = cli("market", "import", path)
    assert done.code == 4
    assert "does not say what it prices. Name it: --symbol BTC/USDT." in done.err
    named = ("--symbol", "doge/usd", "--exchange", "Kraken", "--timeframe", "4h")
    assert cli("market", "import", path, *named, "--format", "ohlcv").code == 0
    assert _held(cli) == {"kraken DOGE/USD 4h": 3}


def test_another_format_than_the_file_has_is_refused(cli: Cli, files: dict[str, Path]) -> None:
    done = cli("market", "import", files["BTCUSDT-1d.csv"], "--format", "yahoo")
    assert done.code == 4
    assert "is not of the yahoo format" in done.err


def test_wrapped_files_are_unwrapped(cli: Cli, tmp_path: Path) -> None:
    packed = tmp_path / "BTCUSDT-1d.csv.gz"
    packed.write_bytes(gzip.compress(BINANCE.encode()))
    several = tmp_path / "several.zip"
    with zipfile.ZipFile(several, "w") as archive:
        archive.writestr("in/ETH-USD.yahoo.csv", YAHOO)
        archive.writestr("in/SOLUSD-1h.csv", GENERIC)
    done = cli("market", "import", packed, several, "--json")
    assert done.code == 0
    assert [each["symbol"] for each in done.document["files"]] == ["BTC/USDT", "ETH/USD", "SOL/USD"]


def test_a_zip_of_which_one_file_is_wrong_is_not_taken_at_all(cli: Cli, tmp_path: Path) -> None:
    several = tmp_path / "several.zip"
    with zipfile.ZipFile(several, "w") as archive:
        archive.writestr("ETH-USD.yahoo.csv", YAHOO)
        archive.writestr("SOLUSD-1h.csv", "no prices in here\n")
    done = cli("market", "import", several, "--json")
    assert done.code == 4
    assert done.document["files"] == []
    assert _held(cli) == {}
