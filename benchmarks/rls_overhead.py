"""What row security costs: queries under it beside the same with the user in their conditions.

Under it a query runs as the application, whom the policies show one user's rows; beside it as a
role with the same rights that passes the policies, with `user_id =` in the query. Both are prepared
and run in turns, of another user each time. A ratio is the time with row security over the time
without: of the whole statement as its sender waits for it, and, `-executor`, of what the server's
executor says that it took, to which row security adds a microsecond or so whatever the query.
There are as many users as in the last of the scales of `query-targets`.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from time import perf_counter
from uuid import UUID

import uvloop
from asyncpg import Connection, connect
from asyncpg.prepared_stmt import PreparedStatement
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from benchmarks.installation import installation
from benchmarks.result import Result
from benchmarks.scales import scales
from benchmarks.statements import as_application, bind, sent_by
from seawall.core.time import now
from seawall.db.database import Location, open_admin
from seawall.db.engine import create_engine, libpq_url
from seawall.db.session import transaction
from seawall.ops.seeds.ledgers import portfolio_id, user_id
from seawall.ops.seeds.perf import seed_perf
from seawall.portfolios import store

DAYS = 365
"""Of prices, which no tenant's query reads."""
RUNS, WARM_UP = 2_000, 50
BINDINGS = 2_000
MOST_BINDING = 0.15
"""What binding may cost a transaction, in ms."""
# What a seed does not have: alerts, an account with positions, notifications, and a history.
FILL = (
    """
    INSERT INTO alerts (user_id, alert_type, asset_id, condition_type, threshold_value, title,
        status, triggered_at, last_triggered_at, created_at)
    SELECT users.id, 'price', assets.id, 'price_above', 100, 'above 100',
        CASE WHEN assets.id % 3 = 0 THEN 'triggered' ELSE 'active' END,
        CASE WHEN assets.id % 3 = 0 THEN now() END, CASE WHEN assets.id % 3 = 0 THEN now() END,
        now() - random() * interval '300 days'
    FROM users CROSS JOIN (SELECT id FROM assets WHERE is_simulated ORDER BY id LIMIT 12) assets
    """,
    """
    INSERT INTO trading_accounts (user_id, name, currency_asset_id, initial_balance)
    SELECT users.id, 'Paper', assets.id, 10000 FROM users, assets WHERE symbol = 'USD'
    """,
    """
    INSERT INTO positions (user_id, account_id, symbol_id, side, status, quantity, entry_price,
        current_price, exit_price, unrealized_pnl, opened_at, closed_at)
    SELECT user_id, trading_accounts.id, symbols.id, 'long',
        CASE WHEN is_open THEN 'open' ELSE 'closed' END, 1, 10, 11,
        CASE WHEN is_open THEN NULL ELSE 11 END, 0, now() - interval '9 days',
        CASE WHEN is_open THEN NULL ELSE now() END
    FROM trading_accounts CROSS JOIN symbols CROSS JOIN (VALUES (true), (false)) AS each (is_open)
    WHERE symbols.id % 5 = 0 OR NOT is_open
    """,
    """
    INSERT INTO notifications (user_id, type, title, message, created_at, read_at)
    SELECT id, 'alert', 'above 100', 'BTC is above 100', moment,
        CASE WHEN number > 10 THEN moment + interval '1 day' END
    FROM users CROSS JOIN generate_series(1, 60) AS number
    CROSS JOIN LATERAL (SELECT now() - number * interval '1 day' - random() * interval '9 hours')
        AS told (moment)
    """,
    "SELECT ensure_chunks('portfolio_snapshots', now() - interval '120 days', now())",
    """
    INSERT INTO portfolio_snapshots (user_id, portfolio_id, time, known_at, total_value_usd,
        total_invested_usd, cash_usd, holdings_count)
    SELECT user_id, id, day, day, total_value_usd, total_invested_usd, 0, 20
    FROM generate_series(date_trunc('day', now()) - interval '120 days', now(), interval '1 day')
        AS day CROSS JOIN portfolios WHERE is_primary
    """,
)
PASSING_ROLE = "seawall_benchmark"
"""May read what the application may; its rights are checked too, as a superuser's are not."""
ASKED = ("portfolios", "holdings", "transactions", "assets", "exchanges", "symbols")
AUDITED = ("alerts", "trading_accounts", "positions")
FILLED = (*AUDITED, "notifications", "portfolio_snapshots")
VIEWS = ("active_portfolio",)


