"""Yahoo, Unix timestamps, index closes and tables whose header says what they hold."""

from collections.abc import Callable

import numpy as np
import pytest

from seawall.core.errors import InvalidError
from seawall.market.schemas import ParsedFile, SeriesKind, Timeframe

Parse = Callable[..., ParsedFile]


def test_yahoo_with_dividends(parse: Parse) -> None:
    parsed = parse(
        "BTC-USD.yahoo.csv",
        "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n"
        "2014-09-17 00:00:00+00:00,465.5,468.25,452.5,457.25,21056800,0.0,0.0\n"
        "2014-09-18 00:00:00+00:00,456.5,456.75,413,424.5,34483200,0.0,0.0\n",
    )
    assert (parsed.format, parsed.exchange, parsed.symbol) == ("yahoo", "yahoo", "BTC/USD")
    assert str(parsed.timeframe) == "1d"
    # Yahoo counts in dollars what others count in coins.
    assert parsed.records[["open", "high", "low", "close", "quote_volume"]].tolist() == [
        (465.5, 468.25, 452.5, 457.25, 21056800.0),
        (456.5, 456.75, 413.0, 424.5, 34483200.0),
    ]
    assert np.isnan(parsed.records["volume"]).all()
    assert parsed.records["trade_count"].tolist() == [-1, -1]


def test_yahoo_with_adjusted_close_takes_the_close(parse: Parse) -> None:
    parsed = parse(
        "ETH-EUR.csv",
        "Date,Open,High,Low,Close,Adj Close,Volume\n"
        "2020-01-01,10,12,9,11,5.5,100\n"
        "2020-01-02,11,12,10,12,6.5,\n"
        "2020-01-03,null,null,null,null,null,null\n",
    )
    assert (parsed.format, parsed.symbol) == ("yahoo", "ETH/EUR")
    assert parsed.records["close"].tolist() == [11.0, 12.0]
    assert np.isnan(parsed.records["quote_volume"]).tolist() == [False, True]
    assert [(row.line, row.reason) for row in parsed.rejected] == [
        (4, "open 'null' is not a number")
    ]


def test_unix_timestamp_reads_the_unix_time(parse: Parse) -> None:
    parsed = parse(
        "BTCUSD-coinbase-1d.csv",
        "timestamp,open,close,volume,unix_timestamp,high,low\n"
        "2011-08-17 20:00:00,10.9,11,0.5,1313625600,11.5,10.8\n"
        "2011-08-18 20:00:00,11,11.7,1.5,1313712000,11.85,10.9\n",
    )
    assert (parsed.format, parsed.exchange) == ("unix-timestamp", "coinbase")
    assert parsed.records.tolist()[0][:6] == (
        np.datetime64("2011-08-18", "us").item(), 10.9, 11.5, 10.8, 11.0, 0.5,
    )  # fmt: skip


def test_index_closes_are_known_at_the_end_of_their_day(parse: Parse) -> None:
    parsed = parse("SP500-close.csv", "Date,Close\n2014-09-17,2001.5\n2014-09-18,2011.25\n")
    assert (parsed.format, parsed.kind) == ("index", SeriesKind.PRICES)
    assert (parsed.symbol, parsed.exchange, str(parsed.timeframe)) == ("SP500", None, "1d")
    assert parsed.records.tolist() == [
        (np.datetime64("2014-09-18", "us").item(), 2001.5),
        (np.datetime64("2014-09-19", "us").item(), 2011.25),
    ]


def test_index_on_trading_days_only(parse: Parse) -> None:
    parsed = parse("SP500.csv", "Date,Close\n2014-09-19,1\n2014-09-22,2\n2014-09-24,3\n")
    assert (len(parsed.records), str(parsed.timeframe)) == (3, "1d")


def test_index_close_of_today_is_not_known_yet(parse: Parse) -> None:
    parsed = parse("SP500.csv", "Date,Close\n2025-12-31,1\n2026-01-01,2\n")
    assert [(row.line, row.reason) for row in parsed.rejected] == [
        (3, "1d from 2026-01-01T00:00:00Z is not closed yet")
    ]
    assert parsed.records["time"].tolist() == [np.datetime64("2026-01-01", "us").item()]


def test_index_close_with_a_time_of_day_is_rejected(parse: Parse) -> None:
    parsed = parse("SP500.csv", "Date,Close\n2014-09-17,1\n2014-09-18 16:00,2\n")
    assert [row.reason for row in parsed.rejected] == ["time 2014-09-18T16:00:00Z is no date"]


