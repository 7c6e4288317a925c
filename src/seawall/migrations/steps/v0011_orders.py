"""The table of orders."""

from alembic import op

from seawall.migrations.operations import (
    audit_rows,
    grant,
    restrict_rows,
    touch_on_update,
)

ORDERS = """
CREATE TABLE orders (
    id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_orders PRIMARY KEY,
    user_id uuid NOT NULL DEFAULT current_user_id(),
    account_id uuid NOT NULL,
    symbol_id integer NOT NULL CONSTRAINT fk_orders_symbols REFERENCES symbols,
    strategy_id uuid,
    client_order_id text NOT NULL,
    exchange_order_id text,
    side text NOT NULL,
    type text NOT NULL,
    time_in_force text NOT NULL DEFAULT 'gtc',
    expires_at timestamptz,
    price numeric(38, 18),
    stop_price numeric(38, 18),
    quantity numeric(38, 18) NOT NULL,
    filled_quantity numeric(38, 18) NOT NULL DEFAULT 0,
    average_price numeric(38, 18),
    fees numeric(38, 18) NOT NULL DEFAULT 0,
    status text NOT NULL DEFAULT 'pending',
    status_reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT fk_orders_trading_accounts FOREIGN KEY (user_id, account_id)
        REFERENCES trading_accounts (user_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_orders_strategies FOREIGN KEY (user_id, strategy_id)
        REFERENCES strategies (user_id, id) ON DELETE SET NULL (strategy_id),
    CONSTRAINT uq_orders_tenant UNIQUE (user_id, id),
    CONSTRAINT uq_orders_client_order_id UNIQUE (account_id, client_order_id),
    CONSTRAINT uq_orders_exchange_order_id
        UNIQUE (account_id, symbol_id, exchange_order_id),
    CONSTRAINT ck_orders_ids CHECK (
        length(client_order_id) BETWEEN 1 AND 100
        AND length(exchange_order_id) BETWEEN 1 AND 100
    ),
    CONSTRAINT ck_orders_side CHECK (side IN ('buy', 'sell')),
    CONSTRAINT ck_orders_type CHECK (type IN (
        'market', 'limit', 'stop', 'stop_limit', 'take_profit', 'take_profit_limit'
    )),
    CONSTRAINT ck_orders_time_in_force
        CHECK (time_in_force IN ('gtc', 'ioc', 'fok', 'gtd')),
    CONSTRAINT ck_orders_expiry
        CHECK ((expires_at IS NOT NULL) = (time_in_force = 'gtd')),
    CONSTRAINT ck_orders_price CHECK (
        (price IS NOT NULL) = (type IN ('limit', 'stop_limit', 'take_profit_limit'))
    ),
    CONSTRAINT ck_orders_stop_price
        CHECK ((stop_price IS NOT NULL) = (type NOT IN ('market', 'limit'))),
    CONSTRAINT ck_orders_positive CHECK (
        price > 0 AND stop_price > 0 AND quantity > 0 AND average_price > 0
    ),
    CONSTRAINT ck_orders_not_nan CHECK ('NaN' NOT IN (
        price, stop_price, quantity, filled_quantity, average_price, fees
    )),
    CONSTRAINT ck_orders_status CHECK (status IN (
        'pending', 'submitted', 'open', 'partially_filled', 'filled', 'canceled',
        'rejected', 'expired', 'unknown'
    )),
    CONSTRAINT ck_orders_filled CHECK (
        filled_quantity BETWEEN 0 AND quantity AND CASE
            WHEN status IN ('pending', 'submitted', 'open', 'rejected')
                THEN filled_quantity = 0
            WHEN status = 'partially_filled'
                THEN filled_quantity > 0 AND filled_quantity < quantity
            WHEN status = 'filled' THEN filled_quantity = quantity
            WHEN status IN ('canceled', 'expired') THEN filled_quantity < quantity
            ELSE true
        END
    ),
    CONSTRAINT ck_orders_average_price
        CHECK ((average_price IS NOT NULL) = (filled_quantity > 0))
)
"""

# A pending order was surely never sent, so it becomes submitted before it is; an order of which
# the venue's answer is in doubt is unknown until the venue is asked again.
CHECK_ORDER = """
CREATE FUNCTION check_order_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    following text[] := CASE OLD.status
        WHEN 'pending' THEN '{submitted,canceled,rejected,expired}'
        WHEN 'submitted' THEN
            '{open,partially_filled,filled,canceled,rejected,expired,unknown}'
        WHEN 'open' THEN '{partially_filled,filled,canceled,expired,unknown}'
        WHEN 'partially_filled' THEN '{filled,canceled,expired,unknown}'
        WHEN 'unknown' THEN '{open,partially_filled,filled,canceled,rejected,expired}'
        ELSE '{}' END;
BEGIN
    IF NEW.status <> OLD.status AND NEW.status <> ALL (following) THEN
        RAISE 'order % is % and cannot become %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_orders_transition';
    ELSIF NEW.filled_quantity < OLD.filled_quantity THEN
        RAISE 'order % has filled % and cannot have filled % only',
            OLD.id, OLD.filled_quantity, NEW.filled_quantity
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_orders_transition';
    ELSIF following = '{}' AND (NEW.quantity, NEW.filled_quantity, NEW.average_price)
            IS DISTINCT FROM (OLD.quantity, OLD.filled_quantity, OLD.average_price) THEN
        RAISE 'order % is %: what it filled is final', OLD.id, OLD.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_orders_transition';
    ELSIF (NEW.user_id, NEW.account_id, NEW.symbol_id, NEW.side, NEW.type, NEW.client_order_id)
            IS DISTINCT FROM
            (OLD.user_id, OLD.account_id, OLD.symbol_id, OLD.side, OLD.type, OLD.client_order_id)
    THEN
        RAISE 'order % cannot become another order', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_orders_transition';
    END IF;
    RETURN NEW;
END $$
"""


def create_orders() -> None:
    """Create orders and their state machine."""
    op.execute(ORDERS)
    op.execute("CREATE INDEX idx_orders_symbol_time ON orders (symbol_id, created_at)")
    op.execute("CREATE INDEX idx_orders_strategy_time ON orders (strategy_id, created_at)")
    op.execute("""
        CREATE INDEX idx_orders_working ON orders (account_id, created_at)
        WHERE status IN ('pending', 'submitted', 'open', 'partially_filled', 'unknown')
    """)
    op.execute(CHECK_ORDER)
    op.execute("""
        CREATE TRIGGER check_order_change BEFORE UPDATE ON orders
        FOR EACH ROW EXECUTE FUNCTION check_order_change()
    """)
    restrict_rows("orders")
    audit_rows("orders")
    touch_on_update("orders")
    grant("orders", "SELECT", "INSERT", "UPDATE")


def drop_orders() -> None:
    """Drop what `create_orders` creates."""
    op.execute("DROP TABLE orders")
    op.execute("DROP FUNCTION check_order_change")