@dataclass(frozen=True, slots=True)
class Query:
    """A tenant's query as the application sends it; `owner` is the column to filter by besides."""

    name: str
    sql: str
    owner: str

    def filtered(self, arguments: int) -> str:
        """Return the query with the user among its conditions, as the last argument."""
        before, where, after = self.sql.partition("WHERE ")
        return f"{before}{where}{self.owner} = ${arguments + 1}::uuid AND {after}"


WRITTEN = (
    Query(
        "portfolios-with-values",
        "SELECT p.id, p.name, sum(h.current_value_usd), count(h.id)"
        " FROM portfolios p LEFT JOIN holdings h ON h.portfolio_id = p.id"
        " WHERE p.deleted_at IS NULL GROUP BY p.id, p.name",
        "p.user_id",
    ),
    Query(
        "active-alerts",
        "SELECT * FROM alerts WHERE status = 'active' ORDER BY created_at DESC",
        "alerts.user_id",
    ),
    Query(
        "active-positions",
        "SELECT * FROM positions WHERE status <> 'closed' ORDER BY opened_at",
        "positions.user_id",
    ),
    Query("active-portfolio", "SELECT * FROM active_portfolio WHERE true", "user_id"),
    Query(
        "unread-notifications",
        "SELECT * FROM notifications WHERE read_at IS NULL ORDER BY created_at DESC LIMIT 20",
        "notifications.user_id",
    ),
)
OF_PORTFOLIO = (
    Query(
        "snapshots-of-portfolio",
        "SELECT time, total_value_usd FROM portfolio_snapshots"
        " WHERE portfolio_id = $1::uuid AND time >= now() - interval '90 days' ORDER BY time",
        "portfolio_snapshots.user_id",
    ),
)


def rls_overhead() -> list[Result]:
    """Measure each query with and without row security, and binding a transaction to a user."""
    with installation() as location:
        return uvloop.run(_measure(location, scales()[-1]))


async def _measure(location: Location, users: int) -> list[Result]:
    await seed_perf(location, users, now(), lambda _step, _done, _total: None, days=DAYS)
    await _fill(location)
    engine = create_engine(location.url)
    try:
        results: list[Result] = []
        for query, of_portfolio in await _queries(engine):
            results += await _overhead(location, users, query, of_portfolio=of_portfolio)
        results.append(await _binding(engine))
    finally:
        await engine.dispose()
    return results


async def _fill(location: Location) -> None:
    async with open_admin(location) as admin:
        async with admin.begin() as connection:
            await connection.execute(text(f"CREATE ROLE {PASSING_ROLE} BYPASSRLS"))
            await connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {PASSING_ROLE}"))
            for table in (*ASKED, *FILLED, *VIEWS):
                await connection.execute(text(f"GRANT SELECT ON {table} TO {PASSING_ROLE}"))
            for table in AUDITED:
                await connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER audit_{table}"))
            for statement in FILL:
                await connection.execute(text(statement))
        automatic = admin.execution_options(isolation_level="AUTOCOMMIT")
        async with automatic.connect() as connection:
            for table in FILLED:
                await connection.execute(text(f"VACUUM (ANALYZE) {table}"))


