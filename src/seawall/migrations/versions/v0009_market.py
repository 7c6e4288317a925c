"""Market data in full: facts of assets, order books, sentiment, on-chain figures."""

from collections.abc import Sequence

from alembic import op

from seawall.db.series import ONCHAIN_HISTORY, ORDER_BOOKS, SOCIAL_SENTIMENT_HISTORY
from seawall.migrations.operations import create_series, drop_series, grant, touch_on_update

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

LINKS = (
    "logo_url",
    "website_url",
    "whitepaper_url",
    "github_url",
    "twitter_url",
    "reddit_url",
    "telegram_url",
    "discord_url",
)
REFERENCE = ("assets", "exchanges", "symbols")


def _link(column: str) -> str:
    return f"{column} ~* '^https?://\\S+$' AND length({column}) <= 500"


def _extremes(columns: Sequence[str]) -> tuple[str, str]:
    """Return the least and the greatest of columns: two comparisons a row, however many."""
    if len(columns) == 1:
        return columns[0], columns[0]
    listed = ", ".join(columns)
    return f"least({listed})", f"greatest({listed})"


# A bound above keeps out NaN too, which PostgreSQL holds to be greater than any number.
def _price(*columns: str) -> str:
    least, greatest = _extremes(columns)
    return f"{least} > 0 AND {greatest} < 'Infinity'"


def _amount(*columns: str) -> str:
    least, greatest = _extremes(columns)
    return f"{least} >= 0 AND {greatest} < 'Infinity'"


def _finite(*columns: str) -> str:
    least, greatest = _extremes(columns)
    return f"{least} > '-Infinity' AND {greatest} < 'Infinity'"


def _percent_change(*columns: str) -> str:
    least, greatest = _extremes(columns)
    return f"{least} >= -100 AND {greatest} < 'Infinity'"


def _score(*columns: str) -> str:
    least, greatest = _extremes(columns)
    return f"{least} >= 0 AND {greatest} <= 100"


def _levels(column: str) -> str:
    """Check one side of a book: an array of [price, amount], prices above 0."""
    level = (
        '@.type() == "array" && @.size() == 2'
        ' && @[0].type() == "number" && @[1].type() == "number" && @[0] > 0 && @[1] >= 0'
    )
    return (
        f"jsonb_typeof({column}) = 'array'"
        f" AND NOT jsonb_path_exists({column}, 'strict $[*] ? (!({level}))')"
    )


def upgrade() -> None:
    _extend_assets()
    _extend_exchanges()
    _extend_symbols()
    for table in REFERENCE:
        # Nothing was updated so far, as far as anybody knows.
        op.execute(f"UPDATE {table} SET updated_at = created_at")  # noqa: S608 - declared above
        touch_on_update(table)
    _extend_series()
    _create_order_books()
    _create_social_sentiment()
    _create_onchain()
    op.execute("CREATE INDEX idx_data_coverage_asset_id ON data_coverage (asset_id)")
    op.execute("CREATE INDEX idx_data_coverage_symbol_id ON data_coverage (symbol_id)")


def _extend_assets() -> None:
    links = ", ".join(f"ADD COLUMN {link} text" for link in LINKS)
    op.execute(f"""
        ALTER TABLE assets
            ADD COLUMN coingecko_id text,
            ADD COLUMN blockchain text,
            ADD COLUMN contract_address text,
            ADD COLUMN decimals smallint,
            ADD COLUMN description text NOT NULL DEFAULT '',
            ADD COLUMN is_active boolean NOT NULL DEFAULT true,
            ADD COLUMN rank integer,
            ADD COLUMN market_cap double precision,
            ADD COLUMN circulating_supply double precision,
            ADD COLUMN total_supply double precision,
            ADD COLUMN max_supply double precision,
            ADD COLUMN current_price_usd double precision,
            ADD COLUMN price_change_24h double precision,
            ADD COLUMN price_change_percentage_24h double precision,
            ADD COLUMN volume_24h double precision,
            ADD COLUMN audit_status text,
            ADD COLUMN team_status text,
            ADD COLUMN exchange_listings_count integer,
            ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
            {links}
    """)
    _constrain_assets()
    op.execute("""
        CREATE INDEX idx_assets_search
        ON assets USING gin (to_tsvector('simple', symbol || ' ' || name))
    """)


