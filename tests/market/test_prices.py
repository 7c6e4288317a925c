"""Which pair prices an asset, and from which candles."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter

import numpy as np
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ConflictError
from seawall.core.time import now
from seawall.market import catalog
from seawall.market.ingest import ingest
from seawall.market.prices import AssetPrices, read_prices
from seawall.market.schemas import CANDLE_DTYPE, PRICE_DTYPE, ParsedFile, SeriesKind, Timeframe

DAY = timedelta(days=1)
START = datetime(2024, 1, 1, tzinfo=UTC)


def candles(
    pair: str,
    closes: Sequence[float],
    exchange: str = "kraken",
    timeframe: str = "1d",
    day: int = 0,
) -> ParsedFile:
    """Candles that begin `day` days after the start."""
    length = Timeframe.parse(timeframe)
    records = np.zeros(len(closes), CANDLE_DTYPE)
    records["time"] = np.datetime64("2024-01-01", "us") + np.timedelta64(day, "D")
    records["time"] += np.arange(len(closes)) * np.timedelta64(length.seconds, "s")
    for name in ("open", "high", "low", "close"):
        records[name] = closes
    records["quote_volume"], records["trade_count"] = np.nan, -1
    return ParsedFile("test", SeriesKind.CANDLES, records, len(closes), (), pair, exchange, length)


async def prices_of(
    session: AsyncSession,
    symbol: str,
    moments: Sequence[datetime],
    midnights: tuple[datetime, datetime] | None = None,
) -> AssetPrices:
    """Read what prices an asset, as known now."""
    asset = await catalog.ensure_asset(session, symbol)
    read = await read_prices(session, [asset], moments, midnights, now() + DAY)
    return read[symbol]


@pytest.mark.parametrize(
    ("pairs", "source"),
    [
        pytest.param(
            [("BTC/USD", "kraken", 5), ("BTC/USDT", "binance", 10)], "binance", id="fresh"
        ),
        pytest.param([("BTC/USD", "zeta", 10), ("BTC/USDT", "alpha", 10)], "zeta", id="dollars"),
        pytest.param([("BTC/USD", "alpha", 9), ("BTC/USD", "zeta", 10)], "alpha", id="name"),
        pytest.param([("BTC/USD", "kraken", 3), ("BTC/USDT", "binance", 4)], "binance", id="newer"),
    ],
)
async def test_which_pair_prices_an_asset(
    session: AsyncSession, pairs: list[tuple[str, str, int]], source: str
) -> None:
    for pair, exchange, days in pairs:
        await ingest(session, candles(pair, [100.0] * days, exchange), "file")
    moment = START + 10 * DAY
    found = (await prices_of(session, "BTC", [moment])).at(moment)
    assert found is not None
    assert found.source.startswith(f"{source} ")


async def test_the_longer_history_prices_whatever_is_asked(session: AsyncSession) -> None:
    await ingest(session, candles("BTC/USD", [1.0] * 5, "alpha", day=5), "file")
    await ingest(session, candles("BTC/USD", [2.0] * 10, "zeta"), "file")
    moment = START + 10 * DAY
    for midnights in (None, (moment - DAY, moment), (START, moment)):
        prices = await prices_of(session, "BTC", [moment], midnights)
        assert [pair.symbol.exchange for pair in [prices.best(moment)] if pair] == ["zeta"]


async def test_closes_come_from_every_timeframe_the_longest_first(session: AsyncSession) -> None:
    await ingest(session, candles("BTC/USD", [10.0, 11.0]), "daily")
    hours = candles("BTC/USD", [float(hour) for hour in range(1, 73)], timeframe="1h", day=1)
    await ingest(session, hours, "hourly")
    end = START + 4 * DAY
    found = (await prices_of(session, "BTC", [end], (START, end))).best(end)
    assert found is not None
    # The second day is held by both; the third and fourth only by the hour.
    assert found.closes["close"].tolist() == [10.0, 11.0, 48.0, 72.0]
    assert str(found.closes["known"][-1]) == "2024-01-05T00:00:00.000000"


async def test_the_newest_close_of_any_timeframe_is_the_price(session: AsyncSession) -> None:
    await ingest(session, candles("BTC/USD", [10.0, 11.0]), "daily")
    await ingest(session, candles("BTC/USD", [20.0] * 5, timeframe="1h", day=2), "hourly")
    midnight, later, sooner = (
        START + 2 * DAY,
        START + 2 * DAY + timedelta(hours=5, minutes=9),
        START,
    )
    prices = await prices_of(session, "BTC", [midnight, later, sooner])
    at_midnight, at_five = prices.at(midnight), prices.at(later)
    assert at_midnight is not None
    assert (at_midnight.usd, at_midnight.source) == (11.0, "kraken BTC/USD 1d")
    assert at_five is not None
    assert (at_five.usd, at_five.source) == (20.0, "kraken BTC/USD 1h")
    assert at_five.time == START + 2 * DAY + timedelta(hours=5)
    assert prices.at(sooner) is None


async def test_what_is_assumed_of_money(session: AsyncSession) -> None:
    await ingest(session, candles("BTC/USDT", [10.0]), "file")
    moment = START + DAY
    priced = (await prices_of(session, "BTC", [moment])).at(moment)
    assert priced is not None
    assert priced.note == "priced in USDT, which is taken as USD"
    stable = (await prices_of(session, "USDT", [moment])).at(moment)
    assert stable is not None
    assert (stable.usd, stable.note) == (1.0, "counted as 1 USD, for no price of it is held")
    await ingest(session, candles("USDT/USD", [0.98]), "file")
    known = (await prices_of(session, "USDT", [moment])).at(moment)
    assert known is not None
    assert (known.usd, known.note) == (0.98, "")
    dollar = (await prices_of(session, "USD", [moment])).at(moment)
    assert dollar is not None
    assert (dollar.usd, dollar.note) == (1.0, "")


async def test_a_pair_against_a_coin_prices_nothing_in_dollars(session: AsyncSession) -> None:
    await ingest(session, candles("ETH/BTC", [0.05]), "file")
    assert (await prices_of(session, "ETH", [START + DAY])).at(START + DAY) is None


def index(symbol: str) -> ParsedFile:
    """One closing price."""
    records = np.zeros(1, PRICE_DTYPE)
    records["time"], records["price_usd"] = np.datetime64("2024-01-03", "us"), 4_742.0
    return ParsedFile("test", SeriesKind.PRICES, records, 1, (), symbol, None, Timeframe(86_400))


async def test_an_index_that_a_transaction_named_before_it_was_known(session: AsyncSession) -> None:
    assert (await catalog.ensure_asset(session, "SP500")).kind == "crypto"
    await ingest(session, index("SP500"), "file")
    assert (await catalog.ensure_asset(session, "SP500")).kind == "index"


async def test_an_index_is_no_coin_and_a_coin_no_index(session: AsyncSession) -> None:
    await ingest(session, index("DAX"), "file")
    with pytest.raises(ConflictError, match="DAX is an index here"):
        await ingest(session, candles("DAX/USD", [10.0]), "file")
    await ingest(session, candles("BTC/USD", [10.0]), "file")
    with pytest.raises(ConflictError, match="BTC is the name of a coin or currency"):
        await ingest(session, index("BTC"), "file")
    await ingest(session, candles("NEWCOIN/USD", [10.0]), "file")
    with pytest.raises(ConflictError, match="NEWCOIN is the name of a coin"):
        await ingest(session, index("NEWCOIN"), "file")


@pytest.mark.parametrize("symbol", ["USD", "USDT", "ETH"])
async def test_money_and_coins_never_become_an_index(session: AsyncSession, symbol: str) -> None:
    await catalog.ensure_asset(session, symbol)
    with pytest.raises(ConflictError, match=f"{symbol} is the name of a coin or currency"):
        await ingest(session, index(symbol), "file")


async def test_many_moments_are_priced_without_reading_all_history(session: AsyncSession) -> None:
    await ingest(session, candles("BTC/USD", [1.0] * 17_520, timeframe="1h"), "file")
    moments = [START + timedelta(minutes=350 * each) for each in range(1, 3_000)]
    begun = perf_counter()
    prices = await prices_of(session, "BTC", moments)
    # Reading what came before each of them would be 26 million rows.
    assert perf_counter() - begun < 3
    assert all(prices.at(moment) for moment in moments)
