"""LEAN bars: trades and quotes, intraday and daily."""

import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from seawall.core.errors import InvalidError
from seawall.market.schemas import ParsedFile, SeriesKind, Timeframe

Parse = Callable[..., ParsedFile]

QUOTES = (
    "0,100,101,99,100.5,2,100.75,102,100,101,3\n"
    "60000,,,,,,101,102,100,101.25,4\n"
    "120000,100,101,99,100.5,2,,,,,\n"
)


def zipped(**members: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.csv", content)
    return packed.getvalue()


def test_minute_trades_count_from_the_midnight_in_the_members_name(parse: Parse) -> None:
    packed = zipped(
        **{"20180405_btcusd_minute_trade": "0,10,12,9,11,1.5\n60000,11,11,11,11,0.25\n"}
    )
    parsed = parse("20180405_trade.zip", packed)
    assert (parsed.format, parsed.kind) == ("lean", SeriesKind.CANDLES)
    assert (parsed.symbol, parsed.exchange, str(parsed.timeframe)) == ("BTC/USD", None, "1m")
    assert parsed.notes == ("from 20180405_btcusd_minute_trade.csv",)
    assert parsed.records[["time", "open", "high", "low", "close", "volume"]].tolist() == [
        (np.datetime64("2018-04-05T00:00", "us").item(), 10.0, 12.0, 9.0, 11.0, 1.5),
        (np.datetime64("2018-04-05T00:01", "us").item(), 11.0, 11.0, 11.0, 11.0, 0.25),
    ]


def test_the_zips_name_says_the_exchange(parse: Parse) -> None:
    packed = zipped(**{"20180405_btcusd_minute_trade": "0,10,12,9,11,1.5\n"})
    assert parse("coinbase-btcusd-20180405.zip", packed).exchange == "coinbase"


def test_sparse_second_trades(parse: Parse) -> None:
    rows = "".join(f"{1000 * second},10,12,9,11,1.5\n" for second in (4, 30, 68, 86_398))
    parsed = parse("20161007_btcusd_second_trade.csv", rows)
    assert str(parsed.timeframe) == "1s"
    assert parsed.records["time"][-1] == np.datetime64("2016-10-07T23:59:58")


def test_daily_trades_carry_their_date(parse: Parse) -> None:
    rows = "20180404 00:00,10,12,9,11,1.5\n20180405 00:00,11,12,10,12,2.5\n"
    parsed = parse("btcusd_trade.zip", zipped(btcusd=rows))
    assert (parsed.symbol, str(parsed.timeframe)) == ("BTC/USD", "1d")
    assert parsed.records["time"][0] == np.datetime64("2018-04-04")


def test_quotes_are_the_bars_close_at_the_bars_end(parse: Parse) -> None:
    parsed = parse("20180404_btcusd_minute_quote.csv", QUOTES)
    assert (parsed.kind, str(parsed.timeframe)) == (SeriesKind.QUOTES, "1m")
    assert parsed.records["time"].tolist() == [
        np.datetime64(f"2018-04-04T00:0{minute}", "us").item() for minute in (1, 2, 3)
    ]
    np.testing.assert_array_equal(parsed.records["bid_price"], [100.5, np.nan, 100.5])
    np.testing.assert_array_equal(parsed.records["bid_size"], [2, np.nan, 2])
    np.testing.assert_array_equal(parsed.records["ask_price"], [101, 101.25, np.nan])
    np.testing.assert_array_equal(parsed.records["ask_size"], [3, 4, np.nan])


def test_daily_quotes_need_a_timeframe(parse: Parse) -> None:
    row = "20180404 00:00" + QUOTES[1 : QUOTES.index("\n") + 1]
    with pytest.raises(InvalidError, match="does not say how long its bars are"):
        parse("btcusd.csv", row)
    parsed = parse("btcusd.csv", row, timeframe=Timeframe.parse("1d"))
    assert parsed.records["time"][0] == np.datetime64("2018-04-05")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("60000,1,1,1,101.5,2,1,1,1,101,3", "bid_price 101.5 is above ask_price 101"),
        ("60000,,,,,,,,,,", "bid_price and ask_price are missing"),
        ("60000,1,1,1,1,,1,1,1,101,3", "bid has a price or a size but not both"),
        ("60000,1,1,1,1,-2,1,1,1,101,3", "bid_size -2 is negative"),
        ("60000,1,1,1,0,2,1,1,1,101,3", "bid_price 0 is not above 0"),
        ("86400000,1,1,1,1,2,1,1,1,101,3", "time '86400000' is not a time"),
        ("-1,1,1,1,1,2,1,1,1,101,3", "time '-1' is not a time"),
    ],
)
def test_quotes_that_make_no_sense(parse: Parse, row: str, reason: str) -> None:
    first = QUOTES.split("\n", maxsplit=1)[0]
    parsed = parse("20180404_btcusd_minute_quote.csv", f"{first}\n{row}\n")
    assert [(found.line, found.reason) for found in parsed.rejected] == [(2, reason)]


@pytest.mark.parametrize("name", ["btcusd_minute_trade.csv", "20181399_btcusd_minute_trade.csv"])
def test_milliseconds_without_a_day_are_refused(parse: Parse, name: str) -> None:
    with pytest.raises(InvalidError, match="does not say of which day"):
        parse(name, "0,10,12,9,11,1.5\n")
