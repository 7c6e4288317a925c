"""A ledger with voids is the ledger that never had what is voided, and forgets nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.locks import clock
from seawall.portfolios import store
from seawall.portfolios.browse.store import find_transaction
from seawall.portfolios.ledger import in_order, replay, sift
from seawall.portfolios.projecting import store as projected
from seawall.portfolios.projecting.project import project_holdings
from seawall.portfolios.schemas import (
    CASH,
    LotMethod,
    ParsedRow,
    ParsedTransactions,
    PortfolioRecord,
    PortfolioState,
    Transaction,
    TransactionType,
)
from seawall.portfolios.tables import HoldingRow, LotRow, TransactionRow
from seawall.portfolios.transactions import import_transactions
from seawall.portfolios.voiding.void import (
    Correction,
    correct_transaction,
    void_transactions,
)

Books = Any  # what the fixture is
START = datetime(2024, 1, 1, tzinfo=UTC)


async def _stored(session: AsyncSession, portfolio: PortfolioRecord) -> list[tuple[object, ...]]:
    """Everything that is stored of what is held, without the ids of rows."""
    lots = select(
        LotRow.asset_id, LotRow.position, LotRow.acquired_at, LotRow.quantity,
        LotRow.original_quantity, LotRow.cost_basis_usd,
    ).where(LotRow.portfolio_id == portfolio.id)  # fmt: skip
    held = select(
        HoldingRow.asset_id, HoldingRow.quantity, HoldingRow.staked, HoldingRow.average_buy_price,
        HoldingRow.total_invested_usd,
    ).where(HoldingRow.portfolio_id == portfolio.id)  # fmt: skip
    found = [*await session.execute(lots), *await session.execute(held)]
    return sorted((tuple(each) for each in found), key=repr)


async def test_a_void_is_known_from_its_instant_on_and_changes_nothing_before(
    books: Books, module_location: Location
) -> None:
    portfolio = await books.make()
    assert await books.take(portfolio, *books.buys) == (3, 0, 0)
    async with books.transaction() as session:
        before = await clock(session)
    deposit, bought, sold = await books.rows(portfolio)
    assert await books.void(portfolio, sold) == 1
    assert await books.rows(portfolio) == [deposit, bought]
    async with books.transaction() as session:
        as_known = await store.list_transactions(session, portfolio.id, before)
        assert as_known == [deposit, bought, sold]
        after = await store.list_transactions(session, portfolio.id, await clock(session))
        assert after == [deposit, bought]
        held = {
            each.asset: each.quantity for each in await store.list_holdings(session, portfolio.id)
        }
        assert held == {"BTC": 2, CASH: Decimal(799)}
        assert sold.id is not None
        kept = await find_transaction(session, portfolio.id, sold.id)
        assert kept is not None
        assert (kept.void_reason, kept.void_kind, kept.replaced_by) == (
            "typed wrongly",
            "row",
            None,
        )
        assert await projected.is_newest(session, portfolio.id, START + timedelta(days=1))
        logged = await session.execute(
            text(
                "SELECT new_data ->> 'void_reason' FROM audit_logs"
                " WHERE record_id = :id AND operation = 'UPDATE'"
            ),
            {"id": str(sold.id)},
        )
        assert list(logged.scalars()) == ["typed wrongly"]
    # Only the queue's own role may look at it.
    admin = create_engine(module_location.admin_url, role=None, pooled=False)
    async with admin.connect() as connection:
        jobs = await connection.scalar(
            text("SELECT count(*) FROM queue.procrastinate_jobs WHERE args ->> 'portfolio' = :id"),
            {"id": str(portfolio.id)},
        )
    await admin.dispose()
    assert jobs


async def test_what_others_rest_on_is_not_voided_alone(books: Books) -> None:
    portfolio = await books.make()
    await books.take(portfolio, *books.buys)
    deposit, bought, sold = await books.rows(portfolio)
    with pytest.raises(ConflictError, match=r"sell of 1 BTC .*1 BTC is asked, 0 BTC is held") as no:
        await books.void(portfolio, bought)
    assert no.value.details["transaction_id"] == str(sold.id)
    with pytest.raises(ConflictError, match="they are voided, a transaction that was recorded"):
        await books.void(portfolio, deposit, bought)
    with pytest.raises(ConflictError, match="fails"):
        await books.correct(portfolio, bought, quantity="0.5")
    with pytest.raises(InvalidError, match="It cannot be so: buy of 20 BTC"):
        await books.correct(portfolio, bought, quantity="20")
    assert await books.rows(portfolio) == [deposit, bought, sold]
    assert await books.void(portfolio, bought, sold) == 2
    with pytest.raises(ConflictError, match="was voided on"):
        await books.void(portfolio, sold)
    with pytest.raises(ConflictError, match="was voided on"):
        await books.correct(portfolio, sold, quantity="1")
    elsewhere = await books.make()
    with pytest.raises(NotFoundError, match="no such transaction"):
        await books.void(elsewhere, deposit)
    with pytest.raises(NotFoundError, match="no such transaction"):
        await books.correct(elsewhere, deposit, quantity="1")
    with pytest.raises(InvalidError, match="one line"):
        Correction({}, books.now, "a\nb")
    with pytest.raises(InvalidError, match="has no entry"):
        Correction({"entry": "1"}, books.now)


async def test_a_correction_stands_where_the_wrong_row_stood(books: Books) -> None:
    portfolio = await books.make()
    await books.take(portfolio, *books.buys)
    deposit, bought, sold = await books.rows(portfolio)
    # On the same day the deposit has to stay before what it pays.
    rich = await books.correct(portfolio, deposit, quantity="2000", notes="mended")
    dear = await books.correct(portfolio, bought, price_usd="999", fee_usd="")
    now = await books.rows(portfolio)
    assert [each.id for each in now] == [rich, dear, sold.id]
    assert [each.position for each in now] == [deposit.position, bought.position, sold.position]
    assert now[0].notes == "mended"
    assert (now[1].price_usd, now[1].fee_usd) == (Decimal(999), Decimal(0))
    with pytest.raises(ConflictError, match=f"replaced by {rich}") as no:
        await books.correct(portfolio, deposit, quantity="1")
    assert "replaced it" in str(no.value.hint)
    # Nothing said otherwise is nothing done.
    assert await books.correct(portfolio, now[2], quantity="1.0") == sold.id
    for wrong in ({"date": "2999-01-01"}, {"price_usd": ""}, {"type": "gift"}, {"asset": ""}):
        with pytest.raises(InvalidError, match="It cannot be so"):
            await books.correct(portfolio, now[1], **wrong)
    other = await books.correct(portfolio, now[2], asset="BTC", date="2024-01-05T12:00:00Z")
    assert (await books.rows(portfolio))[2].id == other


_FROM_EXCHANGE = text("""
    WITH exchange AS (
        INSERT INTO exchanges (code) VALUES ('bitfinex')
        ON CONFLICT (code) DO UPDATE SET code = excluded.code RETURNING id
    ), connection AS (
        INSERT INTO exchange_connections (exchange_id, name, api_key_encrypted, api_key_last_four)
        SELECT id, 'mine', 'SWS', '1234' FROM exchange RETURNING id
    )
    INSERT INTO transactions (
        portfolio_id, recorded_at, transaction_date, transaction_type, asset_id, quantity,
        price_usd, fee_usd, exchange_connection_id, exchange_transaction_id,
        price, price_currency_id, fee_quantity, fee_asset_id
    )
    SELECT :portfolio, now(), '2024-01-02', 'buy', asset_id, 1, 100, 1, connection.id, 'theirs',
        0.01, asset_id, 0.5, asset_id
    FROM transactions, connection WHERE portfolio_id = :portfolio AND transaction_type = 'buy'
