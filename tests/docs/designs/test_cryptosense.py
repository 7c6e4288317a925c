"""The queries of the CryptoSense Analytics design, put to the schema.

What it calls an asset's symbol is an asset's id in tables, and stays a symbol in the daily view.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.series import PRICE_HISTORY, ensure_chunks
from seawall.identity.owner import OWNER_ID
from seawall.identity.tables import User
from seawall.market.tables import PriceHistory
from seawall.portfolios.tables import HoldingRow, Portfolio
from seawall.risk.tables import RiskScore

Ask = Callable[..., Awaitable[list[tuple[Any, ...]]]]

LIVING_USERS = "SELECT * FROM users WHERE deleted_at IS NULL"
PORTFOLIOS = """
    SELECT p.id, p.name, SUM(h.current_value_usd) AS total_value, COUNT(h.id) AS holdings_count
    FROM portfolios p
    LEFT JOIN holdings h ON h.portfolio_id = p.id
    WHERE p.user_id = $1 AND p.deleted_at IS NULL
    GROUP BY p.id, p.name
"""
LATEST_PRICES = """
    SELECT asset_symbol, close AS price
    FROM price_history_daily
    WHERE day = CURRENT_DATE
      AND asset_symbol = ANY($1)
"""
DAILY_PRICES = """
    SELECT
        time_bucket('1 day', time) AS day,
        asset_symbol,
        FIRST(price_usd, time) AS open,
        MAX(price_usd) AS high,
        MIN(price_usd) AS low,
        LAST(price_usd, time) AS close,
        AVG(price_usd) AS avg_price
    FROM price_history
    GROUP BY day, asset_symbol
"""
ADD_PRICES = """
    INSERT INTO price_history (time, asset_symbol, price_usd, volume_24h_usd)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (time, asset_symbol) DO NOTHING
"""
LATEST_SCORES = """
    SELECT DISTINCT ON (asset_symbol) *
    FROM risk_scores
    ORDER BY asset_symbol, calculated_at DESC
"""
SLOW_QUERIES = """
    SELECT query, calls, mean_exec_time, max_exec_time
    FROM pg_stat_statements
    ORDER BY mean_exec_time DESC
    LIMIT 20
"""
TABLE_SIZES = """
    SELECT schemaname, tablename,
        pg_size_pretty(pg_total_relation_size(schemaname||'.'||tablename)) AS size
    FROM pg_tables
    WHERE schemaname = 'public'
    ORDER BY pg_total_relation_size(schemaname||'.'||tablename) DESC
"""
MISSING_INDEXES = """
    SELECT schemaname, tablename, attname, n_distinct, correlation
    FROM pg_stats
    WHERE schemaname = 'public' AND n_distinct > 100
    ORDER BY n_distinct DESC