async def _queries(engine: AsyncEngine) -> list[tuple[Query, bool]]:
    """Return the queries, those of the stores as they send them, and which ask of a portfolio."""
    portfolio = portfolio_id(0, 0)
    sent = {
        "portfolios-of-user": (store.list_portfolios, "portfolios", False),
        "holdings-of-portfolio": (
            lambda session: store.list_holdings(session, portfolio),
            "holdings",
            True,
        ),
        "transactions-of-portfolio": (
            lambda session: store.list_transactions(session, portfolio),
            "transactions",
            True,
        ),
    }
    found = []
    for name, (work, table, of_portfolio) in sent.items():
        statement = await sent_by(engine, user_id(0), work)
        found.append((Query(name, statement.query, f"{table}.user_id"), of_portfolio))
    return [*found, *((each, True) for each in OF_PORTFOLIO), *((each, False) for each in WRITTEN)]


async def _overhead(
    location: Location, users: int, query: Query, *, of_portfolio: bool
) -> Iterator[Result]:
    """Time the query with and without row security, in turns."""
    draw = random.Random(1)  # noqa: S311 - nothing secret is drawn
    app = await as_application(location.url, user_id(0))
    admin = await connect(libpq_url(location.admin_url))
    await admin.execute(f"SET ROLE {PASSING_ROLE}; SET jit = off")
    try:
        secured = await _prepare(app, query.sql)
        filtered = await _prepare(admin, query.filtered(int(of_portfolio)))
        for _ in range(WARM_UP + RUNS):
            number = draw.randrange(users)
            user = user_id(number)
            arguments = [portfolio_id(number, 0)] if of_portfolio else []
            await bind(app, user)
            ways = [(secured, arguments), (filtered, [*arguments, user])]
            rows = [await way.run(given) for way, given in draw.sample(ways, 2)]
            assert rows[0] == rows[1] > 0
    finally:
        await app.close()
        await admin.close()
    name, peer = f"rls-overhead-{query.name}", "with a filter"
    ours, theirs = median(secured.whole[WARM_UP:]), median(filtered.whole[WARM_UP:])
    inner, their_inner = _middle(secured.inner), _middle(filtered.inner)
    return iter(
        [
            Result(name, ours, "ms", peer, theirs, ours / theirs),
            Result(f"{name}-executor", inner, "ms", peer, their_inner, inner / their_inner),
        ]
    )


def _middle(times: Sequence[float]) -> float:
    """Return the mean of the middle half, which shows what a median of rounded times hides."""
    ordered = sorted(times[WARM_UP:])
    quarter = len(ordered) // 4
    return fmean(ordered[quarter:-quarter])


@dataclass(frozen=True, slots=True)
class _Way:
    """One of the two ways to ask, with the ms of each run: as a whole, and in the executor."""

    connection: Connection
    statement: PreparedStatement
    whole: list[float] = field(default_factory=list)
    inner: list[float] = field(default_factory=list)

    async def run(self, arguments: Sequence[UUID]) -> int:
        """Run the statement, then have the server time it; return how many rows there are."""
        began = perf_counter()
        rows = await self.statement.fetch(*arguments)
        self.whole.append((perf_counter() - began) * 1e3)
        quoted = ", ".join(f"'{each}'" for each in arguments)
        given = f"({quoted})" if arguments else ""
        plan = await self.connection.fetchval(
            f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE measured{given}"
        )
        self.inner.append(float(json.loads(plan)[0]["Execution Time"]))
        return len(rows)


async def _prepare(connection: Connection, sql: str) -> _Way:
    await connection.execute(f"PREPARE measured AS {sql}")
    return _Way(connection, await connection.prepare(sql))


async def _binding(engine: AsyncEngine) -> Result:
    """Return what the median transaction takes longer by being bound, beside the limit."""
    bound, unbound = [], []
    for _ in range(WARM_UP + BINDINGS):
        began = perf_counter()
        async with transaction(engine, user_id(0)) as session:
            await session.execute(text("SELECT 1"))
        between = perf_counter()
        async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            await session.connection()
            await session.execute(text("SELECT 1"))
        bound.append((between - began) * 1e3)
        unbound.append((perf_counter() - between) * 1e3)
    cost = median(bound[WARM_UP:]) - median(unbound[WARM_UP:])
    return Result("rls-binding", cost, "ms", "the limit", MOST_BINDING, MOST_BINDING / cost)