def _constrain_assets() -> None:
    links = ", ".join(f"ADD CONSTRAINT ck_assets_{link} CHECK ({_link(link)})" for link in LINKS)
    op.execute(f"""
        ALTER TABLE assets
            ADD CONSTRAINT uq_assets_coingecko_id UNIQUE (coingecko_id),
            ADD CONSTRAINT ck_assets_coingecko_id CHECK (length(coingecko_id) BETWEEN 1 AND 100),
            ADD CONSTRAINT ck_assets_blockchain CHECK (length(blockchain) BETWEEN 1 AND 50),
            ADD CONSTRAINT ck_assets_contract_address CHECK (
                contract_address IS NULL
                OR blockchain IS NOT NULL AND length(contract_address) BETWEEN 1 AND 255
            ),
            ADD CONSTRAINT ck_assets_decimals CHECK (decimals BETWEEN 0 AND 36),
            ADD CONSTRAINT ck_assets_rank CHECK (rank > 0),
            ADD CONSTRAINT ck_assets_amounts CHECK ({
        _amount("market_cap", "circulating_supply", "total_supply", "max_supply", "volume_24h")
    }),
            ADD CONSTRAINT ck_assets_price CHECK ({_price("current_price_usd")}),
            ADD CONSTRAINT ck_assets_changes CHECK (
                {_finite("price_change_24h")}
                AND {_percent_change("price_change_percentage_24h")}
            ),
            ADD CONSTRAINT ck_assets_audit_status
                CHECK (audit_status IN ('audited', 'unaudited', 'known_issues')),
            ADD CONSTRAINT ck_assets_team_status
                CHECK (team_status IN ('doxxed', 'anonymous', 'partial')),
            ADD CONSTRAINT ck_assets_exchange_listings_count CHECK (exchange_listings_count >= 0),
            {links}
    """)
    op.execute("""
        CREATE UNIQUE INDEX uq_assets_contract ON assets (blockchain, contract_address)
        WHERE contract_address IS NOT NULL
    """)


def _extend_exchanges() -> None:
    op.execute(f"""
        ALTER TABLE exchanges
            ADD COLUMN name text,
            ADD COLUMN status text NOT NULL DEFAULT 'active',
            ADD COLUMN website_url text,
            ADD COLUMN country_code text,
            ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
            ADD CONSTRAINT ck_exchanges_name CHECK (length(name) BETWEEN 1 AND 100),
            ADD CONSTRAINT ck_exchanges_status
                CHECK (status IN ('active', 'inactive', 'deprecated')),
            ADD CONSTRAINT ck_exchanges_website_url CHECK ({_link("website_url")}),
            ADD CONSTRAINT ck_exchanges_country_code CHECK (country_code ~ '^[A-Z]{{2}}$')
    """)


def _extend_symbols() -> None:
    op.execute(f"""
        ALTER TABLE symbols
            ADD COLUMN status text NOT NULL DEFAULT 'active',
            ADD COLUMN min_order_size numeric(38, 18),
            ADD COLUMN max_order_size numeric(38, 18),
            ADD COLUMN price_precision smallint,
            ADD COLUMN quantity_precision smallint,
            ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now(),
            ADD CONSTRAINT uq_symbols_symbol UNIQUE (exchange_id, symbol),
            ADD CONSTRAINT ck_symbols_status
                CHECK (status IN ('active', 'inactive', 'deprecated')),
            ADD CONSTRAINT ck_symbols_order_sizes CHECK (
                {_amount("min_order_size")} AND {_price("max_order_size")}
                AND min_order_size <= max_order_size
            ),
            ADD CONSTRAINT ck_symbols_precisions CHECK (
                price_precision BETWEEN -18 AND 18 AND quantity_precision BETWEEN -18 AND 18
            )
    """)


