"""Every file of real data is recognised and read, and agrees with pandas."""

import csv
import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from seawall.market.formats.base import ParseHints
from seawall.market.formats.parse import parse_file
from seawall.market.schemas import ParsedFile, SeriesKind

SPOT = ["ADA", "AVAX", "BNB", "BTC", "DOGE", "ETH", "LINK", "LTC", "SOL", "XRP"]
KLINES = [
    *((f"daily/{base}USDT-1d.csv", base, "1d") for base in SPOT),
    *((f"four_hour/{base}USDT-4h.csv.gz", base, "4h") for base in SPOT),
]
BARS = [
    *(f"minute/coinbase-btcusd-201610{day}-second-trade.zip" for day in ("07", "08", "09")),
    *(
        f"minute/coinbase-{pair}-2018040{day}-minute-trade.zip"
        for pair in ("btcusd", "ethusd", "ltcusd")
        for day in (4, 5)
    ),
]
QUOTES = [
    f"quotes/coinbase-{pair}-2018040{day}-minute-quote.zip"
    for pair in ("btcusd", "ethusd", "ltcusd")
    for day in (4, 5)
]


def read(real_data: Path, name: str) -> ParsedFile:
    (parsed,) = parse_file(real_data / name, hints=ParseHints())
    assert parsed.rejected == ()
    assert len(parsed.records) == parsed.rows_read
    return parsed


def identity(parsed: ParsedFile) -> tuple[str, str | None, str | None, str]:
    return parsed.format, parsed.symbol, parsed.exchange, str(parsed.timeframe)


def micros(times: "pd.Series[pd.Timestamp]") -> list[int]:
    naive = times.dt.tz_localize(None).to_numpy()
    return [int(value) for value in naive.astype("<M8[us]").astype(np.int64)]


def same_times(parsed: ParsedFile, times: "pd.Series[pd.Timestamp]") -> bool:
    return bool(parsed.records["time"].astype(np.int64).tolist() == micros(times))


def rows_of(path: Path) -> int:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return sum(1 for _ in csv.reader(io.StringIO(text))) - 1


@pytest.mark.parametrize(("name", "base", "timeframe"), KLINES)
def test_binance(real_data: Path, name: str, base: str, timeframe: str) -> None:
    parsed = read(real_data, name)
    assert identity(parsed) == ("binance", f"{base}/USDT", "binance", timeframe)
    assert parsed.rows_read == rows_of(real_data / name)
    frame = pd.read_csv(real_data / name)
    assert same_times(parsed, pd.to_datetime(frame["open_time"]))
    for field in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(parsed.records[field], frame[field])
    np.testing.assert_array_equal(parsed.records["quote_volume"], frame["quote_asset_volume"])
    np.testing.assert_array_equal(parsed.records["trade_count"], frame["number_of_trades"])


@pytest.mark.parametrize("base", ["BNB", "BTC", "ETH", "SOL"])
def test_yahoo(real_data: Path, base: str) -> None:
    name = f"daily/{base}-USD.yahoo.csv"
    parsed = read(real_data, name)
    assert identity(parsed) == ("yahoo", f"{base}/USD", "yahoo", "1d")
    assert parsed.rows_read == rows_of(real_data / name)
    assert not any("float noise" in note for note in parsed.notes)
    frame = pd.read_csv(real_data / name)
    assert same_times(parsed, pd.to_datetime(frame["Date"]))
    for field in ("open", "high", "low", "close"):
        np.testing.assert_array_equal(parsed.records[field], frame[field.title()])
    np.testing.assert_array_equal(parsed.records["quote_volume"], frame["Volume"])


def test_unix_timestamp(real_data: Path) -> None:
    name = "daily/BTCUSD-coinbase-1d.csv"
    parsed = read(real_data, name)
    assert identity(parsed) == ("unix-timestamp", "BTC/USD", "coinbase", "1d")
    assert parsed.rows_read == rows_of(real_data / name)
    frame = pd.read_csv(real_data / name)
    assert same_times(parsed, pd.to_datetime(frame["timestamp"]))
    for field in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(parsed.records[field], frame[field])


