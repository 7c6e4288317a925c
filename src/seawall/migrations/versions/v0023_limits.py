"""More that a user may limit, and which limits stop trading while they are broken."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

ADDED = ("max_weight", "max_var_95", "max_expected_shortfall", "max_volatility", "max_leverage")
BEFORE = ("max_position_value", "max_daily_loss", "max_drawdown", "max_orders_per_hour")


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


def downgrade() -> None:
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
