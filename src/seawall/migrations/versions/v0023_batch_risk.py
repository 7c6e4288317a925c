"""Risk of every user's portfolios at once: two figures more, rows without details, the doors.

What is measured for everybody is read and kept by functions that the worker alone may call.
"""

from alembic import op

from seawall.db.engine import WORKER_ROLE
from seawall.migrations.operations import open_to_doors

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

FIGURES = (
    "volatility",
    "downside_deviation",
    "value_at_risk",
    "var_95",
    "var_99",
    "expected_shortfall",
    "sharpe_ratio",
    "sortino_ratio",
    "calmar_ratio",
    "max_drawdown",
    "beta",
    "correlation_btc",
    "correlation_sp500",
    "skewness",
    "kurtosis",
    "herfindahl_index",
    "effective_n",
)
LEDGER = "h.exchange_source = 'manual' AND h.wallet_address IS NULL"

PORTFOLIOS_TO_MEASURE = f"""
CREATE FUNCTION portfolios_to_measure(held integer[])
RETURNS TABLE (portfolio_id uuid, user_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT p.id, p.user_id FROM portfolios p
    WHERE p.deleted_at IS NULL
        AND EXISTS (SELECT FROM users u WHERE u.id = p.user_id AND u.deleted_at IS NULL)
        AND CASE WHEN held IS NULL
            THEN EXISTS (SELECT FROM transactions t WHERE t.portfolio_id = p.id)
            ELSE EXISTS (
                SELECT FROM holdings h
                WHERE h.portfolio_id = p.id AND {LEDGER} AND h.asset_id = ANY (held)
            )
        END
    ORDER BY p.id
$$
"""  # noqa: S608 - the only text put in is a condition above

ASSETS_HELD = f"""
CREATE FUNCTION assets_held() RETURNS SETOF integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT a.id FROM assets a
    WHERE EXISTS (SELECT FROM holdings h WHERE h.asset_id = a.id AND {LEDGER})
$$
"""  # noqa: S608 - as above

# Asset 0 says that the stored holdings are not what the portfolio held then, as far as was known.
PORTFOLIO_WEIGHTS = f"""
CREATE FUNCTION portfolio_weights(wanted uuid[], as_of timestamptz, known timestamptz)
RETURNS TABLE (place integer, asset_id integer, quantity double precision)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- In one order, so that two who measure do not wait for each other.
    PERFORM FROM portfolios p WHERE p.id = ANY (wanted) ORDER BY p.id FOR UPDATE;
    RETURN QUERY
    WITH moved AS MATERIALIZED (
        SELECT DISTINCT t.portfolio_id FROM transactions t WHERE t.recorded_at > known
    ), asked AS MATERIALIZED (
        SELECT given.place::integer AS place, p.id, p.id IN (SELECT m.portfolio_id FROM moved m)
            OR EXISTS (
                SELECT FROM transactions t
                WHERE t.portfolio_id = p.id AND t.transaction_date > as_of
            ) OR NOT EXISTS (
                SELECT FROM holdings h WHERE h.portfolio_id = p.id AND {LEDGER}
            ) AS elsewhere
        FROM unnest(wanted) WITH ORDINALITY AS given (id, place)
        JOIN portfolios p ON p.id = given.id AND p.deleted_at IS NULL
    )
    SELECT a.place, h.asset_id, h.quantity::double precision
    FROM asked a JOIN holdings h ON h.portfolio_id = a.id AND {LEDGER}
    WHERE NOT a.elsewhere
    UNION ALL
    SELECT a.place, 0, 0 FROM asked a WHERE a.elsewhere;
END $$
"""  # noqa: S608 - as above

# Values are rounded half to even, as core.money does it: a report has the same to the last digit.
VALUE = "worth.usd"
ROUNDED = f"""CASE WHEN {VALUE} - trunc({VALUE}, 18) = 0.0000000000000000005
        AND mod(trunc({VALUE}, 18), 0.000000000000000002) = 0
    THEN trunc({VALUE}, 18) ELSE round({VALUE}, 18) END"""
KEPT = ("observations", "total_value_usd", *FIGURES)

