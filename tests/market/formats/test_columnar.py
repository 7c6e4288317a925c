"""Arrow and Parquet: candles, trades, and files that are neither."""

import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from seawall.core.errors import InvalidError, SeawallError
from seawall.market.formats import columnar, isolated
from seawall.market.formats.base import Content
from seawall.market.schemas import ParsedFile, SeriesKind

Parse = Callable[..., ParsedFile]
FIRST = datetime(2018, 1, 10, 4, 55, tzinfo=UTC)
TIMES = [FIRST, FIRST.replace(hour=5, minute=0)]


def written(frame: pl.DataFrame, form: str) -> bytes:
    packed = io.BytesIO()
    if form == "arrow":
        frame.write_ipc(packed)
    else:
        frame.write_parquet(packed)
    return packed.getvalue()


@pytest.fixture
def parse_apart(parse_all: Callable[..., list[ParsedFile]]) -> Parse:
    """As users parse: what may crash is decoded in a process of its own."""

    def parse(name: str, content: bytes) -> ParsedFile:
        (parsed,) = parse_all(name, content)
        return parsed

    return parse


@pytest.fixture(name="parse")
def _parse(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> Parse:
    """Parses what is sound, and needs no process of its own for that."""

    def decoded(content: Content, container: str) -> bytes:
        packed = io.BytesIO()
        isolated.decode(content.data, container, columnar.MAX_ROWS + 1, packed)
        return packed.getvalue()

    monkeypatch.setattr(columnar, "_decoded", decoded)
    return parse


def candles(times: Any = None, **columns: Any) -> pl.DataFrame:
    prices = {"open": [1.0, 2.0], "high": [3.0, 3.0], "low": [1.0, 1.0], "close": [2.0, 2.0]}
    return pl.DataFrame({"date": TIMES if times is None else times, **prices, **columns})


def trades(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "timestamp": [1570752011620, 1570752011620, 1570752017964],
            "id": ["13519808", "13519807", "13519809"],
            "side": ["sell", "BUY", None],
            "price": [0.5, 0.25, 0.75],
            "amount": [23.0, 54.0, 8.0],
            **columns,
        }
    )


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_candles(parse_apart: Parse, form: str) -> None:
    parsed = parse_apart("ETHBTC-5m.feather", written(candles(volume=[5.0, None]), form))
    assert (parsed.format, parsed.kind) == (form, SeriesKind.CANDLES)
    assert (parsed.symbol, parsed.exchange, str(parsed.timeframe)) == ("ETH/BTC", None, "5m")
    assert parsed.records["time"].tolist() == [time.replace(tzinfo=None) for time in TIMES]
    np.testing.assert_array_equal(parsed.records["volume"], [5.0, np.nan])


@pytest.mark.parametrize(
    "times",
    [
        pl.Series(TIMES, dtype=pl.Datetime("ns", "UTC")),
        pl.Series(TIMES).dt.convert_time_zone("Asia/Tokyo"),
        pl.Series([1515560100, 1515560400]),
        pl.Series([1515560100000.0, 1515560400000.0]),
        pl.Series(["2018-01-10T04:55:00Z", "2018-01-10 05:00:00"]),
        pl.Series(["2018-01-10T04:55:00Z", "2018-01-10 05:00:00"], dtype=pl.Categorical),
    ],
    ids=["nanoseconds", "Tokyo", "seconds", "float milliseconds", "text", "categories"],
)
def test_times_of_any_type(parse: Parse, times: pl.Series) -> None:
    parsed = parse("ETHBTC.parquet", written(candles(times), "parquet"))
    assert parsed.records["time"].tolist() == [time.replace(tzinfo=None) for time in TIMES]


def test_dates_and_decimals(parse: Parse) -> None:
    frame = candles([date(2018, 1, 10), date(2018, 1, 11)])
    frame = frame.with_columns(pl.col("open", "close").cast(pl.Decimal(10, 2)))
    parsed = parse("ETHBTC.parquet", written(frame, "parquet"))
    assert (str(parsed.timeframe), parsed.records["open"].tolist()) == ("1d", [1.0, 2.0])


def test_trades_are_in_order_of_time_then_id(parse: Parse) -> None:
    parsed = parse("XRPETH-trades.parquet", written(trades(), "parquet"))
    assert (parsed.kind, parsed.symbol, parsed.timeframe) == (SeriesKind.TRADES, "XRP/ETH", None)
    assert parsed.records[["trade_id", "side", "price", "quantity"]].tolist() == [
        (13519807, 1, 0.25, 54.0),
        (13519808, -1, 0.5, 23.0),
        (13519809, 0, 0.75, 8.0),
    ]
    assert parsed.records["time"][0] == np.datetime64("2019-10-11T00:00:11.620")
    assert parsed.notes == ("rows were not in order of time; sorted",)