def test_index(real_data: Path) -> None:
    name = "reference/SP500-close.csv"
    parsed = read(real_data, name)
    assert identity(parsed) == ("index", "SP500", None, "1d")
    assert parsed.rows_read == rows_of(real_data / name)
    frame = pd.read_csv(real_data / name)
    assert same_times(parsed, pd.to_datetime(frame["Date"]) + pd.Timedelta(days=1))
    np.testing.assert_array_equal(parsed.records["price_usd"], frame["Close"])


def lean_frame(path: Path, names: list[str]) -> pd.DataFrame:
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.namelist()
        with archive.open(member) as stream:
            frame = pd.read_csv(stream, header=None, names=names)
    frame["time"] = pd.Timestamp(member[:8]) + pd.to_timedelta(frame["millis"], unit="ms")
    return frame


@pytest.mark.parametrize("name", BARS)
def test_lean_trades(real_data: Path, name: str) -> None:
    parsed = read(real_data, name)
    base, timeframe = name.split("-")[1][:3].upper(), "1s" if "second" in name else "1m"
    assert identity(parsed) == ("lean", f"{base}/USD", "coinbase", timeframe)
    fields = ["open", "high", "low", "close", "volume"]
    frame = lean_frame(real_data / name, ["millis", *fields])
    assert same_times(parsed, frame["time"])
    for field in fields:
        np.testing.assert_array_equal(parsed.records[field], frame[field])


@pytest.mark.parametrize("name", QUOTES)
def test_lean_quotes(real_data: Path, name: str) -> None:
    parsed = read(real_data, name)
    base = name.split("-")[1][:3].upper()
    assert identity(parsed) == ("lean", f"{base}/USD", "coinbase", "1m")
    assert parsed.kind is SeriesKind.QUOTES
    fields = ["bo", "bh", "bl", "bid_price", "bid_size", "ao", "ah", "al", "ask_price", "ask_size"]
    frame = lean_frame(real_data / name, ["millis", *fields])
    assert same_times(parsed, frame["time"] + pd.Timedelta(minutes=1))
    for field in ("bid_price", "bid_size", "ask_price", "ask_size"):
        np.testing.assert_array_equal(parsed.records[field], frame[field])


# pandas reads neither Arrow nor Parquet without pyarrow, which is no dependency.
def test_feather(real_data: Path) -> None:
    name = "minute/ETHBTC-5m.feather"
    parsed = read(real_data, name)
    assert identity(parsed) == ("arrow", "ETH/BTC", None, "5m")
    assert parsed.rows_read == 5760
    assert parsed.records["time"][[0, -1]].tolist() == [
        np.datetime64("2018-01-10T04:55", "us").item(),
        np.datetime64("2018-01-30T04:50", "us").item(),
    ]
    frame = pl.read_ipc(real_data / name)
    for field in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(parsed.records[field], frame[field].to_numpy())


def test_trades(real_data: Path) -> None:
    name = "trades/XRPETH-trades.parquet"
    parsed = read(real_data, name)
    assert identity(parsed) == ("parquet", "XRP/ETH", None, "None")
    assert parsed.rows_read == 12_477
    assert parsed.records[["time", "trade_id", "side", "price", "quantity"]][0].tolist() == (
        np.datetime64("2019-10-11T00:00:11.620", "us").item(), 13519807, -1, 0.00141342, 23.0,
    )  # fmt: skip
    frame = pl.read_parquet(real_data / name)
    for field, column in (("price", "price"), ("quantity", "amount")):
        np.testing.assert_array_equal(parsed.records[field], frame[column].to_numpy())
    assert parsed.records["trade_id"].tolist() == [int(text) for text in frame["id"]]
    assert int((parsed.records["side"] == 1).sum()) == frame["side"].to_list().count("buy")


def test_no_file_is_left_out(real_data: Path) -> None:
    tested = {name for name, _, _ in KLINES} | {*BARS, *QUOTES}
    tested |= {f"daily/{base}-USD.yahoo.csv" for base in ("BNB", "BTC", "ETH", "SOL")}
    tested |= {"daily/BTCUSD-coinbase-1d.csv", "reference/SP500-close.csv"}
    tested |= {"minute/ETHBTC-5m.feather", "trades/XRPETH-trades.parquet"}
    found = {str(path.relative_to(real_data)) for path in real_data.rglob("*") if path.is_file()}
    assert found - {"README.md"} == tested
