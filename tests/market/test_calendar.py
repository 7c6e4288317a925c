"""The days on which an index trades, against the exchange's own announcements."""

import numpy as np
import pytest

from seawall.market.calendar import is_trading_day, next_trading_day, trading_day_number

# Source: NYSE, "Holidays & Trading Hours" and press releases on special closings.
CLOSED = {
    "2001-09-11": "attack",
    "2001-09-14": "attack",
    "2012-10-30": "hurricane",
    "2018-12-05": "day of mourning",
    "2025-01-09": "day of mourning",
    "2024-03-29": "Good Friday",
    "2022-06-20": "Juneteenth, on a Sunday",
    "2021-12-24": "Christmas, on a Saturday",
    "2022-12-26": "Christmas, on a Sunday",
    "2024-11-28": "Thanksgiving",
    "2023-01-02": "New Year, on a Sunday",
    "2024-05-27": "Memorial Day",
    "2024-07-04": "Independence Day",
    "2024-01-06": "Saturday",
    "2024-01-07": "Sunday",
}
OPEN = {
    "2021-12-31": "New Year on a Saturday closes no Friday",
    "2022-01-03": "the Monday after it",
    "2021-06-18": "before Juneteenth was a holiday there",
    "2024-07-03": "half a day",
    "2024-11-29": "half a day",
    "2024-10-14": "Columbus Day",
    "2024-11-11": "Veterans Day",
    "2018-12-06": "after the day of mourning",
}


@pytest.mark.parametrize("day", CLOSED, ids=CLOSED.get)
def test_the_exchange_is_closed(day: str) -> None:
    assert not is_trading_day(np.array([day], "<M8[D]"))[0]


@pytest.mark.parametrize("day", OPEN, ids=OPEN.get)
def test_the_exchange_is_open(day: str) -> None:
    assert is_trading_day(np.array([day], "<M8[D]"))[0]


@pytest.mark.parametrize(
    ("year", "days"), [(2018, 251), (2020, 253), (2021, 252), (2022, 251), (2023, 250), (2024, 252)]
)
def test_a_year_has_as_many_trading_days_as_were_held(year: int, days: int) -> None:
    every = np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="<M8[D]")
    assert is_trading_day(every).sum() == days


def test_consecutive_trading_days_differ_by_one() -> None:
    every = np.arange("2018-01-01", "2025-01-01", dtype="<M8[D]")
    trading = every[is_trading_day(every)]
    assert (np.diff(trading_day_number(trading)) == 1).all()


def test_a_closed_day_has_the_number_of_the_next_open_one() -> None:
    # Thursday, Good Friday, the week-end, Monday, Tuesday.
    days = np.arange("2024-03-28", "2024-04-03", dtype="<M8[D]")
    assert trading_day_number(days).tolist() == [0, 1, 1, 1, 1, 2]


def test_instants_count_as_their_days() -> None:
    times = np.array(["2024-03-28T16:00", "2024-04-01T09:30"], "<M8[us]")
    assert is_trading_day(times).tolist() == [True, True]
    assert trading_day_number(times).tolist() == [0, 1]


def test_no_days_have_no_numbers() -> None:
    none = np.array([], "<M8[D]")
    assert is_trading_day(none).shape == trading_day_number(none).shape == (0,)


def test_the_next_trading_day_leaps_over_weekends_holidays_and_the_year() -> None:
    days = np.array(["2024-03-28", "2024-03-30", "2024-12-24", "2024-12-31"], "<M8[D]")
    expected = ["2024-04-01", "2024-04-01", "2024-12-26", "2025-01-02"]
    assert next_trading_day(days).astype(str).tolist() == expected
    assert not len(next_trading_day(days[:0]))
