"""A database with market data in it gains the columns of 0009 and loses them again, and no row."""

import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.db import migrate

# Two years of rows in many chunks, with what real files leave out, and prices of every size.
FILL = """
INSERT INTO exchanges (code, created_at) VALUES ('binance', '2024-02-03'), ('kraken', '2024-02-04');
INSERT INTO assets (symbol, name, kind, created_at) VALUES
    ('BTC', 'Bitcoin', 'crypto', '2024-02-03'), ('USDT', 'USDT', 'stablecoin', '2024-02-03'),
    ('SP500', 'SP500', 'index', '2024-02-05');
INSERT INTO symbols (exchange_id, base_asset_id, quote_asset_id, symbol, created_at)
    SELECT exchanges.id, base.id, quote.id, 'BTC/USDT', '2024-02-03'
    FROM exchanges, assets base, assets quote WHERE base.symbol = 'BTC' AND quote.symbol = 'USDT';
INSERT INTO data_coverage (kind, asset_id, rows, first_time, last_time, missing, updated_at)
    SELECT 'prices', id, 731, '2023-01-01', '2024-12-31', 0, now() FROM assets;
SELECT ensure_chunks(name, '2023-01-01', '2025-01-01')
    FROM unnest(ARRAY['candles', 'candle_revisions', 'price_history', 'price_revisions',
        'quotes', 'market_trades']) name;
CREATE TEMP TABLE moments AS
    SELECT time, row_number() OVER (ORDER BY time) AS n
    FROM generate_series(timestamptz '2023-01-01', '2024-12-31', '1 day') time;
INSERT INTO candles
    SELECT 1, 86400, time, n / 3.0, n * 1e3, 1e-12, n / 7.0, nullif(n % 5, 0),
        nullif(n % 3, 0) * 1.5, nullif(n % 4, 0), '2025-01-01' FROM moments;
INSERT INTO candle_revisions
    SELECT 1, 86400, time, n, n, n, n, n, n, n, '2025-01-01', '2025-01-02' FROM moments;
INSERT INTO price_history SELECT id, time, id * n / 3.0, '2025-01-01' FROM assets, moments;
INSERT INTO price_revisions
    SELECT id, time, id * n / 7.0, '2025-01-01', '2025-01-02' FROM assets, moments;
INSERT INTO quotes
    SELECT 1, time, CASE WHEN n % 3 > 0 THEN n / 3.0 END, CASE WHEN n % 3 > 0 THEN 0.1 * n END,
        n / 2.0, n, '2025-01-01' FROM moments;
INSERT INTO market_trades
    SELECT 1, time, n * 4000000000, CASE n % 3 WHEN 0 THEN 1 WHEN 1 THEN -1 END, n / 3.0, n / 7.0,
        '2025-01-01' FROM moments;
"""
KEPT = {
    "assets": "id, symbol, name, kind, is_simulated, created_at",
    "exchanges": "id, code, created_at",
    "symbols": "id, exchange_id, base_asset_id, quote_asset_id, symbol, created_at",
    "candles": "symbol_id, timeframe, time, open, high, low, close, volume, quote_volume,"
    " trade_count, ingested_at",
    "candle_revisions": "symbol_id, timeframe, time, open, close, ingested_at, superseded_at",
    "price_history": "asset_id, time, price_usd, ingested_at",
    "price_revisions": "asset_id, time, price_usd, ingested_at, superseded_at",
    "quotes": "symbol_id, time, bid_price, bid_size, ask_price, ask_size, ingested_at",
    "market_trades": "symbol_id, time, trade_id, side, price, quantity, ingested_at",
    "data_coverage": "kind, asset_id, symbol_id, timeframe, rows, first_time, last_time, missing",
}
# ruff: noqa: S608 - the queries are put together from constants alone


async def _to(engine: AsyncEngine, revision: str) -> None:
    def go(connection: Connection) -> migrate.Version:
        migrate._run(connection, lambda config: command.upgrade(config, revision))
        return migrate.Version(revision, migrate.head())

    await migrate._locked(engine, go)


@pytest.fixture
async def filled(admin: AsyncEngine) -> AsyncEngine:
    """A database at 0008 that is in use; each step down undoes the step up, as is tested."""
    await migrate.downgrade(admin, "0008")
    async with admin.begin() as connection:
        for statement in FILL.split(";"):
            if statement.strip():
                await connection.execute(text(statement))
    return admin


async def _contents(engine: AsyncEngine) -> dict[str, tuple[int, str]]:
    found = {}
    async with engine.connect() as connection:
        for table, columns in KEPT.items():
            query = (
                f"SELECT count(*), md5(string_agg(it::text, '|' ORDER BY it::text))"
                f" FROM (SELECT {columns} FROM {table}) it"
            )
            row = (await connection.execute(text(query))).one()
            found[table] = (row[0], row[1])
    return found


async def test_rows_of_before_are_kept_on_the_way_up_and_down(filled: AsyncEngine) -> None:
    before = await _contents(filled)
    assert before["price_history"][0] == 3 * 731
    await _to(filled, "0009")
    assert await _contents(filled) == before
    async with filled.begin() as connection:
        times = "SELECT bool_and(updated_at = created_at) FROM {}"
        for table in ("assets", "exchanges", "symbols"):
            assert await connection.scalar(text(times.format(table)))
        statuses = (
            "SELECT DISTINCT status FROM exchanges UNION ALL SELECT DISTINCT status FROM symbols"
        )
        assert list(await connection.scalars(text(statuses))) == ["active", "active"]
        # What the columns hold goes with them, and nothing else.
        await connection.execute(text("UPDATE price_history SET market_cap_usd = 1, rank = 2"))
        await connection.execute(text("UPDATE quotes SET last_price = 3"))
        await connection.execute(text("UPDATE market_trades SET venue_trade_id = 'x'"))
        await connection.execute(text("UPDATE assets SET updated_at = now()"))
    await migrate.downgrade(filled, "0008", lose_data=True)
    assert await _contents(filled) == before
    await _to(filled, "0009")
    assert await _contents(filled) == before


async def test_rows_of_before_are_checked_like_new_ones(filled: AsyncEngine) -> None:
    """A quote of infinity got past 0003: nothing of 0009 is done then, and no row is lost."""
    before = await _contents(filled)
    async with filled.begin() as connection:
        await connection.execute(
            text("UPDATE quotes SET bid_price = 'Infinity' WHERE time = '2023-01-02'")
        )
    with pytest.raises(IntegrityError, match="ck_quotes_prices"):
        await _to(filled, "0009")
    assert (await migrate.version(filled)).current == "0008"
    async with filled.begin() as connection:
        await connection.execute(
            text("UPDATE quotes SET bid_price = 2 / 3.0 WHERE time = '2023-01-02'")
        )
    assert await _contents(filled) == before
    await _to(filled, "0009")