def test_index_of_another_timeframe_is_refused(parse: Parse) -> None:
    with pytest.raises(InvalidError, match=r"daily closes, but --timeframe says timeframe 1h"):
        parse("SP500.csv", "Date,Close\n2014-09-17,1\n", timeframe=Timeframe.parse("1h"))


@pytest.mark.parametrize("time", ["date", "time", "timestamp", "Datetime"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_generic_in_any_order_and_separator(parse: Parse, time: str, separator: str) -> None:
    rows = [
        ["Close", "low", "HIGH", "Open", time, "comment", "volume"],
        ["11", "9", "12", "10", "2024-01-01T00:00:00Z", "first", "1.5"],
        ["12", "10", "13", "11", "2024-01-01T04:00:00Z", "", ""],
    ]
    parsed = parse("SOLEUR-kraken.txt", "\n".join(separator.join(row) for row in rows))
    assert (parsed.format, parsed.symbol, parsed.exchange) == ("ohlcv", "SOL/EUR", "kraken")
    assert str(parsed.timeframe) == "4h"
    assert parsed.records[["open", "high", "low", "close"]].tolist() == [
        (10.0, 12.0, 9.0, 11.0),
        (11.0, 13.0, 10.0, 12.0),
    ]
    assert parsed.records["volume"][0] == 1.5
    assert np.isnan(parsed.records["volume"][1])


def test_generic_without_volume(parse: Parse) -> None:
    parsed = parse("BTCUSD.csv", "date,open,high,low,close\n2024-01-01,1,2,1,2\n20240102,1,2,1,2\n")
    assert np.isnan(parsed.records["volume"]).all()
    assert str(parsed.timeframe) == "1d"


def test_offsets_are_turned_into_utc(parse: Parse) -> None:
    parsed = parse(
        "BTCUSD.csv",
        "time,open,high,low,close\n"
        "2024-01-01T02:00:00+02:00,1,2,1,2\n"
        "2024-01-01 01:00:00,1,2,1,2\n"
        "2023-12-31T21:00:00.000-05:00,1,2,1,2\n",
    )
    assert parsed.records["time"].tolist() == [
        np.datetime64(f"2024-01-01T0{hour}:00", "us").item() for hour in range(3)
    ]


@pytest.mark.parametrize(
    "header",
    [
        "open,high,low,close,volume",
        "date,time,open,high,low,close",
        "date,open,high,low",
        "a,b,c",
        "date,close,note",
    ],
)
def test_unknown_columns_are_shown(parse: Parse, header: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse("BTCUSD.csv", f"{header}\n2024-01-01,1,2,1,2,3\n")
    assert header in caught.value.message
    assert "binance, yahoo, unix-timestamp, lean, index, ohlcv, arrow, parquet" in caught.value.hint


def test_a_column_that_is_there_twice(parse: Parse) -> None:
    with pytest.raises(InvalidError, match=r"BTCUSD\.csv: the column 'close' is there twice"):
        parse("BTCUSD.csv", "date,open,high,low,close,close\n2024-01-01,1,2,1,2,2\n")


def test_a_format_that_is_asked_for(parse: Parse) -> None:
    yahoo = "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n2014-09-17,1,2,1,2,3,0,0\n"
    assert parse("BTC-USD.csv", yahoo).format == "yahoo"
    forced = parse("BTC-USD.csv", yahoo, format="OHLCV")
    assert (forced.format, forced.exchange) == ("ohlcv", None)
    with pytest.raises(InvalidError, match="is not of the binance format: this text begins with"):
        parse("BTC-USD.csv", yahoo, format="binance")
    with pytest.raises(InvalidError, match="is not of the parquet format"):
        parse("BTC-USD.csv", yahoo, format="parquet")


def test_an_unknown_format_names_the_known(parse: Parse) -> None:
    with pytest.raises(InvalidError, match=r"'xls' is not known\. Known are binance, yahoo"):
        parse("BTC-USD.csv", "x", format="xls")


def test_an_index_may_be_older_than_any_coin(parse: Parse) -> None:
    parsed = parse("SP500.csv", "Date,Close\n1957-03-04,44.06\n1899-12-29,1\n")
    assert parsed.records["price_usd"].tolist() == [44.06]
    assert [(row.line, row.reason) for row in parsed.rejected] == [
        (3, "time 1899-12-29T00:00:00Z is before 1900")
    ]