# One statement a table, so that its rows are read once to check them.
def _extend_series() -> None:
    op.execute(f"""
        ALTER TABLE candles
            ADD CONSTRAINT ck_candles_timeframe CHECK (timeframe > 0),
            ADD CONSTRAINT ck_candles_trade_count CHECK (trade_count >= 0),
            ADD CONSTRAINT ck_candles_quote_volume CHECK ({_amount("quote_volume")})
    """)
    op.execute(f"""
        ALTER TABLE price_history
            ADD COLUMN market_cap_usd double precision,
            ADD COLUMN volume_24h_usd double precision,
            ADD COLUMN percent_change_1h double precision,
            ADD COLUMN percent_change_24h double precision,
            ADD COLUMN percent_change_7d double precision,
            ADD COLUMN price_change_24h double precision,
            ADD COLUMN high_24h double precision,
            ADD COLUMN low_24h double precision,
            ADD COLUMN rank integer,
            ADD COLUMN circulating_supply double precision,
            ADD COLUMN max_supply double precision,
            ADD COLUMN data_source text,
            ADD CONSTRAINT ck_price_history_amounts CHECK ({
        _amount("market_cap_usd", "volume_24h_usd", "circulating_supply", "max_supply")
    }),
            ADD CONSTRAINT ck_price_history_changes CHECK (
                {_percent_change("percent_change_1h", "percent_change_24h", "percent_change_7d")}
                AND {_finite("price_change_24h")}
            ),
            ADD CONSTRAINT ck_price_history_range CHECK (
                {_price("low_24h", "high_24h")} AND low_24h <= high_24h
            ),
            ADD CONSTRAINT ck_price_history_rank CHECK (rank > 0),
            ADD CONSTRAINT ck_price_history_data_source
                CHECK (length(data_source) BETWEEN 1 AND 50)
    """)
    op.execute(f"""
        ALTER TABLE quotes
            ADD COLUMN last_price double precision,
            ADD COLUMN last_size double precision,
            DROP CONSTRAINT ck_quotes_prices,
            DROP CONSTRAINT ck_quotes_sizes,
            ADD CONSTRAINT ck_quotes_prices
                CHECK ({_price("bid_price", "ask_price", "last_price")}),
            ADD CONSTRAINT ck_quotes_sizes CHECK ({_amount("bid_size", "ask_size", "last_size")})
    """)
    op.execute(f"""
        ALTER TABLE market_trades
            ADD COLUMN venue_trade_id text,
            DROP CONSTRAINT ck_market_trades_amounts,
            ADD CONSTRAINT ck_market_trades_amounts CHECK ({_price("price", "quantity")}),
            ADD CONSTRAINT ck_market_trades_venue_trade_id
                CHECK (length(venue_trade_id) BETWEEN 1 AND 100)
    """)


def _create_order_books() -> None:
    op.execute(f"""
        CREATE TABLE order_books (
            symbol_id integer NOT NULL,
            time timestamptz NOT NULL,
            bids jsonb NOT NULL,
            asks jsonb NOT NULL,
            sequence bigint,
            ingested_at timestamptz NOT NULL,
            CONSTRAINT pk_order_books PRIMARY KEY (symbol_id, time),
            CONSTRAINT ck_order_books_bids CHECK ({_levels("bids")}),
            CONSTRAINT ck_order_books_asks CHECK ({_levels("asks")}),
            CONSTRAINT ck_order_books_sequence CHECK (sequence >= 0)
        ) PARTITION BY RANGE (time)
    """)
    create_series(ORDER_BOOKS)
    grant("order_books", "SELECT", "INSERT")


def _create_social_sentiment() -> None:
    op.execute(f"""
        CREATE TABLE social_sentiment_history (
            asset_id integer NOT NULL,
            time timestamptz NOT NULL,
            data_source text NOT NULL,
            social_score double precision,
            sentiment_positive double precision,
            sentiment_negative double precision,
            sentiment_neutral double precision,
            mentions_count integer,
            influencer_mentions_count integer,
            ingested_at timestamptz NOT NULL,
            CONSTRAINT pk_social_sentiment_history PRIMARY KEY (asset_id, time, data_source),
            CONSTRAINT ck_social_sentiment_history_scores CHECK ({
        _score("social_score", "sentiment_positive", "sentiment_negative", "sentiment_neutral")
    }),
            CONSTRAINT ck_social_sentiment_history_counts
                CHECK (mentions_count >= 0 AND influencer_mentions_count >= 0),
            CONSTRAINT ck_social_sentiment_history_data_source
                CHECK (length(data_source) BETWEEN 1 AND 50)
        ) PARTITION BY RANGE (time)
    """)
    create_series(SOCIAL_SENTIMENT_HISTORY)
    grant("social_sentiment_history", "SELECT", "INSERT", "UPDATE")


