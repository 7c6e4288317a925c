"""Market data: assets, exchanges, symbols, and their series."""

from alembic import op

from seawall.db.series import (
    CANDLE_REVISIONS,
    CANDLES,
    MARKET_TRADES,
    PRICE_HISTORY,
    PRICE_REVISIONS,
    QUOTES,
)
from seawall.migrations.operations import create_series, drop_series, grant

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CANDLE_VALUES = """
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision,
    quote_volume double precision,
    trade_count bigint,
    ingested_at timestamptz NOT NULL
"""


def upgrade() -> None:
    _create_catalog()
    _create_candles()
    _create_prices()
    _create_ticks()
    _create_coverage()


def _create_catalog() -> None:
    op.execute("""
        CREATE TABLE assets (
            id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_assets PRIMARY KEY,
            symbol text NOT NULL CONSTRAINT uq_assets_symbol UNIQUE,
            name text NOT NULL,
            kind text NOT NULL,
            is_simulated boolean NOT NULL DEFAULT false,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT ck_assets_symbol_upper CHECK (symbol = upper(symbol) AND symbol <> ''),
            CONSTRAINT ck_assets_kind
                CHECK (kind IN ('crypto', 'stablecoin', 'fiat', 'index', 'commodity'))
        )
    """)
    op.execute("""
        CREATE TABLE exchanges (
            id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_exchanges PRIMARY KEY,
            code text NOT NULL CONSTRAINT uq_exchanges_code UNIQUE,
            created_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("""
        CREATE TABLE symbols (
            id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_symbols PRIMARY KEY,
            exchange_id integer NOT NULL CONSTRAINT fk_symbols_exchanges REFERENCES exchanges,
            base_asset_id integer NOT NULL CONSTRAINT fk_symbols_base_assets REFERENCES assets,
            quote_asset_id integer NOT NULL CONSTRAINT fk_symbols_quote_assets REFERENCES assets,
            symbol text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT uq_symbols_pair UNIQUE (exchange_id, base_asset_id, quote_asset_id),
            CONSTRAINT ck_symbols_two_assets CHECK (base_asset_id <> quote_asset_id)
        )
    """)
    op.execute("CREATE INDEX idx_symbols_base_asset_id ON symbols (base_asset_id)")
    op.execute("CREATE INDEX idx_symbols_quote_asset_id ON symbols (quote_asset_id)")
    for table in ("assets", "exchanges", "symbols"):
        grant(table, "SELECT", "INSERT", "UPDATE")


def _create_candles() -> None:
    op.execute(f"""
        CREATE TABLE candles (
            symbol_id integer NOT NULL,
            timeframe integer NOT NULL,
            time timestamptz NOT NULL,
            {CANDLE_VALUES},
            CONSTRAINT pk_candles PRIMARY KEY (symbol_id, timeframe, time),
            CONSTRAINT ck_candles_prices CHECK (
                low > 0 AND low <= least(open, close) AND high >= greatest(open, close)
                AND high < 'Infinity'
            ),
            CONSTRAINT ck_candles_volume CHECK (volume >= 0 AND volume < 'Infinity')
        ) PARTITION BY RANGE (time)
    """)
    op.execute(f"""
        CREATE TABLE candle_revisions (
            symbol_id integer NOT NULL,
            timeframe integer NOT NULL,
            time timestamptz NOT NULL,
            {CANDLE_VALUES},
            superseded_at timestamptz NOT NULL,
            CONSTRAINT pk_candle_revisions PRIMARY KEY (symbol_id, timeframe, time, superseded_at)
        ) PARTITION BY RANGE (time)
    """)
    create_series(CANDLES)
    create_series(CANDLE_REVISIONS)
    grant("candles", "SELECT", "INSERT", "UPDATE")
    grant("candle_revisions", "SELECT", "INSERT")


def _create_prices() -> None:
    op.execute("""
        CREATE TABLE price_history (
            asset_id integer NOT NULL,
            time timestamptz NOT NULL,
            price_usd double precision NOT NULL,
            ingested_at timestamptz NOT NULL,
            CONSTRAINT pk_price_history PRIMARY KEY (asset_id, time),
            CONSTRAINT ck_price_history_price CHECK (price_usd > 0 AND price_usd < 'Infinity')
        ) PARTITION BY RANGE (time)
    """)
    op.execute("""
        CREATE TABLE price_revisions (
            asset_id integer NOT NULL,
            time timestamptz NOT NULL,
            price_usd double precision NOT NULL,
            ingested_at timestamptz NOT NULL,
            superseded_at timestamptz NOT NULL,
            CONSTRAINT pk_price_revisions PRIMARY KEY (asset_id, time, superseded_at)
        ) PARTITION BY RANGE (time)
    """)
    create_series(PRICE_HISTORY)
    create_series(PRICE_REVISIONS)
    grant("price_history", "SELECT", "INSERT", "UPDATE")
    grant("price_revisions", "SELECT", "INSERT")


def _create_ticks() -> None:
    op.execute("""
        CREATE TABLE quotes (
            symbol_id integer NOT NULL,
            time timestamptz NOT NULL,
            bid_price double precision,
            bid_size double precision,
            ask_price double precision,
            ask_size double precision,
            ingested_at timestamptz NOT NULL,
            CONSTRAINT pk_quotes PRIMARY KEY (symbol_id, time),
            CONSTRAINT ck_quotes_prices CHECK (bid_price > 0 AND ask_price > 0),
            CONSTRAINT ck_quotes_sizes CHECK (bid_size >= 0 AND ask_size >= 0)
        ) PARTITION BY RANGE (time)
    """)
    op.execute("""
        CREATE TABLE market_trades (
            symbol_id integer NOT NULL,
            time timestamptz NOT NULL,
            trade_id bigint NOT NULL,
            side smallint,
            price double precision NOT NULL,
            quantity double precision NOT NULL,
            ingested_at timestamptz NOT NULL,
            CONSTRAINT pk_market_trades PRIMARY KEY (symbol_id, time, trade_id),
            CONSTRAINT ck_market_trades_side CHECK (side IN (-1, 1)),
            CONSTRAINT ck_market_trades_amounts CHECK (price > 0 AND quantity > 0)
        ) PARTITION BY RANGE (time)
    """)
    for series in (QUOTES, MARKET_TRADES):
        create_series(series)
        grant(series.table, "SELECT", "INSERT", "UPDATE")


def _create_coverage() -> None:
    op.execute("""
        CREATE TABLE data_coverage (
            id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_data_coverage PRIMARY KEY,
            kind text NOT NULL,
            asset_id integer CONSTRAINT fk_data_coverage_assets REFERENCES assets,
            symbol_id integer CONSTRAINT fk_data_coverage_symbols REFERENCES symbols,
            timeframe integer,
            rows bigint NOT NULL,
            first_time timestamptz NOT NULL,
            last_time timestamptz NOT NULL,
            missing bigint NOT NULL,
            updated_at timestamptz NOT NULL,
            CONSTRAINT uq_data_coverage_series
                UNIQUE NULLS NOT DISTINCT (kind, asset_id, symbol_id, timeframe),
            CONSTRAINT ck_data_coverage_one_subject
                CHECK ((asset_id IS NULL) <> (symbol_id IS NULL)),
            CONSTRAINT ck_data_coverage_kind
                CHECK (kind IN ('candles', 'quotes', 'trades', 'prices'))
        )
    """)
    op.execute("""
        CREATE TABLE data_gaps (
            coverage_id integer NOT NULL
                CONSTRAINT fk_data_gaps_data_coverage REFERENCES data_coverage ON DELETE CASCADE,
            start_time timestamptz NOT NULL,
            end_time timestamptz NOT NULL,
            missing bigint NOT NULL,
            reason text NOT NULL,
            CONSTRAINT pk_data_gaps PRIMARY KEY (coverage_id, start_time),
            CONSTRAINT ck_data_gaps_range CHECK (start_time < end_time AND missing > 0),
            CONSTRAINT ck_data_gaps_reason CHECK (reason IN ('absent_in_source', 'not_imported'))
        )
    """)
    grant("data_coverage", "SELECT", "INSERT", "UPDATE")
    grant("data_gaps", "SELECT", "INSERT", "DELETE")


def downgrade() -> None:
    op.execute("DROP TABLE data_gaps")
    op.execute("DROP TABLE data_coverage")
    for series in (
        MARKET_TRADES,
        QUOTES,
        PRICE_REVISIONS,
        PRICE_HISTORY,
        CANDLE_REVISIONS,
        CANDLES,
    ):
        drop_series(series)
    op.execute("DROP TABLE symbols")
    op.execute("DROP TABLE exchanges")
    op.execute("DROP TABLE assets")
