"""The ledger of an account: every journal balances, and the account's balance follows."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ForbiddenError
from seawall.db.faults import translated
from seawall.db.session import transaction
from seawall.trading.tables import LedgerEntry, TradingAccount

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
Lines = list[tuple[str, int, Decimal | int]]
Post = Callable[..., Awaitable[UUID]]
AT_ONCE = text("SET CONSTRAINTS ALL IMMEDIATE")
LATER = text("SET CONSTRAINTS ALL DEFERRED")


@pytest.fixture
def post(session: AsyncSession, account: UUID) -> Post:
    """Return what posts lines (ledger, asset, amount) as one journal."""

    async def post_journal(lines: Lines, to: UUID = account, journal: UUID | None = None) -> UUID:
        journal = journal or uuid4()
        rows = [
            {"ledger": ledger, "asset_id": asset, "amount": amount}
            | {"account_id": to, "journal_id": journal, "effective_at": NOON}
            for ledger, asset, amount in lines
        ]
        await session.execute(insert(LedgerEntry), rows)
        return journal

    return post_journal


async def _balance(session: AsyncSession, account: UUID) -> Decimal | None:
    return await session.scalar(select(TradingAccount.balance).where(TradingAccount.id == account))


async def test_a_deposit_and_a_deal_make_the_balance(
    session: AsyncSession, account: UUID, post: Post, usdt: int, btc: int
) -> None:
    assert await _balance(session, account) == 0
    await post([("assets", usdt, 1000), ("equity", usdt, -1000)])
    deal: Lines = [
        ("assets", btc, Decimal("0.01")),
        ("trading", btc, Decimal("-0.01")),
        ("trading", usdt, 600),
        ("fees", usdt, Decimal("0.6")),
        ("assets", usdt, Decimal("-600.6")),
    ]
    await post(deal)
    await session.execute(AT_ONCE)
    assert await _balance(session, account) == Decimal("399.4")


async def test_a_transfer_moves_from_account_to_account(
    session: AsyncSession, account: UUID, live_account: UUID, post: Post, usdt: int
) -> None:
    journal = await post([("assets", usdt, -5)])
    await post([("assets", usdt, 5)], to=live_account, journal=journal)
    await session.execute(AT_ONCE)
    assert await _balance(session, account) == -5
    assert await _balance(session, live_account) == 5


async def test_a_journal_is_weighed_when_it_is_whole(
    session: AsyncSession, post: Post, usdt: int
) -> None:
    journal = await post([("assets", usdt, 1000)])
    await post([("equity", usdt, -1000)], journal=journal)
    await session.execute(AT_ONCE)
    with pytest.raises(DBAPIError, match="does not balance"):
        await post([("assets", usdt, 1)])


@pytest.mark.parametrize(
    "amounts",
    [
        [("usdt", 1)],
        [("usdt", 1), ("usdt", Decimal("-0.999999999999999999"))],
        [("usdt", 1), ("btc", -1)],
        [("usdt", 1), ("usdt", -1), ("btc", 1)],
    ],
)
async def test_a_journal_that_does_not_balance_is_refused_at_commit(
    engine: AsyncEngine,
    session: AsyncSession,
    user: UUID,
    account: UUID,
    usdt: int,
    btc: int,
    amounts: list[tuple[str, Decimal | int]],
) -> None:
    await session.commit()
    journal, assets = uuid4(), {"usdt": usdt, "btc": btc}
    rows = [
        {"ledger": "adjustments", "asset_id": assets[name], "amount": amount}
        | {"account_id": account, "journal_id": journal, "effective_at": NOON}
        for name, amount in amounts
    ]
    with pytest.raises(DBAPIError, match=f"journal {journal} does not balance"):
        async with transaction(engine, user) as other:
            await other.execute(insert(LedgerEntry), rows)
    async with transaction(engine, user) as later:
        assert await later.scalar(select(func.count()).select_from(LedgerEntry)) == 0
        assert await _balance(later, account) == 0


async def test_a_user_who_is_out_of_sight_at_commit_gets_nothing_past(
    engine: AsyncEngine, session: AsyncSession, user: UUID, account: UUID, usdt: int
) -> None:
    await session.commit()
    entry = insert(LedgerEntry).values(
        account_id=account,
        journal_id=uuid4(),
        ledger="assets",
        asset_id=usdt,
        amount=1,
        effective_at=NOON,
    )
    become = text("SELECT set_config('app.user_id', :other, true)")
    async with transaction(engine, user) as other:
        await other.execute(entry)
        await other.execute(become, {"other": str(uuid4())})
        with pytest.raises(DBAPIError, match="does not balance"):
            await other.execute(AT_ONCE)
        await other.rollback()


async def test_a_table_of_the_writer_s_own_does_not_stand_in(
    session: AsyncSession, account: UUID, usdt: int
) -> None:
    await session.execute(text("CREATE TEMP TABLE ledger_entries (LIKE public.ledger_entries)"))
    await session.execute(text("CREATE TEMP TABLE trading_accounts (LIKE public.trading_accounts)"))
    for schema, amount in (("public", 1), ("pg_temp", 0)):
        entry = text(
            f"INSERT INTO {schema}.ledger_entries"  # noqa: S608 - two constants
            " (id, user_id, account_id, journal_id, entry, ledger, asset_id, amount, effective_at,"
            " description, created_at) OVERRIDING USER VALUE"
            " VALUES (gen_random_uuid(), current_user_id(), :account, :account, 1, 'assets',"
            " :asset, :amount, now(), '', now())"
        )
        await session.execute(entry, {"account": account, "asset": usdt, "amount": amount})
    held = await session.scalar(text("SELECT sum(balance) FROM public.trading_accounts"))
    assert held == 1
    with pytest.raises(DBAPIError, match="does not balance"):
        await session.execute(AT_ONCE)
    await session.rollback()


@pytest.mark.parametrize(
    ("said", "constraint"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": Decimal("NaN")}, "amount"),
        ({"ledger": "cash"}, "ledger"),
    ],
)
async def test_an_entry_that_makes_no_sense_is_refused(
    session: AsyncSession, account: UUID, usdt: int, said: dict[str, object], constraint: str
) -> None:
    values = {"ledger": "assets", "amount": 1} | said
    entry = insert(LedgerEntry).values(
        values
        | {"account_id": account, "journal_id": uuid4(), "asset_id": usdt, "effective_at": NOON}
    )
    with pytest.raises(DBAPIError, match=f'"ck_ledger_entries_{constraint}"'):
        async with session.begin_nested():
            await session.execute(entry)


@pytest.mark.parametrize("statement", [update(LedgerEntry).values(amount=1), delete(LedgerEntry)])
async def test_the_ledger_is_only_added_to(session: AsyncSession, statement: object) -> None:
    with pytest.raises(ForbiddenError, match="permission denied"), translated():
        async with session.begin_nested():
            await session.execute(statement)  # type: ignore[call-overload] # Any statement


AMOUNTS = st.decimals(-(10**9), 10**9, places=18).filter(bool)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(deposits=st.lists(AMOUNTS, min_size=1, max_size=8))
async def test_the_balance_is_what_the_entries_add_up_to(
    session: AsyncSession, account: UUID, post: Post, usdt: int, deposits: list[Decimal]
) -> None:
    async with session.begin_nested() as undone:
        await session.execute(LATER)
        for amount in deposits:
            await post([("assets", usdt, amount), ("equity", usdt, -amount)])
        await session.execute(AT_ONCE)
        held = select(func.sum(LedgerEntry.amount)).where(LedgerEntry.ledger == "assets")
        assert await _balance(session, account) == await session.scalar(held)
        await undone.rollback()
