"""How one price is chosen among several, and what it says of itself."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import parse_time
from seawall.market import store
from seawall.market.ingest import ingest
from seawall.market.prices import AssetPrices, PairPrices, Price, read_prices
from seawall.market.schemas import ParsedFile
from seawall.market.series import CLOSES_DTYPE
from seawall.market.store import AssetRecord, SymbolRecord

Make = Callable[..., ParsedFile]
NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
MIDNIGHT = datetime(2024, 6, 1, tzinfo=UTC)
DAY, MOMENT = timedelta(days=1), timedelta(microseconds=1)
FOREVER = datetime(2100, 1, 1, tzinfo=UTC)


def _pair(
    quote: str = "USD",
    exchange: str = "kraken",
    *,
    age: timedelta = timedelta(),
    days: int = 3,
    usd: float = 1.0,
) -> PairPrices:
    """Make a pair whose price is so old at noon, and whose history so long."""
    base = AssetRecord(1, "BTC", "crypto", is_simulated=False)
    priced_in = AssetRecord(2, quote, "fiat", is_simulated=False)
    symbol = SymbolRecord(1, f"BTC/{quote}", exchange, base, priced_in)
    at = {NOON: Price(usd, NOON - age, "somewhere")}
    return PairPrices(symbol, NOON - days * DAY, at, np.empty(0, CLOSES_DTYPE))


def _best(*pairs: PairPrices, at: datetime = NOON) -> PairPrices | None:
    forwards = AssetPrices("BTC", pairs).best(at)
    assert AssetPrices("BTC", pairs[::-1]).best(at) is forwards
    return forwards


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (_pair("USDT", age=2 * DAY), _pair("USD", age=2 * DAY + MOMENT, days=99)),
        (_pair("USD", "zaif", age=2 * DAY, days=1), _pair("USDT", "binance", days=99)),
        (_pair("USDT", "kraken", days=9), _pair("USDT", "binance", days=8)),
        (_pair("USD", "binance", age=DAY), _pair("USD", "kraken")),
        (_pair("USDC", "binance"), _pair("USDT", "binance")),
        (_pair("USDT", age=10 * DAY, days=11), _pair("USD", age=11 * DAY, days=99)),
        (_pair("USD", age=10 * DAY), _pair("USDT", age=10 * DAY, days=99)),
    ],
    ids=[
        "fresh beats stale",
        "USD beats a stablecoin",
        "a longer history",
        "then the exchange's name",
        "then the pair's",
        "the less stale of two",
        "USD among equally stale",
    ],
)
def test_the_better_source_is_chosen(better: PairPrices, worse: PairPrices) -> None:
    assert _best(better, worse) is better


def test_a_source_that_knows_nothing_is_not_chosen() -> None:
    better, worse = _pair("USD"), _pair("USDT")
    silent = replace(better, at={})
    assert _best(silent, worse) is worse
    assert _best(silent) is None
    assert _best() is None
    assert _best(better, at=NOON - MOMENT) is None


def test_a_dollar_is_a_dollar() -> None:
    assert AssetPrices("USD", ()).at(NOON) == Price(1.0, NOON)


@pytest.mark.parametrize("coin", ["USDT", "USDC", "DAI"])
def test_a_stablecoin_without_a_price_counts_as_a_dollar_and_says_so(coin: str) -> None:
    found = AssetPrices(coin, ()).at(NOON)
    assert found == Price(1.0, NOON, note="counted as 1 USD, for no price of it is held")


def test_a_stablecoin_with_a_price_has_that() -> None:
    assert AssetPrices("USDT", (_pair(usd=0.98),)).at(NOON) == Price(0.98, NOON, "somewhere")


@pytest.mark.parametrize("asset", ["BTC", "EUR"])
def test_anything_else_without_a_price_has_none(asset: str) -> None:
    assert AssetPrices(asset, ()).at(NOON) is None


async def _read(
    session: AsyncSession, *moments: datetime, known_at: datetime = FOREVER
) -> dict[str, AssetPrices]:
    midnights = (datetime(2024, 5, 1, tzinfo=UTC), MIDNIGHT)
    assets = await store.list_assets(session)
    return await read_prices(session, assets, moments or (NOON,), midnights, known_at)


async def _import(session: AsyncSession, *files: ParsedFile) -> None:
    for parsed in files:
        await ingest(session, parsed, "file")


async def test_every_pair_against_a_dollar_is_read_and_no_other(
    session: AsyncSession, candles: Make
) -> None:
    for symbol in ("BTC/USD", "BTC/USDT", "BTC/EUR", "ETH/BTC", "EUR/USD"):
        await _import(session, candles(["2024-05-30"], symbol=symbol))
    found = await _read(session)
    pairs = {
        asset: [each.symbol.symbol for each in prices.pairs] for asset, prices in found.items()
    }
    assert pairs == {
        "BTC": ["BTC/USD", "BTC/USDT"],
        "ETH": [],
        "EUR": ["EUR/USD"],
        "USD": [],
        "USDT": [],
    }


async def test_each_moment_has_the_newest_close_of_any_timeframe(
    session: AsyncSession, candles: Make
) -> None:
    await _import(
        session,
        candles(["2024-05-30", "2024-05-31"], [10, 20]),
        candles(["2024-05-31T23:00"], [99], timeframe="1h"),
        candles(["2024-06-01T10:00", "2024-06-01T11:00"], [30, 40], timeframe="1h"),
    )
    expected = {
        "2024-06-01T12:00": (40, "2024-06-01T12:00", "1h"),
        "2024-06-01T11:59:59.999999": (30, "2024-06-01T11:00", "1h"),
        # The day and its last hour close together, and the longer timeframe is taken.
        "2024-06-01T10:30": (20, "2024-06-01", "1d"),
        "2024-05-31T23:59:59.999999": (10, "2024-05-31", "1d"),
    }
    none = parse_time("2024-05-30T23:59:59.999999")
    prices = (await _read(session, none, *map(parse_time, expected)))["BTC"]
    for moment, (usd, time, timeframe) in expected.items():
        source, note = f"binance BTC/USDT {timeframe}", "priced in USDT, which is taken as USD"
        assert prices.at(parse_time(moment)) == Price(usd, parse_time(time), source, note)
    assert prices.at(none) is None


async def test_a_daily_close_is_of_the_longest_timeframe_that_has_one(
    session: AsyncSession, candles: Make
) -> None:
    hours = [MIDNIGHT - 4 * DAY + timedelta(hours=n) for n in range(98)]
    await _import(
        session,
        candles(hours, np.arange(98) + 1.0, timeframe="1h"),
        candles(["2024-05-20", "2024-05-28", "2024-05-29"], [5, 10, 20]),
    )
    (pair,) = (await _read(session))["BTC"].pairs
    shown = [f"{row['known']}"[5:16] for row in pair.closes]
    assert shown == [f"{day}T00:00" for day in ("05-21", "05-29", "05-30", "05-31", "06-01")]
    assert pair.closes["close"].tolist() == [5, 10, 20, 72, 96]
    assert pair.since == datetime(2024, 5, 20, tzinfo=UTC)


async def test_no_closes_are_read_where_none_are_wanted(
    session: AsyncSession, candles: Make
) -> None:
    await _import(session, candles(["2024-05-30"]))
    assets = await store.list_assets(session)
    (pair,) = (await read_prices(session, assets, [NOON], None, FOREVER))["BTC"].pairs
    assert len(pair.closes) == 0
    assert NOON in pair.at


async def test_simulated_prices_say_so(session: AsyncSession, candles: Make) -> None:
    await ingest(session, candles(["2024-05-30"], symbol="SIM/USD"), "file", is_simulated=True)
    found = (await _read(session))["SIM"].at(NOON)
    assert found is not None
    assert found.note == "simulated prices"


async def test_prices_that_came_later_are_not_known(session: AsyncSession, candles: Make) -> None:
    before = datetime.now(UTC) - DAY
    await _import(session, candles(["2024-05-30"]))
    assert (await _read(session, known_at=before))["BTC"].pairs == ()
    assert len((await _read(session))["BTC"].pairs) == 1
