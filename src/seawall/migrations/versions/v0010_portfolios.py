"""Portfolios in full: connections, lots, holdings, snapshots, and what the public sees of them."""

from alembic import op

from seawall.db.engine import APP_ROLE
from seawall.db.series import PORTFOLIO_SNAPSHOTS
from seawall.migrations.operations import (
    audit_rows,
    create_series,
    drop_series,
    grant,
    open_to_owner,
    restrict_rows,
    touch_on_update,
    unaudit_rows,
)

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

PORTFOLIO_CACHE = (
    "total_value_usd",
    "total_invested_usd",
    "total_profit_loss_usd",
    "total_profit_loss_percentage",
    "risk_score",
    "volatility",
    "sharpe_ratio",
    "max_drawdown",
    "valued_at",
)
PORTFOLIO_CHOICES = ("is_primary", "is_public", "shows_quantities", "color", "lot_method")
SECRETS = ("api_key_encrypted", "api_secret_encrypted", "passphrase_encrypted")
SYNC_STATE = ("last_sync_at", "last_sync_status", "sync_error_message")

# What a public portfolio says of itself. Percentages have two digits and weights four, because
# with all of their digits round quantities could be told from them.
PUBLIC_COLUMNS = """
    id uuid, name text, description text, color text, created_at timestamptz,
    valued_at timestamptz, total_profit_loss_percentage numeric, risk_score double precision,
    volatility double precision, sharpe_ratio double precision, max_drawdown double precision,
    shows_quantities boolean, total_value_usd numeric, total_invested_usd numeric,
    total_profit_loss_usd numeric
"""
PUBLIC_PORTFOLIOS = """
    SELECT p.id, p.name, p.description, p.color, p.created_at, p.valued_at,
        round(p.total_profit_loss_percentage::numeric, 2), p.risk_score, p.volatility,
        p.sharpe_ratio, p.max_drawdown, p.shows_quantities,
        CASE WHEN p.shows_quantities THEN p.total_value_usd END,
        CASE WHEN p.shows_quantities THEN p.total_invested_usd END,
        CASE WHEN p.shows_quantities THEN p.total_profit_loss_usd END
    FROM portfolios p
    WHERE p.is_public AND p.deleted_at IS NULL
"""
# One row for each asset, wherever it lies: which exchange or wallet it is in is nobody's business.
PUBLIC_HOLDINGS = """
    WITH held AS (
        SELECT h.asset_id, p.shows_quantities, sum(h.quantity) AS quantity,
            CASE WHEN bool_and(h.current_value_usd IS NOT NULL)
                THEN sum(h.current_value_usd) END AS value,
            CASE WHEN bool_and(h.total_invested_usd IS NOT NULL)
                THEN sum(h.total_invested_usd) END AS invested,
            max(h.current_price) AS price, max(h.price_change_24h) AS price_change_24h,
            max(h.price_change_7d) AS price_change_7d
        FROM portfolios p JOIN holdings h ON h.portfolio_id = p.id
        WHERE p.id = wanted AND p.is_public AND p.deleted_at IS NULL AND h.quantity > 0
        GROUP BY h.asset_id, p.shows_quantities
    ), weighed AS (
        SELECT held.*, CASE WHEN bool_and(value IS NOT NULL) OVER ()
            THEN round(value / nullif(sum(value) OVER (), 0), 4) END AS weight
        FROM held
    )
    SELECT a.id, a.symbol, a.name, w.weight, w.price_change_24h, w.price_change_7d,
        CASE WHEN w.shows_quantities THEN w.quantity END,
        CASE WHEN w.shows_quantities THEN w.invested / w.quantity END,
        CASE WHEN w.shows_quantities THEN w.invested END,
        CASE WHEN w.shows_quantities THEN w.price END,
        CASE WHEN w.shows_quantities THEN w.value END,
        CASE WHEN w.shows_quantities THEN w.value - w.invested END,
        CASE WHEN w.shows_quantities
            THEN round((w.value - w.invested) / nullif(w.invested, 0) * 100, 2) END
    FROM weighed w JOIN assets a ON a.id = w.asset_id
    ORDER BY w.weight DESC NULLS LAST, a.symbol
"""
MOST_PORTFOLIOS = 100


