"""What many portfolios hold and what was measured of them, in one pass over the ledger each way."""

from alembic import op

from seawall.db.engine import WORKER_ROLE
from seawall.migrations.versions.v0023_batch_risk import LEDGER

revision = "0026"
down_revision = "0025"
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
KEPT = ("observations", "total_value_usd", *FIGURES)

# The whole of what is asked of a holding, so that its row is not read: there are twenty for each
# portfolio, and they lie apart.
LEDGER_INDEX = """
CREATE INDEX idx_holdings_ledger ON holdings (portfolio_id)
INCLUDE (asset_id, quantity, total_invested_usd)
WHERE exchange_source = 'manual' AND wallet_address IS NULL
"""

# Values are rounded half to even, as core.money does it: a report has the same to the last digit.
VALUE = "worth.usd"
ROUNDED = f"""CASE WHEN {VALUE} - trunc({VALUE}, 18) = 0.0000000000000000005
        AND mod(trunc({VALUE}, 18), 0.000000000000000002) = 0
    THEN trunc({VALUE}, 18) ELSE round({VALUE}, 18) END"""

# `packed` holds an asset's number and its quantity, one after the other, in the network's order of
# bytes. `elsewhere` says that the stored holdings are not what the portfolio held then, as far as
# was known.
PORTFOLIO_WEIGHTS = f"""
CREATE FUNCTION portfolio_weights(
    wanted uuid[], as_of timestamptz, known timestamptz, cash integer, asset_ids integer[],
    prices numeric[]
) RETURNS TABLE (
    place integer, elsewhere boolean, held integer, packed bytea, total_value_usd numeric,
    total_invested_usd numeric, cash_usd numeric
)
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
            ) AS moved
        FROM unnest(wanted) WITH ORDINALITY AS given (id, place)
        CROSS JOIN LATERAL (
            SELECT p.id FROM portfolios p WHERE p.id = given.id AND p.deleted_at IS NULL OFFSET 0
        ) p
    )
    SELECT h.place, h.moved OR count(h.asset_id) = 0,
        CASE WHEN h.moved THEN 0 ELSE count(h.asset_id)::integer END,
        string_agg(
            int4send(h.asset_id) || float8send(h.quantity::double precision), ''
        ) FILTER (WHERE NOT h.moved),
        CASE WHEN count(h.asset_id) = count(price.usd) THEN sum({ROUNDED}) END,
        coalesce(sum(h.total_invested_usd), 0),
        coalesce(sum(h.quantity) FILTER (WHERE h.asset_id = cash), 0)
    FROM (
        -- Apart, or the planner joins the prices to each portfolio by itself.
        SELECT a.place, a.moved, h.asset_id, h.quantity, h.total_invested_usd
        FROM asked a LEFT JOIN holdings h ON h.portfolio_id = a.id AND {LEDGER} OFFSET 0
    ) h
    LEFT JOIN unnest(asset_ids, prices) AS price (asset_id, usd) ON price.asset_id = h.asset_id
    CROSS JOIN LATERAL (SELECT h.quantity * price.usd AS usd OFFSET 0) worth
    GROUP BY h.place, h.moved;
END $$
"""  # noqa: S608 - the only texts put in are the conditions above

KEEP_PORTFOLIO_RISK = f"""
CREATE FUNCTION keep_portfolio_risk(
    as_of timestamptz, known timestamptz, asked_window integer, asked_confidence double precision,
    asked_benchmark text, explained jsonb[], wanted uuid[], owners uuid[], seen integer[],
    why integer[], held integer[], total numeric[], invested numeric[], cash numeric[],
    {", ".join(f"new_{name} double precision[]" for name in FIGURES)}
) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH measured AS MATERIALIZED (
        SELECT given.portfolio_id, given.user_id, given.observations, given.held,
            explained[given.why] AS details, given.total_value_usd, given.invested, given.money,
            {", ".join(f"given.{name}" for name in FIGURES)}
        FROM unnest(
            wanted, owners, seen, why, held, total, invested, cash,
            {", ".join(f"new_{name}" for name in FIGURES)}
        ) AS given (
            portfolio_id, user_id, observations, why, held, total_value_usd, invested, money,
            {", ".join(FIGURES)}
        )
    ), kept AS (
        INSERT INTO portfolio_risk_metrics (
            time, user_id, portfolio_id, known_at, window_days, confidence, benchmark, details,
            {", ".join(KEPT)}
        )
        SELECT as_of, m.user_id, m.portfolio_id, known, asked_window, asked_confidence,
            asked_benchmark, m.details, {", ".join(f"m.{name}" for name in KEPT)}
        FROM measured m
        LEFT JOIN LATERAL (
            SELECT true AS found, {", ".join(f"r.{name}" for name in KEPT)}
            FROM portfolio_risk_metrics r
            WHERE r.portfolio_id = m.portfolio_id AND r.time = as_of
                AND r.window_days = asked_window AND r.confidence = asked_confidence
                AND r.benchmark = asked_benchmark AND r.parameters = '{{}}'
            ORDER BY r.known_at DESC LIMIT 1
        ) r ON true
        WHERE r.found IS NULL OR ({", ".join(f"r.{name}" for name in KEPT)}) IS DISTINCT FROM (
            {", ".join(f"m.{name}" for name in KEPT)}
        )
        RETURNING portfolio_id
    ), snapped AS (
        INSERT INTO portfolio_snapshots AS s (
            portfolio_id, user_id, time, known_at, total_value_usd, total_invested_usd, cash_usd,
            holdings_count
        )
        SELECT m.portfolio_id, m.user_id, as_of, known, m.total_value_usd, m.invested, m.money,
            m.held
        FROM kept k JOIN measured m USING (portfolio_id) WHERE m.total_value_usd IS NOT NULL
        ON CONFLICT ON CONSTRAINT pk_portfolio_snapshots DO UPDATE SET
            known_at = excluded.known_at, total_value_usd = excluded.total_value_usd,
            total_invested_usd = excluded.total_invested_usd, cash_usd = excluded.cash_usd,
            holdings_count = excluded.holdings_count
    )
    SELECT count(*)::integer FROM kept
$$
"""  # noqa: S608 - as above

DOORS = {"portfolio_weights": PORTFOLIO_WEIGHTS, "keep_portfolio_risk": KEEP_PORTFOLIO_RISK}


def upgrade() -> None:
    op.execute(LEDGER_INDEX)
    for name, function in DOORS.items():
        op.execute(function)
        op.execute(f"GRANT EXECUTE ON FUNCTION {name} TO {WORKER_ROLE}")


def downgrade() -> None:
    for name in reversed(DOORS):
        op.execute(f"DROP FUNCTION {name}")
    op.execute("DROP INDEX idx_holdings_ledger")
