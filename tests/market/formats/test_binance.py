"""Binance klines in all the ways in which they are found."""

from collections.abc import Callable

import numpy as np
import pytest

from seawall.market.schemas import ParsedFile, SeriesKind, Timeframe

Parse = Callable[..., ParsedFile]

TWELVE = (
    "open_time,open,high,low,close,volume,close_time,quote_asset_volume,number_of_trades,"
    "taker_buy_base_asset_volume,taker_buy_quote_asset_volume,ignore\n"
)
NINE = (
    "open_time,open,high,low,close,volume,close_time,quote_asset_volume,number_of_trades\n"
    "2024-03-17 00:00:00+00:00,10.5,12,9.25,11,1000.5,"
    "2024-03-17 23:59:59.999000+00:00,11000.75,42\n"
    "2024-03-18 00:00:00+00:00,11,11.5,10,10.25,500,2024-03-18 23:59:59.999000+00:00,5300,17\n"
)


def _klines(unit: int) -> str:
    """Two minutes from 2025-01-01 00:00 UTC, which is second 1735689600, in units per second."""
    rows = []
    for minute in range(2):
        opened = (1_735_689_600 + 60 * minute) * unit
        closed = opened + 60 * unit - 1
        rows.append(f"{opened},10,12,9,11,5.5,{closed},60.5,7,2,22,0\n")
    return "".join(rows)


def test_iso_times_with_a_header_and_nine_columns(parse: Parse) -> None:
    parsed = parse("BTCUSDT-1d.csv", NINE)
    assert (parsed.format, parsed.kind) == ("binance", SeriesKind.CANDLES)
    assert (parsed.symbol, parsed.exchange) == ("BTC/USDT", "binance")
    assert parsed.timeframe == Timeframe.parse("1d")
    assert (parsed.rows_read, parsed.rejected, parsed.notes) == (2, (), ())
    assert parsed.records.tolist() == [
        (np.datetime64("2024-03-17", "us").item(), 10.5, 12.0, 9.25, 11.0, 1000.5, 11000.75, 42),
        (np.datetime64("2024-03-18", "us").item(), 11.0, 11.5, 10.0, 10.25, 500.0, 5300.0, 17),
    ]


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
@pytest.mark.parametrize("header", ["", TWELVE])
def test_epoch_times_of_any_unit_with_or_without_header(
    parse: Parse, unit: int, header: str
) -> None:
    parsed = parse("download.csv", header + _klines(unit), symbol="BTC/USDT")
    assert (parsed.format, parsed.exchange, str(parsed.timeframe)) == ("binance", "binance", "1m")
    assert parsed.records["time"].tolist() == [
        np.datetime64("2025-01-01T00:00", "us").item(),
        np.datetime64("2025-01-01T00:01", "us").item(),
    ]
    assert parsed.records["quote_volume"].tolist() == [60.5, 60.5]
    assert parsed.records["trade_count"].tolist() == [7, 7]


def test_milliseconds_then_microseconds_as_binance_changed_them_in_2025(parse: Parse) -> None:
    before = "1735689540000,10,12,9,11,5.5,1735689599999,60.5,7,2,22,0\n"
    parsed = parse("BTCUSDT-1m.csv", before + _klines(1_000_000))
    assert np.diff(parsed.records["time"]).tolist() == [np.timedelta64(1, "m")] * 2


def test_binances_own_header_since_2025(parse: Parse) -> None:
    header = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
        "taker_buy_volume,taker_buy_quote_volume,ignore\n"
    )
    assert parse("ETHUSDT-1m-2025-01-01.csv", header + _klines(1_000)).symbol == "ETH/USDT"


def test_header_in_capitals_and_words(parse: Parse) -> None:
    header = "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades"
    body = NINE.split("\n", 1)[1]
    assert parse("BTCUSDT.csv", f"{header}\n{body}").format == "binance"


def test_recognised_by_content_whatever_the_name(parse: Parse) -> None:
    parsed = parse("prices.parquet", NINE)
    assert (parsed.format, parsed.symbol) == ("binance", None)


def test_a_bad_first_row_without_header_is_a_rejected_row(parse: Parse) -> None:
    bad = "1735689540000,ten,12,9,11,5.5,1735689599999,60.5,7,2,22,0\n"
    parsed = parse("BTCUSDT-1m.csv", bad + _klines(1_000))
    assert [(row.line, row.reason) for row in parsed.rejected] == [
        (1, "open 'ten' is not a number")
    ]
    assert len(parsed.records) == 2


@pytest.mark.parametrize("field", ["volume", "quote_volume", "trade_count"])
def test_volumes_and_counts_must_be_there(parse: Parse, field: str) -> None:
    column = {"volume": 5, "quote_volume": 7, "trade_count": 8}[field]
    lines = NINE.splitlines()
    cells = lines[2].split(",")
    cells[column] = ""
    parsed = parse("BTCUSDT-1d.csv", "\n".join([*lines[:2], ",".join(cells)]))
    assert [(row.line, row.reason) for row in parsed.rejected] == [(3, f"{field} is missing")]