def upgrade() -> None:
    _extend_portfolios()
    _create_exchange_connections()
    _extend_transactions()
    _create_lots()
    _create_holdings()
    _create_portfolio_snapshots()
    _publish()


def downgrade() -> None:
    op.execute("DROP FUNCTION list_public_portfolios, public_holdings, public_portfolio")
    op.execute("DROP POLICY owner_select ON portfolios")
    drop_series(PORTFOLIO_SNAPSHOTS)
    op.execute("DROP TABLE holdings")
    op.execute("DROP TABLE lots")
    _shorten_transactions()
    op.execute("DROP TABLE exchange_connections")
    _shorten_portfolios()


def _extend_portfolios() -> None:
    op.execute("""
        ALTER TABLE portfolios
            ADD is_primary boolean NOT NULL DEFAULT false,
            ADD is_public boolean NOT NULL DEFAULT false,
            ADD shows_quantities boolean NOT NULL DEFAULT false,
            ADD color text NOT NULL DEFAULT '#3B82F6'
                CONSTRAINT ck_portfolios_color CHECK (color ~ '^#[0-9A-Fa-f]{6}$'),
            ADD lot_method text NOT NULL DEFAULT 'fifo'
                CONSTRAINT ck_portfolios_lot_method
                CHECK (lot_method IN ('fifo', 'lifo', 'hifo', 'average')),
            ADD total_value_usd numeric(38, 18) CONSTRAINT ck_portfolios_total_value
                CHECK (total_value_usd >= 0 AND total_value_usd < 'Infinity'),
            ADD total_invested_usd numeric(38, 18) CONSTRAINT ck_portfolios_total_invested
                CHECK (total_invested_usd >= 0 AND total_invested_usd < 'Infinity'),
            ADD total_profit_loss_usd numeric(38, 18)
                GENERATED ALWAYS AS (total_value_usd - total_invested_usd) STORED,
            ADD total_profit_loss_percentage double precision GENERATED ALWAYS AS (
                (total_value_usd - total_invested_usd) / nullif(total_invested_usd, 0) * 100
            ) STORED,
            ADD risk_score double precision
                CONSTRAINT ck_portfolios_risk_score CHECK (risk_score BETWEEN 0 AND 100),
            ADD volatility double precision CONSTRAINT ck_portfolios_volatility
                CHECK (volatility >= 0 AND volatility < 'Infinity'),
            ADD sharpe_ratio double precision CONSTRAINT ck_portfolios_sharpe_ratio
                CHECK (sharpe_ratio > '-Infinity' AND sharpe_ratio < 'Infinity'),
            ADD max_drawdown double precision
                CONSTRAINT ck_portfolios_max_drawdown CHECK (max_drawdown BETWEEN 0 AND 1),
            ADD valued_at timestamptz,
            ADD updated_at timestamptz NOT NULL DEFAULT now()
    """)
    op.execute(
        "CREATE INDEX idx_portfolios_user_id ON portfolios (user_id) WHERE deleted_at IS NULL"
    )
    op.execute("""
        CREATE UNIQUE INDEX idx_portfolios_is_primary ON portfolios (user_id)
        WHERE is_primary AND deleted_at IS NULL
    """)
    op.execute("""
        CREATE INDEX idx_portfolios_is_public ON portfolios (created_at, id)
        WHERE is_public AND deleted_at IS NULL
    """)
    touch_on_update("portfolios")
    audit_rows("portfolios", derived=PORTFOLIO_CACHE)


def _shorten_portfolios() -> None:
    unaudit_rows("portfolios")
    op.execute("DROP TRIGGER update_portfolios_updated_at ON portfolios")
    op.execute("DROP INDEX idx_portfolios_user_id, idx_portfolios_is_primary")
    op.execute("DROP INDEX idx_portfolios_is_public")
    for column in (*reversed(PORTFOLIO_CACHE), *PORTFOLIO_CHOICES, "updated_at"):
        op.execute(f"ALTER TABLE portfolios DROP {column}")


