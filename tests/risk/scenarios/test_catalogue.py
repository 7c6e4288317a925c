"""The catalogue's days and losses are those of the recorded prices."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from seawall.core.errors import NotFoundError
from seawall.risk.scenarios.catalogue import EVENTS, Event, get_event


def _closes(path: Path, date: str) -> "pd.Series[float]":
    frame = pd.read_csv(path)
    days = pd.to_datetime(frame[date], utc=True).dt.tz_localize(None).dt.normalize()
    return pd.Series(frame["close" if "close" in frame else "Close"].to_numpy(), index=days)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.slug)
def test_the_recorded_loss_of_bitcoin_is_that_of_the_prices(event: Event, real_data: Path) -> None:
    closes = _closes(real_data / "daily" / "BTCUSD-coinbase-1d.csv", "timestamp")
    within = closes.loc[str(event.first) : str(event.last)]
    assert len(within) == event.days + 1
    assert event.btc_loss == pytest.approx(1 - within.min() / within.iloc[0], abs=5e-7)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.slug)
def test_an_event_begins_at_a_high_and_ends_at_a_low_of_bitcoin_or_ether(
    event: Event, real_data: Path
) -> None:
    daily = real_data / "daily"
    each = (
        _closes(daily / "BTCUSD-coinbase-1d.csv", "timestamp"),
        _closes(daily / "ETH-USD.yahoo.csv", "Date"),
    )
    within = [closes.loc[str(event.first) : str(event.last)] for closes in each]
    assert any(closes.iloc[0] == closes.max() for closes in within)
    assert any(closes.iloc[-1] == closes.min() for closes in within)


def test_a_close_is_known_at_the_midnight_that_ends_its_day() -> None:
    event = get_event(" LUNA-2022-05 ")
    assert event.start == datetime(2022, 5, 5, tzinfo=UTC)
    assert event.end == datetime(2022, 5, 13, tzinfo=UTC)
    assert event.days == 8


def test_an_unknown_event_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="There is no scenario 'mtgox'") as caught:
        get_event("mtgox")
    assert "luna-2022-05" in caught.value.hint


def test_slugs_are_single_and_in_order_of_time() -> None:
    assert len({event.slug for event in EVENTS}) == len(EVENTS) == 7
    assert list(EVENTS) == sorted(EVENTS, key=lambda event: event.first)
