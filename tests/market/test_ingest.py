"""Taking parsed files into the database: exact counts, nothing twice, nothing by halves."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import InvalidError
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID
from seawall.market.coverage import list_coverage
from seawall.market.ingest import LONGEST_GAPS, ingest
from seawall.market.schemas import (
    QUOTE_DTYPE,
    TRADE_DTYPE,
    ImportResult,
    ParsedFile,
    Rejected,
    SeriesKind,
)
from seawall.market.tables import (
    Asset,
    Candle,
    DataCoverage,
    DataGap,
    Exchange,
    PriceHistory,
    Symbol,
)

Make = Callable[..., ParsedFile]
START = datetime(2023, 12, 30, tzinfo=UTC)


def _days(*numbers: int) -> list[datetime]:
    return [START + timedelta(days=number) for number in numbers]


def _counts(result: ImportResult) -> tuple[int, int, int]:
    return result.inserted, result.updated, result.unchanged


async def test_a_first_file_fills_the_catalogue_the_series_and_the_coverage(
    session: AsyncSession, candles: Make
) -> None:
    parsed = replace(
        candles(_days(0, 1, 2, 5), [100, 101, 102, 103]),
        rows_read=6,
        rejected=(Rejected(3, "high < low"), Rejected(4, "not a number")),
        notes=("a note",),
    )
    result = await ingest(session, parsed, "btc.csv")
    assert result == ImportResult(
        path="btc.csv",
        format="generic",
        kind=SeriesKind.CANDLES,
        symbol="BTC/USDT",
        exchange="binance",
        timeframe="1d",
        rows_read=6,
        inserted=4,
        rejected=parsed.rejected,
        first_time=START,
        last_time=START + timedelta(days=5),
        gaps=result.gaps,
        gap_count=1,
        missing=2,
        notes=("a note",),
    )
    (gap,) = result.gaps
    assert (gap.start, gap.end, gap.missing) == (*_days(3, 5), 2)
    kinds = await session.execute(select(Asset.symbol, Asset.kind).order_by(Asset.symbol))
    assert [tuple(row) for row in kinds] == [("BTC", "crypto"), ("USDT", "stablecoin")]
    rows = (await session.scalars(select(Candle).order_by(Candle.time))).all()
    assert [row.close for row in rows] == [100, 101, 102, 103]
    assert {row.timeframe for row in rows} == {86_400}
    assert len({row.ingested_at for row in rows}) == 1
    (held,) = await list_coverage(session)
    assert (held.symbol, held.exchange, held.timeframe) == ("BTC/USDT", "binance", "1d")
    assert (held.rows, held.missing, held.gap_count) == (4, 2, 1)
    assert (held.first_time, held.last_time) == (START, START + timedelta(days=5))
    assert not held.is_simulated


async def test_the_same_file_again_changes_nothing(session: AsyncSession, candles: Make) -> None:
    parsed = candles(_days(0, 1, 3))
    first = await ingest(session, parsed, "a")
    before = (await session.scalars(select(Candle.ingested_at))).all()
    again = await ingest(session, parsed, "a")
    assert (_counts(first), _counts(again)) == ((3, 0, 0), (0, 0, 3))
    assert again.gaps == first.gaps
    assert (await session.scalars(select(Candle.ingested_at))).all() == before
    for table in (Symbol, Exchange, DataCoverage, DataGap):
        assert await session.scalar(select(func.count()).select_from(table)) == 1


async def test_overlaps_and_backfills_are_counted(session: AsyncSession, candles: Make) -> None:
    await ingest(session, candles(_days(2, 3, 4)), "middle")
    overlap = await ingest(session, candles(_days(3, 4, 5), [100, 200, 300]), "overlap")
    backfill = await ingest(session, candles(_days(0, 1, 2), 100), "backfill")
    assert _counts(overlap) == (1, 1, 1)
    assert _counts(backfill) == (2, 0, 1)
    (held,) = await list_coverage(session)
    assert (held.rows, held.missing) == (6, 0)
    assert (held.first_time, held.last_time) == tuple(_days(0, 5))


async def test_pairs_exchanges_and_timeframes_are_series_of_their_own(
    session: AsyncSession, candles: Make
) -> None:
    await ingest(session, candles(_days(0, 1)), "a")
    await ingest(session, candles(_days(0, 1), exchange="kraken"), "b")
    await ingest(session, candles(_days(0, 1), symbol="BTC/USD"), "c")
    await ingest(session, candles(_days(0, 1), timeframe="4h"), "d")
    found = [(each.symbol, each.exchange, each.timeframe) for each in await list_coverage(session)]
    assert found == [
        ("BTC/USD", "binance", "1d"),
        ("BTC/USDT", "binance", "4h"),
        ("BTC/USDT", "binance", "1d"),
        ("BTC/USDT", "kraken", "1d"),
    ]
    assert await session.scalar(select(func.count()).select_from(Candle)) == 8


async def test_a_file_without_a_symbol_is_refused(session: AsyncSession, candles: Make) -> None:
    with pytest.raises(InvalidError, match=r"prices\.csv does not say") as caught:
        await ingest(session, candles(_days(0), symbol=None), "prices.csv")
    assert "--symbol" in caught.value.hint
    assert await session.scalar(select(func.count()).select_from(Asset)) == 0


async def test_a_file_without_an_exchange_says_so(session: AsyncSession, candles: Make) -> None:
    result = await ingest(session, candles(_days(0), exchange=None), "a")
    assert result.exchange == "unknown"
    assert "no exchange is named" in result.notes[0]
    named = await ingest(session, candles(_days(0)), "a")
    assert named.notes == ()


async def test_an_index_belongs_to_no_exchange(session: AsyncSession, closes: Make) -> None:
    result = await ingest(session, closes(["2024-01-03", "2024-01-04"], [4742.83, 4704.81]), "a")
    assert (result.exchange, result.notes, result.symbol) == ("", (), "SP500")
    assert (await session.scalars(select(PriceHistory.price_usd))).all() == [4742.83, 4704.81]
    assert await session.scalar(select(Asset.kind)) == "index"
    assert await session.scalar(select(func.count()).select_from(Exchange)) == 0


async def test_a_file_of_nothing_but_refused_rows_writes_nothing(
    session: AsyncSession, candles: Make
) -> None:
    parsed = replace(candles([]), rows_read=1, rejected=(Rejected(1, "no number"),))
    result = await ingest(session, parsed, "a")
    assert (_counts(result), result.rows_read, result.first_time) == ((0, 0, 0), 1, None)
    assert result.rejected == parsed.rejected
    assert await session.scalar(select(func.count()).select_from(Symbol)) == 0


@pytest.mark.parametrize(
    ("kind", "dtype", "row"),
    [
        (SeriesKind.QUOTES, QUOTE_DTYPE, (100.0, 1.0, np.nan, np.nan)),
        (SeriesKind.TRADES, TRADE_DTYPE, (1, 0, 100.0, 0.5)),
    ],
)
async def test_quotes_and_trades_are_held_without_gaps_or_timeframe(
    session: AsyncSession,
    candles: Make,
    kind: SeriesKind,
    dtype: np.dtype[np.void],
    row: tuple[float, ...],
) -> None:
    times = ["2024-01-31T23:59:59.999999", "2024-02-01", "2024-02-20"]
    records = np.array([(np.datetime64(time, "us"), *row) for time in times], dtype)
    parsed = replace(candles([]), kind=kind, records=records, rows_read=3)
    result = await ingest(session, parsed, "a")
    assert (_counts(result), result.gaps, result.missing) == ((3, 0, 0), (), 0)
    assert _counts(await ingest(session, parsed, "a")) == (0, 0, 3)
    (held,) = await list_coverage(session)
    assert (held.kind, held.timeframe, held.rows) == (kind, None, 3)
    assert (held.missing, held.gap_count) == (0, 0)
    assert held.last_time == datetime(2024, 2, 20, tzinfo=UTC)


async def test_the_longest_gaps_are_shown_in_order_of_time(
    session: AsyncSession, candles: Make
) -> None:
    steps = [2, 9, 3, 4, 2, 5, 6, 2, 7, 8, 3, 10, 2]
    result = await ingest(session, candles(_days(*np.cumsum([0, *steps]).tolist())), "a")
    assert result.gap_count == len(steps)
    assert result.missing == sum(steps) - len(steps)
    assert len(result.gaps) == LONGEST_GAPS
    assert [gap.missing + 1 for gap in result.gaps] == [2, 9, 3, 4, 5, 6, 7, 8, 3, 10]
    (held,) = await list_coverage(session, longest=2)
    assert [gap.missing + 1 for gap, _ in held.gaps] == [9, 10]
    assert held.gap_count == len(steps)


async def test_simulated_prices_are_marked(session: AsyncSession, candles: Make) -> None:
    await ingest(session, candles(_days(0), symbol="SIM/USD"), "a", is_simulated=True)
    (held,) = await list_coverage(session)
    assert held.is_simulated
    marks = await session.execute(select(Asset.symbol, Asset.is_simulated).order_by(Asset.symbol))
    assert [tuple(row) for row in marks] == [("SIM", True), ("USD", False)]


async def test_a_dry_run_leaves_nothing(engine: AsyncEngine, candles: Make, closes: Make) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ingest(session, candles(_days(0, 5)), "a")
        result = await ingest(session, candles(_days(0, 1, 5), 200), "a")
        assert _counts(result) == (1, 2, 0)
        await ingest(session, closes(["2024-01-03"]), "b")
        await session.rollback()
    async with transaction(engine, OWNER_ID) as session:
        catalogue, series = ["assets", "exchanges", "symbols"], ["candles", "candle_revisions"]
        for table in [*catalogue, *series, "price_history", "data_coverage", "data_gaps"]:
            counted = await session.scalar(text(f"SELECT count(*) FROM {table}"))  # noqa: S608
            assert counted == 0, table


async def test_a_file_that_the_database_refuses_leaves_nothing(
    engine: AsyncEngine, candles: Make
) -> None:
    parsed = candles(_days(0, 1, 2))
    parsed.records["low"][2] = -1.0
    with pytest.raises(Exception, match="ck_candles_prices"):
        async with transaction(engine, OWNER_ID) as session:
            await ingest(session, parsed, "a")
    async with transaction(engine, OWNER_ID) as session:
        assert await session.scalar(select(func.count()).select_from(Asset)) == 0
        assert await session.scalar(select(func.count()).select_from(Candle)) == 0
