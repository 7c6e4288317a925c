"""Taking expired rows out: counted, archived where the policy says so, then deleted."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from seawall.db import upkeep
from seawall.db.faults import translated
from seawall.db.series import CANDLES_BY_DAY, PRICES_BY_DAY, SERIES, Series
from seawall.ops import archive
from seawall.ops.retention import POLICY, Profile, Rule

# ruff: noqa: S608 - tables and conditions are the policy's

_BEHIND = {CANDLES_BY_DAY.name: "candles 1h to below 1d", PRICES_BY_DAY.name: "price_history"}
"""By which rule the rows behind each rollup leave."""
_SERIES = {series.table: series for series in SERIES}


@dataclass(frozen=True, slots=True)
class Expired:
    """Rows of one rule that are past their time, by month."""

    rule: Rule
    cutoff: datetime
    month: date
    rows: int


async def find_expired(owner: AsyncEngine, profile: Profile, now: datetime) -> list[Expired]:
    """Count what is past its time, and change nothing."""
    found = []
    with translated():
        async with owner.connect() as connection:
            for rule in POLICY:
                found += await _count(connection, rule, rule.cutoff(profile, now))
    return found


async def _count(connection: AsyncConnection, rule: Rule, cutoff: datetime | None) -> list[Expired]:
    if cutoff is None:
        return []
    rows = await connection.execute(
        text(
            f"SELECT date_trunc('month', {rule.time}, 'UTC') AS month, count(*) FROM {rule.table}"
            f" WHERE ({rule.condition}) AND {rule.time} < :cutoff GROUP BY 1 ORDER BY 1"
        ),
        {"cutoff": cutoff},
    )
    return [Expired(rule, cutoff, month.date(), count) for month, count in rows]


async def expire(
    owner: AsyncEngine, profile: Profile, now: datetime, folder: Path
) -> AsyncIterator[Expired]:
    """Take out what is past its time, a month of a rule in one transaction; report each.

    Raises:
        UnavailableError: an archive cannot be written; its rows are all still there.
    """
    with translated():
        await archive.remove_orphans(owner, folder)
        for series in SERIES:
            if series.rollups:
                # The days are summed up while their rows are there.
                await upkeep.maintain(owner, series)
        async with owner.begin() as connection:
            for rollup, name in _BEHIND.items():
                keep = next(rule for rule in POLICY if rule.name == name).keep(profile)
                await connection.execute(
                    text("UPDATE rollups SET keep = :keep WHERE name = :rollup"),
                    {"keep": keep, "rollup": rollup},
                )
        for rule in POLICY:
            cutoff = rule.cutoff(profile, now)
            if cutoff is not None:
                async for each in _expire(owner, rule, cutoff, folder):
                    yield each
        await archive.write_manifests(owner, folder)


async def _expire(
    owner: AsyncEngine, rule: Rule, cutoff: datetime, folder: Path
) -> AsyncIterator[Expired]:
    series = _SERIES.get(rule.table)
    async with owner.connect() as connection:
        months = await _count(connection, rule, cutoff)
        await connection.rollback()
    if months and series is not None and rule.condition == "true" and not rule.archived:
        async with owner.begin() as connection:
            await _drop_chunks(connection, series, cutoff)
    for each in months:
        async with AsyncSession(owner) as session, session.begin():
            await _announce(session, series)
            if rule.archived:
                await archive.take_out(session, rule, each.month, cutoff, folder)
            else:
                await _delete(session, each)
        yield each


async def _drop_chunks(connection: AsyncConnection, series: Series, cutoff: datetime) -> None:
    """Drop what has expired as a whole, which costs nothing like deleting its rows."""
    # A reader of the series is waited for, but nobody for long behind this.
    await connection.execute(text("SET LOCAL lock_timeout = '10s'"))
    engine = await connection.scalar(
        text("SELECT engine FROM series WHERE table_name = :name"), {"name": series.table}
    )
    if engine == "timescaledb":
        await connection.execute(
            text(
                "SELECT drop_chunks(CAST(:name AS regclass),"
                " older_than => CAST(:at AS timestamptz))"
            ),
            {"name": series.table, "at": cutoff},
        )
        return
    partitions = await connection.scalars(
        text(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " JOIN pg_class ON pg_class.oid = inhrelid"
            " WHERE inhparent = CAST(:name AS regclass) AND (regexp_match("
            "     pg_get_expr(relpartbound, inhrelid), 'TO \\(''(.+)''\\)'))[1]::timestamptz <= :at"
        ),
        {"name": series.table, "at": cutoff},
    )
    for partition in partitions.all():
        await connection.execute(text(f"DROP TABLE {partition}"))


async def _announce(session: AsyncSession, series: Series | None) -> None:
    """Say that no rollup is to follow: days outlive the rows behind them."""
    if series is not None and series.rollups:
        await session.execute(
            text("SELECT set_config(:name, pg_current_xact_id()::text, true)"),
            {"name": f"seawall.announced_{series.table}"},
        )


async def _delete(session: AsyncSession, expired: Expired) -> None:
    rule = expired.rule
    await session.execute(
        text(
            f"DELETE FROM {rule.table} WHERE ({rule.condition}) AND {rule.time} < :cutoff"
            f" AND {rule.time} >= :month AND {rule.time} < CAST(:month AS timestamptz)"
            " + interval '1 month'"
        ),
        {"cutoff": expired.cutoff, "month": archive.midnight(expired.month)},
    )
