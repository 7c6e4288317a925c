"""Portfolios and their transactions."""

from alembic import op

from seawall.migrations.operations import grant, secure_rows

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE portfolios (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_portfolios PRIMARY KEY,
            user_id uuid NOT NULL
                CONSTRAINT fk_portfolios_users REFERENCES users ON DELETE CASCADE,
            name text NOT NULL,
            description text NOT NULL DEFAULT '',
            created_at timestamptz NOT NULL DEFAULT now(),
            deleted_at timestamptz,
            CONSTRAINT uq_portfolios_tenant UNIQUE (user_id, id),
            CONSTRAINT ck_portfolios_name_length CHECK (length(name) BETWEEN 1 AND 100)
        )
    """)
    op.execute("""
        CREATE UNIQUE INDEX uq_portfolios_living_name ON portfolios (user_id, lower(name))
        WHERE deleted_at IS NULL
    """)
    op.execute("""
        CREATE TABLE transactions (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_transactions PRIMARY KEY,
            user_id uuid NOT NULL,
            portfolio_id uuid NOT NULL,
            entry bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
            transaction_date timestamptz NOT NULL,
            transaction_type text NOT NULL,
            asset_id integer NOT NULL CONSTRAINT fk_transactions_assets REFERENCES assets,
            quantity numeric(38, 18) NOT NULL,
            price_usd numeric(38, 18),
            fee_usd numeric(38, 18) NOT NULL DEFAULT 0,
            notes text NOT NULL DEFAULT '',
            external_id text,
            recorded_at timestamptz NOT NULL,
            CONSTRAINT fk_transactions_portfolios FOREIGN KEY (user_id, portfolio_id)
                REFERENCES portfolios (user_id, id) ON DELETE CASCADE,
            CONSTRAINT uq_transactions_external_id UNIQUE (portfolio_id, external_id),
            CONSTRAINT ck_transactions_type CHECK (transaction_type IN (
                'buy', 'sell', 'transfer', 'stake', 'unstake', 'reward', 'fee', 'deposit',
                'withdrawal'
            )),
            CONSTRAINT ck_transactions_quantity CHECK (quantity > 0),
            CONSTRAINT ck_transactions_price CHECK (price_usd >= 0),
            CONSTRAINT ck_transactions_fee CHECK (fee_usd >= 0)
        )
    """)
    op.execute("""
        CREATE INDEX idx_transactions_history
        ON transactions (portfolio_id, transaction_date, entry)
    """)
    op.execute("CREATE INDEX idx_transactions_asset_id ON transactions (asset_id)")
    op.execute("CREATE INDEX idx_transactions_user_id ON transactions (user_id)")
    secure_rows("portfolios")
    secure_rows("transactions")
    grant("portfolios", "SELECT", "INSERT", "UPDATE")
    # What happened is only ever added to: a stored risk report has to be computable again.
    grant("transactions", "SELECT", "INSERT")


def downgrade() -> None:
    op.execute("DROP TABLE transactions")
    op.execute("DROP TABLE portfolios")