def _create_exchange_connections() -> None:
    op.execute("""
        CREATE TABLE exchange_connections (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_exchange_connections PRIMARY KEY,
            user_id uuid NOT NULL DEFAULT current_user_id()
                CONSTRAINT fk_exchange_connections_users REFERENCES users ON DELETE CASCADE,
            portfolio_id uuid,
            exchange_id integer NOT NULL
                CONSTRAINT fk_exchange_connections_exchanges REFERENCES exchanges,
            name text NOT NULL,
            api_key_encrypted bytea NOT NULL,
            api_secret_encrypted bytea,
            passphrase_encrypted bytea,
            api_key_last_four text NOT NULL,
            permissions jsonb NOT NULL
                DEFAULT '{"read": true, "trade": false, "withdraw": false}',
            status text NOT NULL DEFAULT 'pending',
            is_active boolean NOT NULL DEFAULT true,
            last_sync_at timestamptz,
            last_sync_status text,
            sync_error_message text,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            deleted_at timestamptz,
            CONSTRAINT fk_exchange_connections_portfolios FOREIGN KEY (user_id, portfolio_id)
                REFERENCES portfolios (user_id, id) ON DELETE SET NULL (portfolio_id),
            CONSTRAINT uq_exchange_connections_tenant UNIQUE (user_id, id),
            CONSTRAINT ck_exchange_connections_name CHECK (length(name) BETWEEN 1 AND 100),
            CONSTRAINT ck_exchange_connections_sealed CHECK (
                substr(api_key_encrypted, 1, 3) = 'SWS'
                AND substr(api_secret_encrypted, 1, 3) = 'SWS'
                AND substr(passphrase_encrypted, 1, 3) = 'SWS'
            ),
            CONSTRAINT ck_exchange_connections_last_four CHECK (length(api_key_last_four) = 4),
            CONSTRAINT ck_exchange_connections_permissions CHECK (
                jsonb_typeof(permissions) = 'object'
                AND permissions ?& ARRAY['read', 'trade', 'withdraw']
                AND permissions - ARRAY['read', 'trade', 'withdraw'] = '{}'
                AND jsonb_typeof(permissions -> 'read') = 'boolean'
                AND jsonb_typeof(permissions -> 'trade') = 'boolean'
                AND jsonb_typeof(permissions -> 'withdraw') = 'boolean'
            ),
            CONSTRAINT ck_exchange_connections_no_withdrawal
                CHECK (permissions -> 'withdraw' <> 'true'),
            CONSTRAINT ck_exchange_connections_status
                CHECK (status IN ('pending', 'connected', 'failing', 'revoked')),
            CONSTRAINT ck_exchange_connections_last_sync_status
                CHECK (last_sync_status IN ('success', 'failed', 'pending'))
        )
    """)
    op.execute("""
        CREATE UNIQUE INDEX uq_exchange_connections_living_key
        ON exchange_connections (user_id, exchange_id, api_key_last_four)
        WHERE deleted_at IS NULL
    """)
    op.execute("""
        CREATE INDEX idx_exchange_connections_user_id ON exchange_connections (user_id)
        WHERE deleted_at IS NULL
    """)
    op.execute("""
        CREATE INDEX idx_exchange_connections_portfolio_id
        ON exchange_connections (portfolio_id)
    """)
    op.execute("""
        CREATE INDEX idx_exchange_connections_exchange_id ON exchange_connections (exchange_id)
    """)
    # Whose turn it is to be synced, those that never were first.
    op.execute("""
        CREATE INDEX idx_exchange_connections_last_sync
        ON exchange_connections (last_sync_at NULLS FIRST)
        WHERE is_active AND deleted_at IS NULL
    """)
    restrict_rows("exchange_connections")
    touch_on_update("exchange_connections")
    audit_rows("exchange_connections", redacted=SECRETS, derived=SYNC_STATE)
    grant("exchange_connections", "SELECT", "INSERT", "UPDATE")


