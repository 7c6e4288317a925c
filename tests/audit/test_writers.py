"""Writers at the same time: who waits for whom, and chains that stay unbroken and quick."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from seawall.audit.schemas import Verification
from seawall.audit.tables import AuditLog
from seawall.core.errors import UnavailableError
from seawall.db.faults import translated
from seawall.db.session import transaction
from seawall.identity.tables import SystemSetting
from seawall.portfolios.tables import Portfolio

Verify = Callable[[], Awaitable[Verification]]


async def _add_portfolio(session: AsyncSession, name: str) -> None:
    await session.execute(insert(Portfolio).values(name=name))


async def _until_one_waits(engine: AsyncEngine, kind: str) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE locktype = :kind AND NOT granted AND datname = current_database()"
    )
    async with asyncio.timeout(20), engine.connect() as connection:
        while await connection.scalar(waiting, {"kind": kind}) == 0:
            await connection.rollback()
            await asyncio.sleep(0.01)


async def _sequences(engine: AsyncEngine, chain: UUID) -> list[int]:
    async with engine.connect() as connection:
        query = select(AuditLog.sequence).where(AuditLog.user_id == chain).order_by(AuditLog.time)
        return list(await connection.scalars(query))


async def test_writers_of_different_users_do_not_wait(
    engine: AsyncEngine, verified: Verify, alice: UUID, bob: UUID
) -> None:
    async with transaction(engine, alice) as hers, transaction(engine, bob) as his:
        for each in (hers, his):
            await each.execute(text("SET LOCAL lock_timeout = '100ms'"))
        for name in ("a", "b"):
            await _add_portfolio(hers, name)
            await _add_portfolio(his, name)
    assert (await verified()).is_intact


async def test_writers_of_one_user_wait_and_follow_each_other(
    engine: AsyncEngine, owner: AsyncEngine, verified: Verify, alice: UUID
) -> None:
    async def second() -> None:
        async with transaction(engine, alice) as session:
            await session.scalar(select(func.count(Portfolio.id)))
            await _add_portfolio(session, "second")

    async with transaction(engine, alice) as first:
        await _add_portfolio(first, "first")
        waiting = asyncio.create_task(second())
        await _until_one_waits(owner, "advisory")
        await _add_portfolio(first, "first again")
    await waiting
    assert await _sequences(owner, alice) == list(range(1, 10))
    async with owner.connect() as connection:
        names = await connection.scalars(
            select(AuditLog.new_data["name"].astext).order_by(AuditLog.sequence.desc()).limit(3)
        )
        assert list(names) == ["second", "first again", "first"]
    assert (await verified()).is_intact


async def test_many_writers_of_one_user_keep_one_chain(
    engine: AsyncEngine, owner: AsyncEngine, verified: Verify, alice: UUID, bob: UUID
) -> None:
    async def write(user: UUID, number: int) -> None:
        for step in range(10):
            async with transaction(engine, user) as session:
                await _add_portfolio(session, f"{number} {step}")
                if step % 3 == 0:
                    await session.rollback()

    await asyncio.gather(*(write(alice, each) for each in range(4)), write(bob, 0))
    assert await _sequences(owner, alice) == list(range(1, 6 + 4 * 6 + 1))
    assert await _sequences(owner, bob) == list(range(1, 3 + 6 + 1))
    found = await verified()
    assert (found.is_intact, found.chains) == (True, 3)


async def test_who_is_bound_to_nobody_waits_too_but_holds_no_locks(
    engine: AsyncEngine, admin: AsyncEngine, verified: Verify, alice: UUID, bob: UUID
) -> None:
    """A program that ages everybody's rows writes to every chain in one transaction."""

    async def rename() -> None:
        async with transaction(engine, alice) as session:
            await session.execute(insert(Portfolio).values(name="hers"))

    async with admin.begin() as connection:
        ages = text("UPDATE portfolios SET description = 'old' WHERE user_id IN (:one, :two)")
        await connection.execute(ages, {"one": alice, "two": bob})
        waiting = asyncio.create_task(rename())
        await _until_one_waits(admin, "transactionid")
        await connection.execute(ages, {"one": alice, "two": bob})
        await connection.execute(text("UPDATE portfolios SET description = 'older'"))
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        assert await connection.scalar(text(f"{held} AND pid = pg_backend_pid()")) == 0
    await waiting
    assert await _sequences(admin, alice) == list(range(1, 10))
    assert (await verified()).is_intact


