"""The seed for measuring: as many users as are asked for, in a market of five years."""

from datetime import datetime

import numpy as np
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ForbiddenError, InvalidError
from seawall.core.time import DAY, to_micros
from seawall.db import bulk, upkeep
from seawall.db.bulk import Column
from seawall.db.database import Location, open_admin
from seawall.db.engine import OWNER_ROLE
from seawall.db.faults import translated
from seawall.db.series import CANDLES, PRICE_HISTORY, QUOTES
from seawall.db.session import raw_connection, transaction
from seawall.identity.owner import OWNER_ID
from seawall.market.tables import Asset
from seawall.ops.seeds import ledgers, perf_market
from seawall.ops.seeds.claim import Seed, SeedProfile, claim, grow
from seawall.ops.seeds.ledgers import Market
from seawall.ops.seeds.market import Advance
from seawall.ops.seeds.paths import WEEK_STEPS, Paths

MOST_USERS = 1_000_000
BATCH = 500
"""Users in one transaction: what is loaded when it is interrupted stays, and is gone on from."""
LEAST_DAYS = 60
AUDITED = ("users", "portfolios", "transactions")
"""Of the loaded tables those whose changes are logged, row by row, in a chain of each user."""
_LOADED = (
    "assets",
    "candles",
    "price_history",
    "quotes",
    "predictions",
    "users",
    "portfolios",
    "transactions",
    "lots",
    "holdings",
)
_PASSES = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")


async def seed_perf(
    location: Location,
    users: int,
    now: datetime,
    advance: Advance,
    *,
    days: int = perf_market.DAYS,
) -> tuple[Seed, int]:
    """Seed an empty database, or let its seed grow to so many users; return how many are new.

    Each has 5 portfolios of 20 holdings, each holding bought at once. Prices go back so many days
    from the last midnight.

    Raises:
        ConflictError: the database holds anything else.
        ForbiddenError: the administrative login is subject to row security.
    """
    if not 1 <= users <= MOST_USERS:
        raise InvalidError(f"A seed has 1 to {MOST_USERS:,} users, not {users:,}.")
    if days < LEAST_DAYS:
        raise InvalidError(f"A seed has prices of {LEAST_DAYS} days or more, not of {days}.")
    until = now - (now - datetime.min.replace(tzinfo=now.tzinfo)) % DAY
    wanted = Seed(SeedProfile.PERF, until, days=days)
    async with open_admin(location) as admin:
        await _require_passing(admin)
        held, paths = await _open(admin, wanted, advance)
        before = held.users
        while held.users < users:
            advance("Storing users", held.users, users)
            held = await _add_users(admin, held, paths, users)
        if before < held.users:
            await _finish(location, admin, advance)
    return held, held.users - before


async def _require_passing(admin: AsyncEngine) -> None:
    with translated():
        async with admin.connect() as connection:
            passes = await connection.scalar(_PASSES)
    if not passes:
        raise ForbiddenError(
            "The administrative login is subject to row security, past which no COPY loads.",
            hint="Put a superuser's login into SEAWALL_DATABASE__ADMIN_URL, or one with BYPASSRLS"
            f" that is a member of {OWNER_ROLE}.",
        )


async def _open(admin: AsyncEngine, wanted: Seed, advance: Advance) -> tuple[Seed, Paths]:
    """Take the database, and fill its market when it was empty."""
    async with transaction(admin, OWNER_ID) as session:
        held, is_new = await claim(session, wanted)
        advance("Making up prices", 0, 1)
        paths = perf_market.make_paths(held.until, held.days)
        if is_new:
            await perf_market.add_market(session, paths, advance)
    return held, paths


async def _add_users(admin: AsyncEngine, seed: Seed, paths: Paths, users: int) -> Seed:
    """Load the next users, and say so in the seed's own setting, in one transaction."""
    async with transaction(admin, OWNER_ID) as session:
        # Another may have loaded some of them meanwhile.
        held, _ = await claim(session, seed)
        last = min(users, held.users + BATCH)
        if held.users >= last:
            return held
        await _set_audit(session, "DISABLE")
        await _load(session, await _market(session, paths), held.users, last)
        await _set_audit(session, "ENABLE")
        return await grow(session, held, last)


async def _set_audit(session: AsyncSession, command: str) -> None:
    """Turn the audit triggers off or on for everybody; an error turns them on again.

    Nobody else writes to the tables meanwhile. The setting is logged that tells of the load.
    """
    for table in AUDITED:
        await session.execute(text(f"ALTER TABLE {table} {command} TRIGGER audit_{table}"))


async def _market(session: AsyncSession, paths: Paths) -> Market:
    rows = await session.execute(select(Asset.symbol, Asset.id))
    ids = {row.symbol: row.id for row in rows}
    return Market(paths, np.array([ids[coin.symbol] for coin in paths.coins]), WEEK_STEPS)


async def _load(session: AsyncSession, market: Market, first: int, last: int) -> None:
    connection = await raw_connection(session)
    buys = ledgers.make_buys(market, first, last)
    await connection.copy_records_to_table(
        "users",
        records=ledgers.user_rows(market, first, last),
        columns=ledgers.USER_COLUMNS,
    )
    await connection.copy_records_to_table(
        "portfolios",
        records=ledgers.portfolio_rows(market, buys),
        columns=ledgers.PORTFOLIO_COLUMNS,
    )
    until = np.datetime64(to_micros(market.paths.until), "us")
    for table, records, columns, constants in (
        (
            "transactions",
            ledgers.transaction_records(market, buys),
            ledgers.TRANSACTIONS,
            {Column("transaction_type", "S3"): b"buy", Column("recorded_at", "<M8[us]"): until},
        ),
        ("lots", ledgers.lot_records(market, buys), ledgers.LOTS, {Column("position", "<i4"): 1}),
        (
            "holdings",
            ledgers.holding_records(market, buys),
            ledgers.HELD,
            {
                Column("created_at", "<M8[us]"): until,
                Column("last_updated_at", "<M8[us]"): until,
            },
        ),
    ):
        await bulk.write(connection, table, records, columns, constants)


async def _finish(location: Location, admin: AsyncEngine, advance: Advance) -> None:
    """Sum the series up, compress what is old enough, and let the planner know what there is."""
    async with open_admin(location, OWNER_ROLE) as owner:
        for series in (PRICE_HISTORY, CANDLES, QUOTES):
            advance(f"Keeping {series.table}", 0, 1)
            await upkeep.maintain(owner, series)
    with translated():
        async with admin.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            for done, table in enumerate(_LOADED):
                advance("Analysing", done, len(_LOADED))
                await connection.execute(text(f"VACUUM (ANALYZE) {table}"))