def test_trades_without_a_side(parse: Parse) -> None:
    parsed = parse("XRPETH.parquet", written(trades().drop("side"), "parquet"))
    assert parsed.records["side"].tolist() == [0, 0, 0]


def test_trade_ids_keep_every_digit(parse: Parse) -> None:
    ids = [2**53 + 1, 2**53 + 2, 2**62 + 1]
    parsed = parse("XRPETH.parquet", written(trades(id=ids), "parquet"))
    assert parsed.records["trade_id"].tolist() == ids


@pytest.mark.parametrize(
    ("columns", "line", "reason"),
    [
        ({"id": ["1", "two", "3"]}, 2, "trade_id 'two' is not a whole number"),
        ({"id": [1, 2, None]}, 3, "trade_id None is not a whole number"),
        ({"side": ["buy", "hold", "sell"]}, 2, "side 'hold' is neither buy nor sell"),
        ({"price": [1.0, -1.0, 1.0]}, 2, "price -1 is not above 0"),
        ({"amount": [1.0, 0.0, 1.0]}, 2, "quantity 0 is not above 0"),
        ({"amount": ["1", "x", "1"]}, 2, "quantity 'x' is not a number"),
        ({"timestamp": [1570752011620, None, 1570752011620]}, 2, "time is missing"),
        (
            {"id": [7, 8, 7]},
            3,
            "conflicts with line 1, which has the same trade_id and other values",
        ),
    ],
)
def test_rows_that_make_no_sense(parse: Parse, columns: Any, line: int, reason: str) -> None:
    parsed = parse("XRPETH.parquet", written(trades(**columns), "parquet"))
    assert [(row.line, row.reason) for row in parsed.rejected] == [(line, reason)]
    assert len(parsed.records) == 2


def test_the_same_trade_twice_is_dropped(parse: Parse) -> None:
    frame = trades(side=None)
    parsed = parse("XRPETH.parquet", written(pl.concat([frame, frame]), "parquet"))
    assert (parsed.rows_read, len(parsed.records), parsed.rejected) == (6, 3, ())
    assert "3 identical duplicates dropped" in parsed.notes


def test_unknown_columns_are_shown(parse: Parse) -> None:
    with pytest.raises(InvalidError, match="this parquet has the columns 'a,b'"):
        parse("x.parquet", written(pl.DataFrame({"a": [1], "b": [2]}), "parquet"))


def test_columns_of_a_type_that_is_no_number(parse: Parse) -> None:
    frame = candles().with_columns(open=pl.Series([[1], [2]]), close=pl.Series([True, False]))
    with pytest.raises(InvalidError, match=r"open \(List\(Int64\)\), close \(Boolean\)"):
        parse("ETHBTC.parquet", written(frame, "parquet"))


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_no_rows(parse_apart: Parse, form: str) -> None:
    with pytest.raises(InvalidError, match="has no rows"):
        parse_apart("ETHBTC.parquet", written(candles().clear(), form))


@pytest.mark.parametrize("form", ["arrow", "parquet"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_truncated(parse_apart: Parse, form: str, share: float) -> None:
    packed = written(candles(), form)
    with pytest.raises(InvalidError, match=f"truncated {form}"):
        parse_apart("ETHBTC-5m.feather", packed[: int(len(packed) * share)])


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_damaged_anywhere_is_an_error_or_read_never_a_crash(parse_apart: Parse, form: str) -> None:
    packed = written(candles(), form)
    refused = 0
    for position in range(8, len(packed) - 8, len(packed) // 8):
        damaged = bytearray(packed)
        damaged[position] ^= 0xFF
        try:
            parse_apart("ETHBTC-5m.feather", bytes(damaged))
        except SeawallError:
            refused += 1
    assert refused


def test_a_file_that_ends_the_process_that_decodes_it(
    parse_apart: Parse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    crash = tmp_path / "crash"
    crash.write_text("#!/bin/sh\nkill -ABRT $$\n")
    crash.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(crash))
    with pytest.raises(InvalidError, match="is damaged parquet: decoding it crashes"):
        parse_apart("ETHBTC.parquet", written(candles(), "parquet"))