def _extend_transactions() -> None:
    op.execute("""
        ALTER TABLE transactions
            ADD exchange_connection_id uuid,
            ADD exchange_transaction_id text,
            ADD price numeric(38, 18)
                CONSTRAINT ck_transactions_paid CHECK (price >= 0 AND price < 'Infinity'),
            ADD price_currency_id integer
                CONSTRAINT fk_transactions_price_currencies REFERENCES assets,
            ADD fee_quantity numeric(38, 18) CONSTRAINT ck_transactions_fee_quantity
                CHECK (fee_quantity > 0 AND fee_quantity < 'Infinity'),
            ADD fee_asset_id integer CONSTRAINT fk_transactions_fee_assets REFERENCES assets,
            ADD total_usd numeric(38, 18) GENERATED ALWAYS AS (quantity * price_usd) STORED,
            ADD imported_at timestamptz,
            ADD CONSTRAINT fk_transactions_exchange_connections
                FOREIGN KEY (user_id, exchange_connection_id)
                REFERENCES exchange_connections (user_id, id)
                ON DELETE SET NULL (exchange_connection_id),
            ADD CONSTRAINT ck_transactions_price_currency
                CHECK ((price IS NULL) = (price_currency_id IS NULL)),
            ADD CONSTRAINT ck_transactions_fee_asset
                CHECK ((fee_quantity IS NULL) = (fee_asset_id IS NULL)),
            ADD CONSTRAINT uq_transactions_tenant UNIQUE (user_id, id),
            DROP CONSTRAINT uq_transactions_external_id,
            ADD CONSTRAINT uq_transactions_external_id
                UNIQUE (portfolio_id, external_id, user_id)
    """)
    # An UPDATE would pass the policies of the table, and so find no row.
    op.execute("""
        ALTER TABLE transactions ALTER imported_at TYPE timestamptz
        USING CASE WHEN external_id IS NOT NULL THEN recorded_at END
    """)
    op.execute("DROP INDEX idx_transactions_user_id")
    op.execute("""
        CREATE INDEX idx_transactions_transaction_date
        ON transactions (user_id, transaction_date DESC)
    """)
    op.execute(
        "CREATE INDEX idx_transactions_type ON transactions (portfolio_id, transaction_type)"
    )
    op.execute("CREATE INDEX idx_transactions_recorded_at ON transactions USING brin (recorded_at)")
    # Most transactions have none of these, and cost nothing here.
    op.execute("""
        CREATE UNIQUE INDEX uq_transactions_exchange_transaction_id
        ON transactions (exchange_connection_id, exchange_transaction_id)
        WHERE exchange_connection_id IS NOT NULL
    """)
    for column in ("price_currency_id", "fee_asset_id"):
        op.execute(f"""
            CREATE INDEX idx_transactions_{column} ON transactions ({column})
            WHERE {column} IS NOT NULL
        """)
    audit_rows("transactions")


def _shorten_transactions() -> None:
    unaudit_rows("transactions")
    op.execute("CREATE INDEX idx_transactions_user_id ON transactions (user_id)")
    op.execute("DROP INDEX idx_transactions_transaction_date, idx_transactions_type")
    op.execute("DROP INDEX idx_transactions_recorded_at")
    op.execute("""
        ALTER TABLE transactions
            DROP CONSTRAINT uq_transactions_tenant,
            DROP CONSTRAINT uq_transactions_external_id,
            ADD CONSTRAINT uq_transactions_external_id UNIQUE (portfolio_id, external_id)
    """)
    for column in (
        "exchange_connection_id",
        "exchange_transaction_id",
        "price",
        "price_currency_id",
        "fee_quantity",
        "fee_asset_id",
        "total_usd",
        "imported_at",
    ):
        op.execute(f"ALTER TABLE transactions DROP {column}")


def _create_lots() -> None:
    op.execute("""
        CREATE TABLE lots (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_lots PRIMARY KEY,
            user_id uuid NOT NULL DEFAULT current_user_id(),
            portfolio_id uuid NOT NULL,
            asset_id integer NOT NULL CONSTRAINT fk_lots_assets REFERENCES assets,
            opening_transaction_id uuid NOT NULL
                CONSTRAINT uq_lots_opening_transaction_id UNIQUE,
            position integer NOT NULL,
            acquired_at timestamptz NOT NULL,
            quantity numeric(38, 18) NOT NULL,
            original_quantity numeric(38, 18) NOT NULL,
            cost_basis_usd numeric(38, 18) NOT NULL,
            cost_per_unit_usd numeric(38, 18) NOT NULL
                GENERATED ALWAYS AS (cost_basis_usd / quantity) STORED,
            CONSTRAINT fk_lots_portfolios FOREIGN KEY (user_id, portfolio_id)
                REFERENCES portfolios (user_id, id) ON DELETE CASCADE,
            CONSTRAINT fk_lots_transactions FOREIGN KEY (user_id, opening_transaction_id)
                REFERENCES transactions (user_id, id) ON DELETE CASCADE,
            CONSTRAINT uq_lots_position UNIQUE (portfolio_id, asset_id, position, user_id)
                DEFERRABLE INITIALLY IMMEDIATE,
            CONSTRAINT ck_lots_position CHECK (position > 0),
            CONSTRAINT ck_lots_quantity
                CHECK (quantity > 0 AND quantity <= original_quantity),
            CONSTRAINT ck_lots_original_quantity CHECK (original_quantity < 'Infinity'),
            CONSTRAINT ck_lots_cost_basis
                CHECK (cost_basis_usd >= 0 AND cost_basis_usd < 'Infinity')
        )
    """)
    op.execute("CREATE INDEX idx_lots_asset_id ON lots (asset_id)")
    restrict_rows("lots")
    # A lot of which nothing is left goes, and so does a holding.
    grant("lots", "SELECT", "INSERT", "UPDATE", "DELETE")