""")
_PAID = (
    TransactionRow.exchange_connection_id, TransactionRow.exchange_transaction_id,
    TransactionRow.price, TransactionRow.price_currency_id,
    TransactionRow.fee_quantity, TransactionRow.fee_asset_id,
)  # fmt: skip


async def test_a_correction_keeps_where_the_row_came_from_and_what_was_paid_for_the_same(
    books: Books,
) -> None:
    portfolio = await books.make()
    await books.take(portfolio, *books.buys)

    async def paid(id_: UUID | None) -> tuple[object, ...]:
        async with books.transaction() as session:
            found = await session.execute(select(*_PAID).where(TransactionRow.id == id_))
            return tuple(found.one())

    async with books.transaction() as session:
        await session.execute(_FROM_EXCHANGE, {"portfolio": portfolio.id})
    told = next(each for each in await books.rows(portfolio) if each.quantity == 1)
    connection, theirs, price, currency, fee, fee_asset = await paid(told.id)
    assert theirs == "theirs"
    await books.correct(portfolio, told, notes="mine")
    for columns, left in (
        ({"quantity": "1.5"}, (price, currency, fee, fee_asset)),
        ({"price_usd": "99"}, (None, None, fee, fee_asset)),
        ({"fee_usd": "2"}, (None, None, None, None)),
    ):
        (now,) = [each for each in await books.rows(portfolio) if each.notes == "mine"]
        new = await books.correct(portfolio, now, **columns)
        assert await paid(new) == (connection, None, *left)
    assert (await paid(told.id))[1] == "theirs"


async def test_the_database_lets_nobody_undo_a_void(books: Books) -> None:
    portfolio = await books.make()
    await books.take(portfolio, "2023-01-01,buy,ETH,1,10,,")
    (row,) = await books.rows(portfolio)
    await books.void(portfolio, row)
    for values in ({"voided_at": None, "void_kind": None}, {"void_reason": "other"}):
        with pytest.raises(ForbiddenError, match="what is voided stays so"):
            async with books.transaction() as session:
                await session.execute(
                    update(TransactionRow).where(TransactionRow.id == row.id).values(**values)
                )


# Small numbers, so that lots are often emptied, parted and rounded.
quantities = st.integers(1, 12).map(lambda n: Decimal(n) / 4)
prices = st.integers(0, 9).map(lambda n: Decimal(n) / 7).map(lambda p: round(p, 18))


@st.composite
def transactions(draw: st.DrawFn) -> Transaction:
    kind = draw(st.sampled_from(TransactionType))
    try:
        return Transaction(
            time=START + timedelta(days=draw(st.integers(0, 5))),
            type=kind,
            asset=draw(st.sampled_from(["BTC", "BTC", "ETH", CASH])),
            quantity=draw(quantities) * (100 if kind is TransactionType.DEPOSIT else 1),
            price_usd=draw(st.none() | prices),
            fee_usd=draw(st.sampled_from([Decimal(0), Decimal("0.01")])),
        )
    except InvalidError:
        return Transaction(START, TransactionType.BUY, "BTC", Decimal(1), Decimal(1))


def _bare(state: PortfolioState) -> PortfolioState:
    """Leave out which rows opened the lots."""
    holdings = tuple(
        replace(
            each,
            lots=tuple(replace(lot, opening=None) for lot in each.lots),
            queue=tuple(replace(lot, opening=None) for lot in each.queue),
        )
        for each in state.holdings
    )
    return replace(state, holdings=holdings)


async def _record(
    session: AsyncSession, portfolio: PortfolioRecord, history: Sequence[Transaction]
) -> None:
    """Record whatever fits."""
    given_ = [replace(each, position=n) for n, each in enumerate(history)]
    _, refused = sift(in_order(given_), portfolio.lot_method)
    wrong = {each.position for each, _ in refused}
    rows = tuple(ParsedRow(n, each, f"{n}") for n, each in enumerate(given_) if n not in wrong)
    done = await import_transactions(session, portfolio, ParsedTransactions(rows, (), len(rows)))
    assert done.inserted == len(rows)


@given(
    st.lists(transactions(), min_size=3, max_size=10),
    st.lists(st.tuples(st.integers(0, 11), st.booleans(), quantities), max_size=4),
    st.sampled_from(LotMethod),
)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_a_ledger_with_voids_is_one_that_never_had_them(
    books: Books,
    history: list[Transaction],
    changes: list[tuple[int, bool, Decimal]],
    method: LotMethod,
) -> None:
    voided, never = await books.make(method), await books.make(method)
    async with books.transaction() as session:
        await _record(session, voided, history)
        for place, is_void, quantity in changes:
            living = await store.list_transactions(session, voided.id)
            if not living:
                break
            id_ = living[place % len(living)].id
            assert id_ is not None
            try:
                if is_void:
                    await void_transactions(session, voided, [id_])
                else:
                    wanted = Correction({"quantity": str(quantity)}, books.now)
                    await correct_transaction(session, voided, id_, wanted)
            except (ConflictError, InvalidError):
                continue
        living = await store.list_transactions(session, voided.id)
        stamp = await clock(session)
        rows = [
            ParsedRow(n, replace(each, id=uuid4()), f"{n}")
            for n, each in enumerate(sorted(living, key=lambda each: each.position))
        ]
        symbols = {each.asset for each in living}
        assets = await session.execute(text("SELECT symbol, id FROM assets"))
        ids = {str(symbol): int(number) for symbol, number in assets}
        assert symbols <= set(ids)
        await store.add_transactions(session, never, rows, ids, stamp)
        await project_holdings(session, never.id, stamp)
        assert await _stored(session, voided) == await _stored(session, never)
        fresh = await store.list_transactions(session, never.id)
        for each in LotMethod:
            assert _bare(replay(living, each)) == _bare(replay(fresh, each))


async def test_an_import_and_a_void_of_one_portfolio_come_one_after_the_other(
    books: Books,
) -> None:
    portfolio = await books.make()
    await books.take(portfolio, "2024-01-01,buy,BTC,1,100,,", "2024-01-01,buy,ETH,1,10,,")
    bitcoin, _ = await books.rows(portfolio)

    async def sell() -> str:
        try:
            await books.take(portfolio, "2024-01-02,sell,BTC,1,150,,", again=True)
        except AssertionError:
            return "refused"
        return "sold"

    async def void() -> str:
        try:
            await books.void(portfolio, bitcoin)
        except ConflictError:
            return "refused"
        return "voided"

    for _ in range(3):
        outcome = {*await asyncio.gather(sell(), void())}
        # Never both: what is sold cannot be voided, and what is voided cannot be sold.
        assert outcome in ({"sold", "refused"}, {"refused", "voided"})
        state = replay(await books.rows(portfolio), LotMethod.FIFO)
        async with books.transaction() as session:
            held = {
                each.asset: each.quantity
                for each in await store.list_holdings(session, portfolio.id)
            }
        assert held == {each.asset: each.quantity for each in state.held}
        if "voided" in outcome:
            async with books.transaction() as session:
                rows = books.file("2024-01-01,buy,BTC,1,100,,")
                await import_transactions(session, portfolio, rows, again=True)
        else:
            await books.void(portfolio, (await books.rows(portfolio))[-1])
        bitcoin = next(each for each in await books.rows(portfolio) if each.asset == "BTC")