"""


async def _has(session: AsyncSession, extension: str) -> bool:
    asked = text("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = :name)")
    return bool(await session.scalar(asked, {"name": extension}))


async def test_living_users(session: AsyncSession, ask: Ask) -> None:
    columns = [column.name for column in User.__table__.c]
    (row,) = await ask(LIVING_USERS)
    assert len(row) == len(columns)
    assert OWNER_ID in row
    await session.execute(text("UPDATE users SET deleted_at = now()"))
    assert await ask(LIVING_USERS) == []


async def test_a_user_s_portfolios_with_their_values(
    session: AsyncSession, ask: Ask, assets: dict[str, int]
) -> None:
    main, empty, gone = uuid4(), uuid4(), uuid4()
    named = [(main, "Main Portfolio"), (empty, "Trading Portfolio"), (gone, "Old")]
    await session.execute(
        insert(Portfolio), [{"id": each, "name": name, "user_id": OWNER_ID} for each, name in named]
    )
    await session.execute(text("UPDATE portfolios SET deleted_at = now() WHERE name = 'Old'"))
    held = [
        (main, "BTC", "1.5", 43_000),
        (main, "ETH", 25, 2_300),
        (main, "SOL", 500, 98),
        (gone, "BTC", 1, 43_000),
    ]
    for portfolio, symbol, quantity, price in held:
        await session.execute(
            insert(HoldingRow).values(
                portfolio_id=portfolio,
                asset_id=assets[symbol],
                quantity=quantity,
                current_price=price,
            )
        )
    found = sorted(await ask(PORTFOLIOS, OWNER_ID), key=lambda row: row[1])
    assert found == [
        (main, "Main Portfolio", 64_500 + 57_500 + 49_000, 3),
        (empty, "Trading Portfolio", None, 0),
    ]
    assert await ask(PORTFOLIOS, uuid4()) == []


@pytest.fixture
async def prices(session: AsyncSession, assets: dict[str, int]) -> None:
    """Prices of yesterday and today, and what is to be derived from them."""
    today = (await session.scalars(text("SELECT date_trunc('day', now())"))).one()
    second, day = timedelta(seconds=1), timedelta(days=1)
    await ensure_chunks(session, PRICE_HISTORY, today - day, today)
    for symbol, time, price in (
        ("BTC", today - day, 41_000.0),
        ("BTC", today + 2 * second, 43_000.0),
        ("BTC", today, 42_000.0),
        ("BTC", today + second, 46_000.0),
        ("ETH", today, 2_300.0),
        ("SOL", today - second, 98.0),
    ):
        await session.execute(
            insert(PriceHistory).values(
                asset_id=assets[symbol],
                time=time,
                price_usd=price,
                volume_24h_usd=price * 1e6,
                ingested_at=today,
            )
        )
    await session.execute(text("SELECT refresh_rollups('price_history')"))


@pytest.mark.usefixtures("prices")
async def test_latest_prices_of_several_assets(ask: Ask) -> None:
    found = sorted(await ask(LATEST_PRICES, ["BTC", "ETH", "SOL", "XRP"]))
    assert found == [("BTC", 43_000.0), ("ETH", 2_300.0)]


@pytest.mark.usefixtures("prices")
async def test_prices_by_day(ask: Ask) -> None:
    view = (
        "SELECT asset_symbol, open, high, low, close, avg_price, total_volume"
        " FROM price_history_daily ORDER BY asset_symbol, day"
    )
    # A volume is that of the 24 hours before: the day's is the last one, not the design's sum.
    assert await ask(view) == [
        ("BTC", 41e3, 41e3, 41e3, 41e3, 41e3, 41e9),
        ("BTC", 42e3, 46e3, 42e3, 43e3, pytest.approx(131e3 / 3), 43e9),
        ("ETH", 2300, 2300, 2300, 2300, 2300, 2.3e9),
        ("SOL", 98, 98, 98, 98, 98, 98e6),
    ]


@pytest.mark.usefixtures("prices")
async def test_prices_by_day_as_the_design_takes_them(session: AsyncSession, ask: Ask) -> None:
    if not await _has(session, "timescaledb"):
        pytest.skip("time_bucket, first and last are TimescaleDB's, and this server has none")
    of_rows = await ask(DAILY_PRICES, names={"asset_symbol": "asset_id"})
    view = "SELECT day, asset_id, open, high, low, close, avg_price FROM price_history_daily"
    assert sorted(of_rows) == [
        (*row[:-1], pytest.approx(row[-1])) for row in sorted(await ask(view))
    ]


@pytest.mark.usefixtures("prices")
async def test_old_prices_are_added_without_touching_what_is_there(
    session: AsyncSession, ask: Ask, assets: dict[str, int]
) -> None:
    today = (await session.scalars(text("SELECT date_trunc('day', now())"))).one()
    names = {
        "asset_symbol": "asset_id",
        # When a price became known is kept with each.
        "volume_24h_usd": "volume_24h_usd, ingested_at",
        "$4": "$4, now()",
    }
    for time in (today, today - timedelta(hours=1)):
        await ask(ADD_PRICES, time, assets["ETH"], 1.0, None, names=names)
    held = select(PriceHistory.price_usd).filter_by(asset_id=assets["ETH"])
    assert (await session.scalars(held.order_by(PriceHistory.time))).all() == [1.0, 2_300.0]


async def test_the_latest_risk_scores(
    session: AsyncSession, ask: Ask, assets: dict[str, int]
) -> None:
    for symbol, score, level, days in (
        ("BTC", 35, "medium", 0),
        ("BTC", 80, "high", 1),
        ("ETH", 42, "medium", 2),
        ("SHIB", 92, "extreme", 1),
        ("SHIB", 95, "extreme", 0),
    ):
        await session.execute(
            insert(RiskScore).values(
                asset_id=assets[symbol],
                risk_score=score,
                risk_level=level,
                calculated_at=text(f"now() - interval '{days} days'"),
            )
        )
    view = await ask("SELECT asset_symbol, risk_score, risk_level FROM latest_risk_scores")
    expected = [("BTC", 35, "medium"), ("ETH", 42, "medium"), ("SHIB", 95, "extreme")]
    assert sorted(view) == expected
    whole = await ask("SELECT * FROM latest_risk_scores")
    of_rows = await ask(LATEST_SCORES, names={"asset_symbol": "asset_id"})
    assert [row[1:] for row in whole] == of_rows


async def test_slow_queries(session: AsyncSession, ask: Ask) -> None:
    if not await _has(session, "pg_stat_statements"):
        pytest.skip("the extension pg_stat_statements is not in this database")
    found = await ask(SLOW_QUERIES)
    means = [mean for _, _, mean, _ in found]
    assert means == sorted(means, reverse=True)
    assert all(calls > 0 and mean <= longest for _, calls, mean, longest in found)


async def test_sizes_of_tables(session: AsyncSession, ask: Ask) -> None:
    found = await ask(TABLE_SIZES)
    tables = await session.scalars(
        text(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')"
            " AND relnamespace = 'public'::regnamespace"
        )
    )
    assert {row[1] for row in found} == set(tables)
    measured = text("SELECT pg_size_bytes(size) FROM unnest(CAST(:sizes AS text[])) size")
    sizes = (await session.scalars(measured, {"sizes": [row[2] for row in found]})).all()
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0


async def test_columns_that_may_want_an_index(engine: AsyncEngine, location: Location) -> None:
    admin = create_engine(location.admin_url, role=None, pooled=False)
    async with admin.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO experience_replay (time, tier, state, action, reward, next_state)"
                " SELECT now(), n % 6 + 1, '{}', '{}', n % 150, '{}'"
                " FROM generate_series(1, 3000) n"
            )
        )
        await connection.execute(text("ANALYZE experience_replay"))
    await admin.dispose()
    async with engine.connect() as connection:
        found = (await connection.exec_driver_sql(MISSING_INDEXES)).all()
    (row,) = [each for each in found if each.tablename == "experience_replay"]
    assert (row.attname, row.n_distinct) == ("reward", 150)


ADD_PORTFOLIO = "INSERT INTO portfolios (name) VALUES ('Main')"
ADD_CONNECTION = """
    INSERT INTO exchange_connections
        (exchange_id, name, api_key_encrypted, api_secret_encrypted, api_key_last_four)
    SELECT min(id), 'Binance', 'SWS', 'SWS', 'f00d' FROM exchanges