def _create_holdings() -> None:
    op.execute("""
        CREATE TABLE holdings (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_holdings PRIMARY KEY,
            user_id uuid NOT NULL DEFAULT current_user_id(),
            portfolio_id uuid NOT NULL,
            asset_id integer NOT NULL CONSTRAINT fk_holdings_assets REFERENCES assets,
            exchange_source text NOT NULL DEFAULT 'manual',
            wallet_address text,
            quantity numeric(38, 18) NOT NULL,
            staked numeric(38, 18) NOT NULL DEFAULT 0,
            average_buy_price numeric(38, 18),
            total_invested_usd numeric(38, 18),
            current_price numeric(38, 18),
            current_value_usd numeric(38, 18)
                GENERATED ALWAYS AS (quantity * current_price) STORED,
            price_change_24h double precision,
            price_change_7d double precision,
            profit_loss_usd numeric(38, 18)
                GENERATED ALWAYS AS (quantity * current_price - total_invested_usd) STORED,
            profit_loss_percentage double precision GENERATED ALWAYS AS (
                (quantity * current_price - total_invested_usd)
                / nullif(total_invested_usd, 0) * 100
            ) STORED,
            notes text NOT NULL DEFAULT '',
            created_at timestamptz NOT NULL DEFAULT now(),
            last_updated_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT fk_holdings_portfolios FOREIGN KEY (user_id, portfolio_id)
                REFERENCES portfolios (user_id, id) ON DELETE CASCADE,
            CONSTRAINT uq_holdings_place UNIQUE NULLS NOT DISTINCT
                (portfolio_id, asset_id, exchange_source, wallet_address, user_id),
            CONSTRAINT ck_holdings_exchange_source
                CHECK (exchange_source = lower(exchange_source) AND exchange_source <> ''),
            CONSTRAINT ck_holdings_wallet_address
                CHECK (length(wallet_address) BETWEEN 1 AND 100),
            CONSTRAINT ck_holdings_quantity CHECK (quantity >= 0 AND quantity < 'Infinity'),
            CONSTRAINT ck_holdings_staked CHECK (staked >= 0 AND staked <= quantity),
            CONSTRAINT ck_holdings_average_buy_price
                CHECK (average_buy_price >= 0 AND average_buy_price < 'Infinity'),
            CONSTRAINT ck_holdings_total_invested
                CHECK (total_invested_usd >= 0 AND total_invested_usd < 'Infinity'),
            CONSTRAINT ck_holdings_current_price
                CHECK (current_price >= 0 AND current_price < 'Infinity'),
            CONSTRAINT ck_holdings_price_change_24h
                CHECK (price_change_24h >= -100 AND price_change_24h < 'Infinity'),
            CONSTRAINT ck_holdings_price_change_7d
                CHECK (price_change_7d >= -100 AND price_change_7d < 'Infinity')
        )
    """)
    op.execute("CREATE INDEX idx_holdings_asset_id ON holdings (asset_id)")
    op.execute("""
        CREATE INDEX idx_holdings_exchange_source ON holdings (portfolio_id, exchange_source)
        WHERE exchange_source <> 'manual'
    """)
    op.execute("""
        CREATE INDEX idx_holdings_current_value
        ON holdings (portfolio_id, current_value_usd DESC NULLS LAST)
    """)
    op.execute("CREATE INDEX idx_holdings_last_updated ON holdings (last_updated_at)")
    restrict_rows("holdings")
    grant("holdings", "SELECT", "INSERT", "UPDATE", "DELETE")