async def test_an_anchor_is_noted_after_whoever_writes_at_this_moment(
    engine: AsyncEngine, owner: AsyncEngine, verified: Verify, alice: UUID
) -> None:
    async with transaction(engine, alice) as session:
        await session.execute(insert(SystemSetting).values(setting_key="a", setting_value=1))
        verifying = asyncio.ensure_future(verified())
        await _until_one_waits(owner, "transactionid")
        await session.execute(insert(SystemSetting).values(setting_key="b", setting_value=2))
    assert (await verifying).is_intact
    assert (await verified()).is_intact
    async with owner.connect() as connection:
        query = select(AuditLog.operation).where(AuditLog.user_id.is_(None))
        found = list(await connection.scalars(query.order_by(AuditLog.sequence)))
    assert found == ["BEGIN", "INSERT", "INSERT", "ANCHOR", "ANCHOR"]


async def test_who_cannot_see_the_last_entry_has_to_try_again(
    engine: AsyncEngine, verified: Verify, alice: UUID, bob: UUID
) -> None:
    frozen = engine.execution_options(isolation_level="REPEATABLE READ")

    async def freeze(user: UUID) -> AsyncSession:
        session = AsyncSession(frozen)
        await session.execute(
            text("SELECT set_config('app.user_id', :user, true)"), {"user": str(user)}
        )
        return session

    async with await freeze(alice) as stale, await freeze(bob) as fresh:
        async with transaction(engine, alice) as session:
            await _add_portfolio(session, "meanwhile")
        with pytest.raises(UnavailableError, match="Two changes met"), translated():
            await _add_portfolio(stale, "too late")
        await _add_portfolio(fresh, "in time")
        await _add_portfolio(fresh, "and again")
        await fresh.commit()
    assert (await verified()).is_intact


async def _fetched(connection: AsyncConnection) -> tuple[int, int]:
    query = "SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables"
    row = (await connection.execute(text(f"{query} WHERE relname = 'audit_logs'"))).one()
    return row.seq_scan, row.idx_tup_fetch


async def test_a_long_transaction_costs_the_same_for_each_change(
    engine: AsyncEngine, alice: UUID
) -> None:
    """Each entry looks at one other, the one before it, however many there are."""
    changes = 1_000
    async with transaction(engine, alice) as session:
        await session.execute(
            text("INSERT INTO portfolios (name) SELECT 'p' || n FROM generate_series(1, :n) AS n"),
            {"n": changes},
        )
        await session.execute(update(Portfolio).values(description="all"))
        scans, fetched = await _fetched(await session.connection())
    assert scans == 0
    assert 2 * changes <= fetched <= 2 * changes + 10


async def test_one_user_s_writers_of_each_other_s_rows_do_not_deadlock(
    engine: AsyncEngine, owner: AsyncEngine, alice: UUID
) -> None:
    async with transaction(engine, alice) as session:
        for name in ("one", "two"):
            await _add_portfolio(session, name)

    async def describe(session: AsyncSession, name: str, description: str) -> None:
        change = update(Portfolio).where(Portfolio.name == name).values(description=description)
        await session.execute(change)

    async def second() -> None:
        async with transaction(engine, alice) as session:
            await describe(session, "two", "by the second")
            await describe(session, "one", "by the second")

    async with asyncio.timeout(20):
        async with transaction(engine, alice) as session:
            await describe(session, "one", "by the first")
            other = asyncio.create_task(second())
            await _until_one_waits(owner, "advisory")
            await describe(session, "two", "by the first")
        await other
    async with transaction(engine, alice) as session:
        described = select(Portfolio.description).where(Portfolio.name.in_(["one", "two"]))
        assert (await session.scalars(described)).all() == ["by the second"] * 2
