"""Strategies and trading: accounts, their ledger, orders, fills, positions, performance."""

from alembic import op

from seawall.migrations.operations import audit_rows, grant, restrict_rows, touch_on_update
from seawall.migrations.steps.v0011_orders import create_orders, drop_orders
from seawall.migrations.steps.v0011_strategies import create_strategies, drop_strategies

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TRADING_ACCOUNTS = """
CREATE TABLE trading_accounts (
    id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_trading_accounts PRIMARY KEY,
    user_id uuid NOT NULL DEFAULT current_user_id()
        CONSTRAINT fk_trading_accounts_users REFERENCES users ON DELETE CASCADE,
    name text NOT NULL,
    mode text NOT NULL DEFAULT 'paper',
    currency_asset_id integer NOT NULL
        CONSTRAINT fk_trading_accounts_assets REFERENCES assets,
    initial_balance numeric(38, 18) NOT NULL,
    balance numeric(38, 18) NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CONSTRAINT uq_trading_accounts_tenant UNIQUE (user_id, id),
    CONSTRAINT ck_trading_accounts_name_length CHECK (length(name) BETWEEN 1 AND 100),
    CONSTRAINT ck_trading_accounts_mode CHECK (mode IN ('paper', 'live')),
    CONSTRAINT ck_trading_accounts_initial_balance CHECK (initial_balance >= 0),
    CONSTRAINT ck_trading_accounts_not_nan
        CHECK ('NaN' NOT IN (initial_balance, balance))
)
"""

FILLS = """
CREATE TABLE fills (
    id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_fills PRIMARY KEY,
    user_id uuid NOT NULL DEFAULT current_user_id(),
    account_id uuid NOT NULL,
    symbol_id integer NOT NULL CONSTRAINT fk_fills_symbols REFERENCES symbols,
    order_id uuid,
    strategy_id uuid,
    trade_id text NOT NULL,
    side text NOT NULL,
    price numeric(38, 18) NOT NULL,
    quantity numeric(38, 18) NOT NULL,
    total numeric(38, 18) GENERATED ALWAYS AS (price * quantity) STORED,
    fee numeric(38, 18) NOT NULL DEFAULT 0,
    fee_asset_id integer CONSTRAINT fk_fills_assets REFERENCES assets,
    profit_loss numeric(38, 18),
    executed_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT fk_fills_trading_accounts FOREIGN KEY (user_id, account_id)
        REFERENCES trading_accounts (user_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_fills_orders FOREIGN KEY (user_id, order_id)
        REFERENCES orders (user_id, id) ON DELETE SET NULL (order_id),
    CONSTRAINT fk_fills_strategies FOREIGN KEY (user_id, strategy_id)
        REFERENCES strategies (user_id, id) ON DELETE SET NULL (strategy_id),
    CONSTRAINT uq_fills_tenant UNIQUE (user_id, id),
    CONSTRAINT uq_fills_trade UNIQUE (account_id, symbol_id, trade_id),
    CONSTRAINT ck_fills_trade_id CHECK (length(trade_id) BETWEEN 1 AND 100),
    CONSTRAINT ck_fills_side CHECK (side IN ('buy', 'sell')),
    CONSTRAINT ck_fills_positive CHECK (price > 0 AND quantity > 0),
    CONSTRAINT ck_fills_fee_asset CHECK (fee = 0 OR fee_asset_id IS NOT NULL),
    CONSTRAINT ck_fills_not_nan
        CHECK ('NaN' NOT IN (price, quantity, fee, profit_loss))
)
"""

LEDGER_ENTRIES = """
CREATE TABLE ledger_entries (
    id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_ledger_entries PRIMARY KEY,
    user_id uuid NOT NULL DEFAULT current_user_id(),
    account_id uuid NOT NULL,
    journal_id uuid NOT NULL,
    entry bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    ledger text NOT NULL,
    asset_id integer NOT NULL CONSTRAINT fk_ledger_entries_assets REFERENCES assets,
    amount numeric(38, 18) NOT NULL,
    fill_id uuid,
    description text NOT NULL DEFAULT '',
    effective_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT fk_ledger_entries_trading_accounts FOREIGN KEY (user_id, account_id)
        REFERENCES trading_accounts (user_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_ledger_entries_ledger CHECK (
        ledger IN ('assets', 'equity', 'trading', 'fees', 'interest', 'adjustments')
    ),
    CONSTRAINT ck_ledger_entries_amount CHECK (amount NOT IN (0, 'NaN'))
)
"""

# Trigger functions name the schema: a temporary table of the caller's must not stand in.
# Per user, because a journal's id is anybody's guess. No sum means that the rows are out of sight:
# that is refused too.
CHECK_JOURNAL = """
CREATE FUNCTION check_journal() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    total numeric := (
        SELECT sum(amount) FROM public.ledger_entries
        WHERE user_id = NEW.user_id AND journal_id = NEW.journal_id AND asset_id = NEW.asset_id
    );
BEGIN
    IF total IS DISTINCT FROM 0 THEN
        RAISE 'journal % does not balance: its entries of asset % add up to %, not 0',
            NEW.journal_id, NEW.asset_id, total
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_ledger_entries_journal';
    END IF;
    RETURN NULL;
END $$
"""