def _create_onchain() -> None:
    op.execute(f"""
        CREATE TABLE onchain_history (
            asset_id integer NOT NULL,
            metric text NOT NULL,
            time timestamptz NOT NULL,
            value double precision NOT NULL,
            data_source text NOT NULL,
            ingested_at timestamptz NOT NULL,
            CONSTRAINT pk_onchain_history PRIMARY KEY (asset_id, metric, time),
            CONSTRAINT ck_onchain_history_metric CHECK (metric ~ '^[a-z][a-z0-9_]{{0,49}}$'),
            CONSTRAINT ck_onchain_history_value CHECK ({_finite("value")}),
            CONSTRAINT ck_onchain_history_data_source
                CHECK (length(data_source) BETWEEN 1 AND 50)
        ) PARTITION BY RANGE (time)
    """)
    create_series(ONCHAIN_HISTORY)
    grant("onchain_history", "SELECT", "INSERT", "UPDATE")


def downgrade() -> None:
    op.execute("DROP INDEX idx_data_coverage_symbol_id")
    op.execute("DROP INDEX idx_data_coverage_asset_id")
    for series in (ONCHAIN_HISTORY, SOCIAL_SENTIMENT_HISTORY, ORDER_BOOKS):
        drop_series(series)
    _shorten_series()
    for table in REFERENCE:
        op.execute(f"DROP TRIGGER update_{table}_updated_at ON {table}")
    _shorten_reference()


def _drop_columns(table: str, columns: str) -> None:
    """Drop columns with the checks and indexes that name one of them."""
    dropped = ", ".join(f"DROP COLUMN {column}" for column in columns.split())
    op.execute(f"ALTER TABLE {table} {dropped}")


def _shorten_series() -> None:
    _drop_columns("market_trades", "venue_trade_id")
    op.execute("""
        ALTER TABLE market_trades
            DROP CONSTRAINT ck_market_trades_amounts,
            ADD CONSTRAINT ck_market_trades_amounts CHECK (price > 0 AND quantity > 0)
    """)
    _drop_columns("quotes", "last_price last_size")
    op.execute("""
        ALTER TABLE quotes
            ADD CONSTRAINT ck_quotes_prices CHECK (bid_price > 0 AND ask_price > 0),
            ADD CONSTRAINT ck_quotes_sizes CHECK (bid_size >= 0 AND ask_size >= 0)
    """)
    _drop_columns(
        "price_history",
        "market_cap_usd volume_24h_usd percent_change_1h percent_change_24h percent_change_7d"
        " price_change_24h high_24h low_24h rank circulating_supply max_supply data_source",
    )
    op.execute("""
        ALTER TABLE candles
            DROP CONSTRAINT ck_candles_timeframe,
            DROP CONSTRAINT ck_candles_trade_count,
            DROP CONSTRAINT ck_candles_quote_volume
    """)


def _shorten_reference() -> None:
    op.execute("ALTER TABLE symbols DROP CONSTRAINT uq_symbols_symbol")
    _drop_columns(
        "symbols",
        "status min_order_size max_order_size price_precision quantity_precision updated_at",
    )
    _drop_columns("exchanges", "name status website_url country_code updated_at")
    op.execute("DROP INDEX idx_assets_search")
    _drop_columns(
        "assets",
        "coingecko_id blockchain contract_address decimals description is_active rank market_cap"
        " circulating_supply total_supply max_supply current_price_usd price_change_24h"
        " price_change_percentage_24h volume_24h audit_status team_status exchange_listings_count"
        f" updated_at {' '.join(LINKS)}",
    )