KEEP_PORTFOLIO_RISK = f"""
CREATE FUNCTION keep_portfolio_risk(
    as_of timestamptz, known timestamptz, asked_window integer, asked_confidence double precision,
    asked_benchmark text, cash integer, asset_ids integer[], prices numeric[], explained jsonb[],
    wanted uuid[], seen integer[], why integer[],
    {", ".join(f"new_{name} double precision[]" for name in FIGURES)}
) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH measured AS MATERIALIZED (
        SELECT given.portfolio_id, given.observations, explained[given.why] AS details,
            {", ".join(f"nullif({name}, 'NaN') AS {name}" for name in FIGURES)}
        FROM unnest(
            wanted, seen, why, {", ".join(f"new_{name}" for name in FIGURES)}
        ) AS given (portfolio_id, observations, why, {", ".join(FIGURES)})
    ), valued AS MATERIALIZED (
        SELECT h.portfolio_id, count(*)::integer AS held,
            CASE WHEN count(*) = count(price.usd) THEN sum({ROUNDED}) END AS total_value_usd,
            coalesce(sum(h.total_invested_usd), 0) AS invested,
            coalesce(sum(h.quantity) FILTER (WHERE h.asset_id = cash), 0) AS money
        FROM measured m JOIN holdings h ON h.portfolio_id = m.portfolio_id AND {LEDGER}
        LEFT JOIN unnest(asset_ids, prices) AS price (asset_id, usd) ON price.asset_id = h.asset_id
        CROSS JOIN LATERAL (SELECT h.quantity * price.usd AS usd OFFSET 0) worth
        GROUP BY h.portfolio_id
    ), kept AS (
        INSERT INTO portfolio_risk_metrics (
            time, user_id, portfolio_id, known_at, window_days, confidence, benchmark, details,
            {", ".join(KEPT)}
        )
        SELECT as_of, p.user_id, m.portfolio_id, known, asked_window, asked_confidence,
            asked_benchmark, m.details, m.observations, v.total_value_usd,
            {", ".join(f"m.{name}" for name in FIGURES)}
        FROM measured m JOIN valued v USING (portfolio_id)
        JOIN portfolios p ON p.id = m.portfolio_id
        LEFT JOIN LATERAL (
            SELECT true AS found, {", ".join(f"r.{name}" for name in KEPT)}
            FROM portfolio_risk_metrics r
            WHERE r.portfolio_id = m.portfolio_id AND r.time = as_of
                AND r.window_days = asked_window AND r.confidence = asked_confidence
                AND r.benchmark = asked_benchmark
            ORDER BY r.known_at DESC LIMIT 1
        ) r ON true
        WHERE r.found IS NULL OR ({", ".join(f"r.{name}" for name in KEPT)}) IS DISTINCT FROM (
            m.observations, v.total_value_usd, {", ".join(f"m.{name}" for name in FIGURES)}
        )
        RETURNING portfolio_id, user_id
    ), snapped AS (
        INSERT INTO portfolio_snapshots AS s (
            portfolio_id, user_id, time, known_at, total_value_usd, total_invested_usd, cash_usd,
            holdings_count
        )
        SELECT k.portfolio_id, k.user_id, as_of, known, v.total_value_usd, v.invested, v.money,
            v.held
        FROM kept k JOIN valued v USING (portfolio_id) WHERE v.total_value_usd IS NOT NULL
        ON CONFLICT ON CONSTRAINT pk_portfolio_snapshots DO UPDATE SET
            known_at = excluded.known_at, total_value_usd = excluded.total_value_usd,
            total_invested_usd = excluded.total_invested_usd, cash_usd = excluded.cash_usd,
            holdings_count = excluded.holdings_count
    )
    SELECT count(*)::integer FROM kept
$$
"""  # noqa: S608 - as above

DOORS = ("assets_held", "portfolios_to_measure", "portfolio_weights", "keep_portfolio_risk")
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
    for function in (ASSETS_HELD, PORTFOLIOS_TO_MEASURE, PORTFOLIO_WEIGHTS, KEEP_PORTFOLIO_RISK):
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