def _create_portfolio_snapshots() -> None:
    op.execute("""
        CREATE TABLE portfolio_snapshots (
            portfolio_id uuid NOT NULL,
            time timestamptz NOT NULL,
            user_id uuid NOT NULL DEFAULT current_user_id(),
            known_at timestamptz NOT NULL,
            total_value_usd numeric(38, 18) NOT NULL,
            total_invested_usd numeric(38, 18) NOT NULL,
            total_profit_loss_usd numeric(38, 18) NOT NULL
                GENERATED ALWAYS AS (total_value_usd - total_invested_usd) STORED,
            total_profit_loss_percentage double precision GENERATED ALWAYS AS (
                (total_value_usd - total_invested_usd) / nullif(total_invested_usd, 0) * 100
            ) STORED,
            cash_usd numeric(38, 18) NOT NULL,
            holdings_count integer NOT NULL,
            CONSTRAINT pk_portfolio_snapshots PRIMARY KEY (portfolio_id, time, user_id),
            CONSTRAINT fk_portfolio_snapshots_portfolios FOREIGN KEY (user_id, portfolio_id)
                REFERENCES portfolios (user_id, id) ON DELETE CASCADE,
            CONSTRAINT ck_portfolio_snapshots_known_after CHECK (known_at >= time),
            CONSTRAINT ck_portfolio_snapshots_total_value
                CHECK (total_value_usd >= 0 AND total_value_usd < 'Infinity'),
            CONSTRAINT ck_portfolio_snapshots_total_invested
                CHECK (total_invested_usd >= 0 AND total_invested_usd < 'Infinity'),
            CONSTRAINT ck_portfolio_snapshots_cash
                CHECK (cash_usd >= 0 AND cash_usd <= total_value_usd),
            CONSTRAINT ck_portfolio_snapshots_holdings_count CHECK (holdings_count >= 0)
        ) PARTITION BY RANGE (time)
    """)
    create_series(PORTFOLIO_SNAPSHOTS)
    restrict_rows("portfolio_snapshots")
    # The same instant may be valued again, with what became known since.
    grant("portfolio_snapshots", "SELECT", "INSERT", "UPDATE")


def _publish() -> None:
    # Everybody may know the id of what is public: that is why the user is in each unique key that
    # begins with it, or trying one would tell whether it is taken.
    open_to_owner("portfolios", rows="is_public AND deleted_at IS NULL")
    open_to_owner(
        "holdings",
        rows="EXISTS (SELECT FROM portfolios WHERE portfolios.id = holdings.portfolio_id"
        " AND is_public AND deleted_at IS NULL)",
    )
    as_owner = "LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp"
    op.execute(f"""
        CREATE FUNCTION public_portfolio(wanted uuid) RETURNS TABLE ({PUBLIC_COLUMNS})
        {as_owner} AS $$ {PUBLIC_PORTFOLIOS} AND p.id = wanted $$
    """)
    op.execute(f"""
        CREATE FUNCTION public_holdings(wanted uuid) RETURNS TABLE (
            asset_id integer, symbol text, name text, weight numeric,
            price_change_24h double precision, price_change_7d double precision,
            quantity numeric, average_buy_price numeric, total_invested_usd numeric,
            current_price numeric, current_value_usd numeric, profit_loss_usd numeric,
            profit_loss_percentage numeric
        )
        {as_owner} AS $$ {PUBLIC_HOLDINGS} $$
    """)
    # The newest first; a page goes on after the last portfolio of the one before it.
    op.execute(f"""
        CREATE FUNCTION list_public_portfolios(
            page_size integer, after_created_at timestamptz DEFAULT NULL,
            after_id uuid DEFAULT NULL
        ) RETURNS TABLE ({PUBLIC_COLUMNS})
        {as_owner} AS $$
            {PUBLIC_PORTFOLIOS}
                AND (after_id IS NULL OR (p.created_at, p.id) < (after_created_at, after_id))
            ORDER BY p.created_at DESC, p.id DESC
            LIMIT least(greatest(page_size, 0), {MOST_PORTFOLIOS})
        $$
    """)
    op.execute(
        "GRANT EXECUTE ON FUNCTION public_portfolio, public_holdings, list_public_portfolios"
        f" TO {APP_ROLE}"
    )
