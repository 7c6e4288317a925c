"""More that a user may limit, and which limits stop trading while they are broken."""

from alembic import op

from seawall.db.engine import WORKER_ROLE
from seawall.migrations.operations import open_to_doors

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

ADDED = ("max_weight", "max_var_95", "max_expected_shortfall", "max_volatility", "max_leverage")
BEFORE = ("max_position_value", "max_daily_loss", "max_drawdown", "max_orders_per_hour")

PORTFOLIOS_LIMITED = """
CREATE FUNCTION portfolios_limited(measured uuid[])
RETURNS TABLE (portfolio_id uuid, user_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    -- From the limits, of which there are few, and not from each of thousands of portfolios.
    SELECT DISTINCT p.id, p.user_id
    FROM risk_limits l JOIN portfolios p ON p.user_id = l.user_id
        AND (l.portfolio_id = p.id OR l.portfolio_id IS NULL)
    WHERE l.account_id IS NULL AND p.id = ANY (measured) AND p.deleted_at IS NULL
    ORDER BY p.id
$$
"""


def upgrade() -> None:
    names = _quoted((*BEFORE, *ADDED))
    op.execute(f"""
        ALTER TABLE risk_limits
            ADD max_weight double precision,
            ADD max_var_95 double precision,
            ADD max_expected_shortfall double precision,
            ADD max_volatility double precision,
            ADD max_leverage double precision,
            ADD blocking text[] NOT NULL DEFAULT '{{}}',
            ADD CONSTRAINT ck_risk_limits_max_weight CHECK (max_weight BETWEEN 0 AND 1),
            ADD CONSTRAINT ck_risk_limits_tail
                CHECK (max_var_95 BETWEEN 0 AND 1 AND max_expected_shortfall BETWEEN 0 AND 1),
            ADD CONSTRAINT ck_risk_limits_max_volatility
                CHECK (max_volatility >= 0 AND max_volatility < 'Infinity'),
            ADD CONSTRAINT ck_risk_limits_max_leverage
                CHECK (max_leverage >= 0 AND max_leverage < 'Infinity'),
            ADD CONSTRAINT ck_risk_limits_blocking CHECK (blocking <@ ARRAY[{names}])
    """)
    _name_limits((*BEFORE, *ADDED))
    open_to_doors("risk_limits")
    op.execute(PORTFOLIOS_LIMITED)
    op.execute(f"GRANT EXECUTE ON FUNCTION portfolios_limited TO {WORKER_ROLE}")


def downgrade() -> None:
    op.execute("DROP FUNCTION portfolios_limited")
    op.execute("DROP POLICY door_select ON risk_limits")
    columns = ", ".join(f"DROP {name}" for name in (*ADDED, "blocking"))
    op.execute(f"ALTER TABLE risk_limits {columns}")
    # What was broken is kept, as an event of no limit that there is.
    op.execute("ALTER TABLE risk_events NO FORCE ROW LEVEL SECURITY")
    op.execute(
        "UPDATE risk_events SET limit_id = NULL, limit_name = NULL"  # noqa: S608 - constants
        f" WHERE limit_name IN ({_quoted(ADDED)})"
    )
    op.execute("ALTER TABLE risk_events FORCE ROW LEVEL SECURITY")
    _name_limits(BEFORE)


def _name_limits(names: tuple[str, ...]) -> None:
    op.execute("ALTER TABLE risk_events DROP CONSTRAINT ck_risk_events_limit_name")
    op.execute(
        "ALTER TABLE risk_events ADD CONSTRAINT ck_risk_events_limit_name"
        f" CHECK (limit_name IN ({_quoted(names)}))"
    )


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)