# In place of a foreign key, which would have to change the entry when the fill goes to the archive.
CHECK_FILL = """
CREATE FUNCTION check_entry_fill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM public.fills WHERE user_id = NEW.user_id AND id = NEW.fill_id
    ) THEN
        RAISE 'an entry is of fill %, which is not there', NEW.fill_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'fk_ledger_entries_fills';
    END IF;
    RETURN NEW;
END $$
"""

KEEP_BALANCE = """
CREATE FUNCTION update_account_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.trading_accounts account
    SET balance = account.balance + moved.amount
    FROM (
        SELECT user_id, account_id, asset_id, sum(amount) AS amount FROM entries
        WHERE ledger = 'assets' GROUP BY user_id, account_id, asset_id
    ) moved
    WHERE account.id = moved.account_id AND account.user_id = moved.user_id
        AND account.currency_asset_id = moved.asset_id;
    RETURN NULL;
END $$
"""

POSITIONS = """
CREATE TABLE positions (
    id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_positions PRIMARY KEY,
    user_id uuid NOT NULL DEFAULT current_user_id(),
    account_id uuid NOT NULL,
    symbol_id integer NOT NULL CONSTRAINT fk_positions_symbols REFERENCES symbols,
    strategy_id uuid,
    exchange_position_id text,
    side text NOT NULL,
    status text NOT NULL DEFAULT 'open',
    quantity numeric(38, 18) NOT NULL,
    entry_price numeric(38, 18) NOT NULL,
    current_price numeric(38, 18) NOT NULL,
    exit_price numeric(38, 18),
    unrealized_pnl numeric(38, 18) NOT NULL,
    pnl numeric(38, 18),
    pnl_percentage double precision,
    fees numeric(38, 18) NOT NULL DEFAULT 0,
    stop_loss numeric(38, 18),
    take_profit numeric(38, 18),
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT fk_positions_trading_accounts FOREIGN KEY (user_id, account_id)
        REFERENCES trading_accounts (user_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_positions_strategies FOREIGN KEY (user_id, strategy_id)
        REFERENCES strategies (user_id, id) ON DELETE SET NULL (strategy_id),
    CONSTRAINT ck_positions_side CHECK (side IN ('long', 'short')),
    CONSTRAINT ck_positions_status CHECK (status IN ('open', 'partial', 'closed')),
    CONSTRAINT ck_positions_quantity CHECK (quantity > 0),
    CONSTRAINT ck_positions_prices CHECK (
        entry_price > 0 AND current_price > 0 AND exit_price > 0 AND stop_loss > 0
        AND take_profit > 0
    ),
    CONSTRAINT ck_positions_pnl_percentage CHECK (abs(pnl_percentage) < 'Infinity'),
    CONSTRAINT ck_positions_not_nan CHECK ('NaN' NOT IN (
        quantity, entry_price, current_price, exit_price, pnl, fees, stop_loss, take_profit
    )),
    CONSTRAINT ck_positions_closed CHECK (
        (closed_at IS NOT NULL) = (status = 'closed') AND closed_at >= opened_at
    ),
    CONSTRAINT ck_positions_exit_price CHECK (
        CASE status WHEN 'open' THEN exit_price IS NULL
            WHEN 'closed' THEN exit_price IS NOT NULL ELSE true END
    )
)
"""

UPDATE_PNL = """
CREATE FUNCTION update_position_pnl() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.unrealized_pnl = CASE
        WHEN NEW.status = 'closed' THEN 0
        WHEN NEW.side = 'short' THEN (NEW.entry_price - NEW.current_price) * NEW.quantity
        ELSE (NEW.current_price - NEW.entry_price) * NEW.quantity END;
    RETURN NEW;
END $$
"""

ACTIVE_PORTFOLIO = """
CREATE VIEW active_portfolio WITH (security_invoker = true) AS
SELECT positions.user_id,
    trading_accounts.mode,
    exchanges.code AS exchange,
    symbols.id AS symbol_id,
    symbols.symbol,
    sum(CASE WHEN positions.side = 'long' THEN positions.quantity ELSE -positions.quantity END)
        AS net_position,
    sum(positions.unrealized_pnl) AS total_pnl,
    sum(positions.entry_price * positions.quantity) / sum(positions.quantity) AS avg_entry_price
FROM positions
JOIN trading_accounts ON trading_accounts.id = positions.account_id
JOIN symbols ON symbols.id = positions.symbol_id
JOIN exchanges ON exchanges.id = symbols.exchange_id
WHERE positions.status <> 'closed'
GROUP BY positions.user_id, trading_accounts.mode, exchanges.id, symbols.id
"""


