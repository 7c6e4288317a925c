"""Rows that can be read and make no sense: each is named with its line and its value."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from seawall.market.schemas import ParsedFile

Parse = Callable[..., ParsedFile]

HEADER = "time,open,high,low,close,volume"
GOOD = [f"2024-01-0{day},10,12,9,11,{day}" for day in (1, 2, 3)]


def parsed_with(parse: Parse, row: str) -> ParsedFile:
    return parse("BTCUSD-1d.csv", "\n".join([HEADER, GOOD[0], row, *GOOD[1:]]))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2008-12-31,10,12,9,11,1", "time 2008-12-31T00:00:00Z is before 2009"),
        ("2031-05-01 12:30,10,12,9,11,1", "time 2031-05-01T12:30:00Z is in the future"),
        ("99999999999999999,10,12,9,11,1", "time 5138-11-16T09:46:39.999999Z is in the future"),
        ("0,10,12,9,11,1", "time 1970-01-01T00:00:00Z is before 2009"),
        (",10,12,9,11,1", "time is missing"),
        ("nan,10,12,9,11,1", "time 'nan' is not a time"),
        ("inf,10,12,9,11,1", "time 'inf' is not a time"),
        ("2024-01-04,,12,9,11,1", "open is missing"),
        ("2024-01-04,10,NaN,9,11,1", "high is missing"),
        ("2024-01-04,10,inf,9,11,1", "high inf is not finite"),
        ("2024-01-04,10,1e999,9,11,1", "high inf is not finite"),
        ("2024-01-04,10,12,0,11,1", "low 0 is not above 0"),
        ("2024-01-04,10,12,9,-0.5,1", "close -0.5 is not above 0"),
        ("2024-01-04,10,9,12,11,1", "high 9 is below low 12"),
        ("2024-01-04,13,12,9,11,1", "open 13 is outside low to high (9 to 12)"),
        ("2024-01-04,10,12,9,8.5,1", "close 8.5 is outside low to high (9 to 12)"),
        ("2024-01-04,10,12,9,11,-1", "volume -1 is negative"),
        ("2024-01-04,10,12,9,11,inf", "volume inf is not finite"),
    ],
)
def test_a_row_at_fault(parse: Parse, row: str, reason: str) -> None:
    parsed = parsed_with(parse, row)
    assert [(found.line, found.reason) for found in parsed.rejected] == [(3, reason)]
    assert (parsed.rows_read, parsed.records["volume"].tolist()) == (4, [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("count", "reason"),
    [("1.5", "1.5 is not a whole number"), ("-1", "-1 is negative"), ("1e18", "1e+18 is not a")],
)
def test_a_count_of_trades_at_fault(parse: Parse, count: str, reason: str) -> None:
    text = f"{HEADER},trade_count\n{GOOD[0]},7\n{GOOD[1]},{count}\n{GOOD[2]},\n"
    parsed = parse("BTCUSD-1d.csv", text)
    (found,) = parsed.rejected
    assert (found.line, found.reason.startswith(f"trade_count {reason}")) == (3, True)
    assert parsed.records["trade_count"].tolist() == [7, -1]


def test_no_row_is_good(parse: Parse) -> None:
    parsed = parse("BTCUSD-1d.csv", f"{HEADER}\n2024-01-01,x,,,,\n2024-01-02,0,1,1,1,\n")
    assert (len(parsed.records), parsed.rows_read) == (0, 2)
    assert [row.line for row in parsed.rejected] == [2, 3]


def test_float_noise_widens_the_candle_and_says_so(parse: Parse) -> None:
    parsed = parsed_with(parse, "2024-01-04,12.000000000001,12,9,8.9999999999999,4")
    assert parsed.rejected == ()
    last = parsed.records[-1]
    assert (last["high"], last["low"]) == (12.000000000001, 8.9999999999999)
    assert "1 candles widened by float noise to hold their open and close" in parsed.notes


def test_a_candle_that_is_still_open(parse: Parse) -> None:
    text = "\n".join([HEADER, *GOOD])
    now = datetime(2024, 1, 3, 23, 59, tzinfo=UTC)
    parsed = parse("BTCUSD-1d.csv", text, now=now)
    assert [(row.line, row.reason) for row in parsed.rejected] == [
        (4, "1d from 2024-01-03T00:00:00Z is not closed yet")
    ]
    closed = parse("BTCUSD-1d.csv", text, now=datetime(2024, 1, 4, tzinfo=UTC))
    assert len(closed.records) == 3


def test_identical_duplicates_are_dropped(parse: Parse) -> None:
    parsed = parse("BTCUSD-1d.csv", "\n".join([HEADER, *GOOD, GOOD[1], GOOD[0], GOOD[1]]))
    assert (parsed.rows_read, len(parsed.records), parsed.rejected) == (6, 3, ())
    assert "3 identical duplicates dropped" in parsed.notes


def test_duplicates_without_volume_are_identical(parse: Parse) -> None:
    row = "2024-01-04,10,12,9,11,"
    parsed = parse("BTCUSD-1d.csv", "\n".join([HEADER, *GOOD, row, row]))
    assert (len(parsed.records), parsed.rejected) == (4, ())


def test_conflicting_duplicates_keep_the_first(parse: Parse) -> None:
    other = GOOD[1].replace(",11,", ",11.5,")
    parsed = parse("BTCUSD-1d.csv", "\n".join([HEADER, *GOOD, other, GOOD[1], other]))
    reason = "conflicts with line 3, which has the same time and other values"
    assert [(row.line, row.reason) for row in parsed.rejected] == [(5, reason), (7, reason)]
    assert parsed.records["close"].tolist() == [11.0, 11.0, 11.0]
    assert "1 identical duplicates dropped" in parsed.notes


def test_a_rejected_row_does_not_shadow_a_good_one(parse: Parse) -> None:
    bad = GOOD[1].replace(",12,", ",1,")
    parsed = parse("BTCUSD-1d.csv", "\n".join([HEADER, GOOD[0], bad, *GOOD[1:]]))
    assert ([row.line for row in parsed.rejected], len(parsed.records)) == ([3], 3)


def test_unordered_rows_are_sorted(parse: Parse) -> None:
    parsed = parse("BTCUSD-1d.csv", "\n".join([HEADER, GOOD[2], GOOD[0], GOOD[1]]))
    assert parsed.records["volume"].tolist() == [1.0, 2.0, 3.0]
    assert np.all(np.diff(parsed.records["time"]) == np.timedelta64(1, "D"))
    assert parsed.notes == ("rows were not in order of time; sorted",)