"""
ADD_HOLDING = """
    INSERT INTO holdings (portfolio_id, asset_id, quantity)
    SELECT portfolios.id, assets.id, 1 FROM portfolios, assets WHERE symbol = 'BTC'
"""
ADD_SCORE = """
    INSERT INTO risk_scores (asset_id, risk_score, risk_level, calculated_at)
    SELECT id, 35, 'medium', date_trunc('day', now()) + random() * interval '24 hours'
    FROM assets WHERE symbol = 'BTC'
"""


@pytest.mark.parametrize(
    ("addition", "constraint", "release"),
    [
        (
            ADD_PORTFOLIO,
            "uq_portfolios_living_name",
            "UPDATE portfolios SET deleted_at = now()",
        ),
        (
            ADD_CONNECTION,
            "uq_exchange_connections_living_key",
            "UPDATE exchange_connections SET deleted_at = now()",
        ),
        (
            ADD_HOLDING,
            "uq_holdings_place",
            "UPDATE holdings SET exchange_source = 'binance'",
        ),
        (
            ADD_SCORE,
            "uq_risk_scores_day",
            "UPDATE risk_scores SET calculated_at = calculated_at - interval '1 day'",
        ),
    ],
)
@pytest.mark.usefixtures("assets", "pairs")
async def test_what_the_design_wants_unique_is(
    session: AsyncSession, ask: Ask, addition: str, constraint: str, release: str
) -> None:
    if addition == ADD_HOLDING:
        await ask(ADD_PORTFOLIO)
    await ask(addition)
    with pytest.raises(IntegrityError, match=constraint):
        async with session.begin_nested():
            await ask(addition)
    await ask(release)
    await ask(addition)


async def test_its_seed_of_portfolios_is_taken_as_written(ask: Ask) -> None:
    await ask(f"""
        INSERT INTO portfolios (id, user_id, name, is_primary)
        VALUES
            ('aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa', '{OWNER_ID}', 'Main Portfolio', TRUE),
            ('bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb', '{OWNER_ID}', 'Trading Portfolio', FALSE)
    """)  # noqa: S608 - an id of ours
    found = await ask("SELECT id FROM portfolios WHERE is_primary")
    assert found == [(UUID("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"),)]