def upgrade() -> None:
    create_strategies()
    _create_accounts()
    create_orders()
    _create_fills()
    _create_ledger()
    _create_positions()
    op.execute(ACTIVE_PORTFOLIO)
    grant("active_portfolio", "SELECT")


def _create_accounts() -> None:
    op.execute(TRADING_ACCOUNTS)
    op.execute("""
        CREATE UNIQUE INDEX uq_trading_accounts_living_name
        ON trading_accounts (user_id, lower(name)) WHERE deleted_at IS NULL
    """)
    op.execute("CREATE INDEX idx_trading_accounts_currency ON trading_accounts (currency_asset_id)")
    restrict_rows("trading_accounts")
    audit_rows("trading_accounts", derived=("balance", "updated_at"))
    touch_on_update("trading_accounts")
    grant("trading_accounts", "SELECT", "INSERT", "UPDATE")


def _create_fills() -> None:
    op.execute(FILLS)
    op.execute("CREATE INDEX idx_fills_account_time ON fills (account_id, executed_at)")
    op.execute("CREATE INDEX idx_fills_symbol_time ON fills (symbol_id, executed_at)")
    op.execute("CREATE INDEX idx_fills_strategy_time ON fills (strategy_id, executed_at)")
    op.execute("CREATE INDEX idx_fills_order_id ON fills (order_id)")
    op.execute("CREATE INDEX idx_fills_fee_asset_id ON fills (fee_asset_id)")
    op.execute("CREATE INDEX idx_fills_executed_at ON fills USING brin (executed_at)")
    restrict_rows("fills")
    audit_rows("fills")
    grant("fills", "SELECT", "INSERT")


def _create_ledger() -> None:
    op.execute(LEDGER_ENTRIES)
    op.execute("CREATE INDEX idx_ledger_entries_journal ON ledger_entries (journal_id, asset_id)")
    op.execute("""
        CREATE INDEX idx_ledger_entries_account
        ON ledger_entries (user_id, account_id, asset_id, effective_at)
    """)
    op.execute("CREATE INDEX idx_ledger_entries_asset_id ON ledger_entries (asset_id)")
    op.execute("CREATE INDEX idx_ledger_entries_fill_id ON ledger_entries (fill_id)")
    op.execute(
        "CREATE INDEX idx_ledger_entries_created_at ON ledger_entries USING brin (created_at)"
    )
    op.execute(CHECK_JOURNAL)
    op.execute("""
        CREATE CONSTRAINT TRIGGER check_journal
        AFTER INSERT OR UPDATE OF user_id, journal_id, asset_id, amount ON ledger_entries
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_journal()
    """)
    op.execute(CHECK_FILL)
    op.execute("""
        CREATE TRIGGER check_entry_fill BEFORE INSERT OR UPDATE OF user_id, fill_id
        ON ledger_entries
        FOR EACH ROW WHEN (NEW.fill_id IS NOT NULL) EXECUTE FUNCTION check_entry_fill()
    """)
    op.execute(KEEP_BALANCE)
    op.execute("""
        CREATE TRIGGER update_account_balance AFTER INSERT ON ledger_entries
        REFERENCING NEW TABLE AS entries
        FOR EACH STATEMENT EXECUTE FUNCTION update_account_balance()
    """)
    restrict_rows("ledger_entries")
    grant("ledger_entries", "SELECT", "INSERT")


def _create_positions() -> None:
    op.execute(POSITIONS)
    op.execute("""
        CREATE UNIQUE INDEX uq_positions_open ON positions (account_id, symbol_id, side)
        WHERE status <> 'closed'
    """)
    op.execute("""
        CREATE INDEX idx_positions_active ON positions (user_id, symbol_id)
        WHERE status <> 'closed'
    """)
    op.execute("CREATE INDEX idx_positions_symbol_status ON positions (symbol_id, status)")
    op.execute("CREATE INDEX idx_positions_account ON positions (account_id, opened_at)")
    op.execute("CREATE INDEX idx_positions_strategy ON positions (strategy_id, opened_at)")
    op.execute(UPDATE_PNL)
    op.execute("""
        CREATE TRIGGER trigger_update_position_pnl BEFORE INSERT OR UPDATE ON positions
        FOR EACH ROW EXECUTE FUNCTION update_position_pnl()
    """)
    restrict_rows("positions")
    audit_rows("positions", derived=("current_price", "unrealized_pnl", "updated_at"))
    touch_on_update("positions")
    grant("positions", "SELECT", "INSERT", "UPDATE")


def downgrade() -> None:
    op.execute("DROP VIEW active_portfolio")
    op.execute("DROP TABLE positions")
    op.execute("DROP TABLE ledger_entries")
    op.execute("DROP TABLE fills")
    drop_orders()
    op.execute("DROP TABLE trading_accounts")
    drop_strategies()
    for function in (
        "update_position_pnl",
        "update_account_balance",
        "check_entry_fill",
        "check_journal",
    ):
        op.execute(f"DROP FUNCTION {function}")
