"""Risk of every user's portfolios at once: more figures, rows without details, whom to measure.

What is measured for everybody is read and kept by functions that the worker alone may call.
"""

from alembic import op

from seawall.db.engine import WORKER_ROLE
from seawall.migrations.operations import open_to_doors

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

LEDGER = "h.exchange_source = 'manual' AND h.wallet_address IS NULL"

# Two statements, for no plan is good at both: everybody, and whoever holds one asset.
PORTFOLIOS_TO_MEASURE = f"""
CREATE FUNCTION portfolios_to_measure(held integer[])
RETURNS TABLE (portfolio_id uuid, user_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF held IS NULL THEN
        RETURN QUERY
        SELECT p.id, p.user_id FROM portfolios p
        JOIN users u ON u.id = p.user_id AND u.deleted_at IS NULL
        CROSS JOIN LATERAL (
            SELECT FROM transactions t WHERE t.portfolio_id = p.id LIMIT 1
        ) happened
        WHERE p.deleted_at IS NULL ORDER BY p.id;
    ELSE
        RETURN QUERY
        SELECT p.id, p.user_id
        FROM (
            SELECT DISTINCT h.portfolio_id FROM holdings h
            WHERE {LEDGER} AND h.asset_id = ANY (held)
        ) w
        JOIN portfolios p ON p.id = w.portfolio_id AND p.deleted_at IS NULL
        JOIN users u ON u.id = p.user_id AND u.deleted_at IS NULL
        ORDER BY p.id;
    END IF;
END $$
"""  # noqa: S608 - the only text put in is a condition above

ASSETS_HELD = f"""
CREATE FUNCTION assets_held() RETURNS SETOF integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT a.id FROM assets a
    WHERE EXISTS (SELECT FROM holdings h WHERE h.asset_id = a.id AND {LEDGER})
$$
"""  # noqa: S608 - as above

DOORS = ("assets_held", "portfolios_to_measure")
READ = ("portfolios", "holdings", "transactions", "portfolio_risk_metrics", "portfolio_snapshots")


def upgrade() -> None:
    for column in ("downside_deviation", "calmar_ratio", "value_at_risk"):
        op.execute(f"ALTER TABLE portfolio_risk_metrics ADD {column} double precision")
    op.execute("ALTER TABLE portfolio_risk_metrics ALTER correlation_matrix DROP NOT NULL")
    for table in READ:
        open_to_doors(table)
    # To be locked, never to be changed: no row passes a check that is always false.
    open_to_doors("portfolios", "UPDATE")
    op.execute("ALTER POLICY door_update ON portfolios WITH CHECK (false)")
    open_to_doors("portfolio_risk_metrics", "INSERT")
    open_to_doors("portfolio_snapshots", "INSERT")
    open_to_doors("portfolio_snapshots", "UPDATE")
    for function in (ASSETS_HELD, PORTFOLIOS_TO_MEASURE):
        op.execute(function)
    for door in DOORS:
        op.execute(f"GRANT EXECUTE ON FUNCTION {door} TO {WORKER_ROLE}")


def downgrade() -> None:
    for door in reversed(DOORS):
        op.execute(f"DROP FUNCTION {door}")
    op.execute("DROP POLICY door_update ON portfolio_snapshots")
    op.execute("DROP POLICY door_insert ON portfolio_snapshots")
    op.execute("DROP POLICY door_insert ON portfolio_risk_metrics")
    op.execute("DROP POLICY door_update ON portfolios")
    # What was measured in a batch can be measured again; before, every row had its matrix.
    op.execute("ALTER TABLE portfolio_risk_metrics NO FORCE ROW LEVEL SECURITY")
    op.execute("""
        UPDATE portfolio_risk_metrics SET correlation_matrix = '{"assets": [], "values": []}'
        WHERE correlation_matrix IS NULL
    """)
    op.execute("ALTER TABLE portfolio_risk_metrics FORCE ROW LEVEL SECURITY")
    for table in reversed(READ):
        op.execute(f"DROP POLICY door_select ON {table}")
    op.execute("ALTER TABLE portfolio_risk_metrics ALTER correlation_matrix SET NOT NULL")
    for column in ("value_at_risk", "calmar_ratio", "downside_deviation"):
        op.execute(f"ALTER TABLE portfolio_risk_metrics DROP {column}")
