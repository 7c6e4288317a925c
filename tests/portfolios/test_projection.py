"""Stored lots and holdings are what the ledger says of the stored transactions, at any time."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ConflictError, InvalidError
from seawall.core.money import exact
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market.tables import Asset
from seawall.portfolios import store
from seawall.portfolios.importers.csv import HEADER, parse_transactions
from seawall.portfolios.ledger import replay
from seawall.portfolios.portfolios import create_portfolio
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
from seawall.portfolios.tables import HoldingRow, LotRow, Portfolio
from seawall.portfolios.transactions import import_transactions

START = datetime(2024, 1, 1, tzinfo=UTC)
NAMES = count(1)

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


imports = st.lists(st.lists(transactions(), min_size=1, max_size=8), min_size=1, max_size=5)


def _said(*values: object) -> tuple[object, ...]:
    return values


def _parsed(given: Sequence[Transaction], first: int) -> ParsedTransactions:
    rows = tuple(ParsedRow(n, each, f"{n}") for n, each in enumerate(given, first))
    return ParsedTransactions(rows, (), len(rows))


async def _import(
    session: AsyncSession, portfolio: PortfolioRecord, rows: ParsedTransactions
) -> bool:
    """Import what fits; tell whether anything did."""
    try:
        done = await import_transactions(session, portfolio, rows)
    except ConflictError:
        return False
    if not done.rejected:
        return True
    bad = {each.line for each in done.rejected}
    rest = tuple(row for row in rows.rows if row.line not in bad)
    return bool(rest) and await _import(session, portfolio, ParsedTransactions(rest, (), len(rest)))


async def _replayed(session: AsyncSession, portfolio: PortfolioRecord) -> PortfolioState:
    held = await store.list_transactions(session, portfolio.id)
    return replay(held, portfolio.lot_method)


async def _check(session: AsyncSession, portfolio: PortfolioRecord) -> None:
    state = await _replayed(session, portfolio)
    lots = await session.execute(
        select(
            Asset.symbol,
            LotRow.position,
            LotRow.opening_transaction_id,
            LotRow.acquired_at,
            LotRow.quantity,
            LotRow.original_quantity,
            LotRow.cost_basis_usd,
        )
        .join(Asset, Asset.id == LotRow.asset_id)
        .where(LotRow.portfolio_id == portfolio.id)
        .order_by(Asset.symbol, LotRow.position)
    )
    expected = [
        (holding.asset, position, lot.opening.transaction_id, lot.acquired, lot.quantity,
         lot.opening.quantity, lot.cost_basis)
        for holding in state.held
        for position, lot in enumerate(holding.queue, 1)
        if lot.opening
    ]  # fmt: skip
    assert [tuple(row) for row in lots] == sorted(expected, key=lambda lot: lot[:2])

    holdings = await store.list_holdings(session, portfolio.id)
    assert {
        each.asset: (
            each.quantity, each.staked, each.average_buy_price, each.total_invested_usd,
            each.exchange_source,
        )
        for each in holdings
    } == {
        each.asset: (each.quantity, each.staked, each.average_cost, each.cost_basis, "manual")
        for each in state.held
    }  # fmt: skip
    record = await store.get_portfolio(session, portfolio.id)
    with exact():
        assert record.total_invested_usd == sum(each.cost_basis for each in state.held)


@given(imports, st.sampled_from(LotMethod))
@settings(
    max_examples=40,
    deadline=None,
    # Each example has a portfolio of its own in the one database.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_what_is_stored_is_what_the_ledger_says(
    engine: AsyncEngine, batches: list[list[Transaction]], method: LotMethod
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        made = await create_portfolio(session, OWNER_ID, f"P{next(NAMES)}", "", method)
    first, stored = 0, False
    for batch in batches:
        async with transaction(engine, OWNER_ID) as session:
            stored |= await _import(session, made, _parsed(batch, first))
            if stored:
                await _check(session, made)
        first += len(batch)


FILE = f"""{HEADER}
2024-01-01,deposit,USD,10000,,,
2024-01-02,buy,BTC,1,1000,,
2024-01-03,buy,BTC,1,2000,,
2024-01-04,buy,ETH,4,100,,
2024-01-05,stake,ETH,1,,,
"""


async def _make(session: AsyncSession, method: LotMethod = LotMethod.FIFO) -> PortfolioRecord:
    await ensure_owner(session)
    made = await create_portfolio(session, OWNER_ID, "Mine", "", method)
    await _add(session, made, FILE)
    return made


async def _add(session: AsyncSession, portfolio: PortfolioRecord, rows: str) -> None:
    done = await import_transactions(
        session, portfolio, parse_transactions(rows.encode(), datetime(2024, 6, 1, tzinfo=UTC))
    )
    assert not done.rejected


async def test_holdings_are_as_anybody_would_reckon(session: AsyncSession) -> None:
    made = await _make(session)
    eth, btc, cash = sorted(
        await store.list_holdings(session, made.id), key=lambda each: each.total_invested_usd or 0
    )
    assert _said(eth.asset, eth.quantity, eth.staked, eth.average_buy_price) == ("ETH", 4, 1, 100)
    assert _said(btc.asset, btc.quantity, btc.average_buy_price) == ("BTC", 2, 1500)
    assert _said(btc.current_price, btc.current_value_usd, btc.profit_loss_usd) == (
        None,
        None,
        None,
    )
    assert _said(cash.asset, cash.quantity, cash.current_price) == ("USD", 6600, 1)
    assert _said(cash.current_value_usd, cash.profit_loss_usd) == (6600, 0)
    (record,) = await store.list_portfolios(session)
    # What is held has no price yet, so what it is all worth is not known.
    assert _said(record.total_value_usd, record.total_invested_usd) == (None, 10_000)


@pytest.mark.parametrize(
    ("method", "first"), [("fifo", 1000), ("lifo", 2000), ("hifo", 2000), ("average", 3000)]
)
async def test_the_first_position_leaves_first(
    session: AsyncSession, method: str, first: int
) -> None:
    made = await _make(session, LotMethod(method))
    queue = (
        select(LotRow.cost_basis_usd)
        .join(Asset, Asset.id == LotRow.asset_id)
        .where(Asset.symbol == "BTC")
        .order_by(LotRow.position)
    )
    assert (await session.scalars(queue)).first() == first
    await _add(session, made, f"{HEADER}\n2024-02-01,sell,BTC,1,5000,,\n")
    left = [1500] if method == "average" else [3000 - first]
    assert list(await session.scalars(queue)) == left


async def test_only_what_changed_is_written(engine: AsyncEngine) -> None:
    async with transaction(engine, OWNER_ID) as session:
        made = await _make(session)

    async def versions(session: AsyncSession) -> dict[tuple[str, object], int]:
        rows = await session.execute(
            text(
                "SELECT 'lot', opening_transaction_id::text, xmin::text FROM lots"
                " UNION ALL SELECT 'holding', asset_id::text, xmin::text FROM holdings"
                " UNION ALL SELECT 'portfolio', '', xmin::text FROM portfolios"
            )
        )
        return {(table, key): int(version) for table, key, version in rows}

    async with transaction(engine, OWNER_ID) as session:
        before = await versions(session)
        await project_holdings(session, made.id, START)
        assert await versions(session) == before
    async with transaction(engine, OWNER_ID) as session:
        # Of ETH, without cash: the lots of BTC and the holding of BTC stay as they are.
        await _add(session, made, f"{HEADER}\n2024-02-01,reward,ETH,1,,,\n")
        after = await versions(session)
    changed = {key for key, version in after.items() if before.get(key) != version}
    assert sorted(table for table, _ in changed) == ["holding", "lot"]


async def test_what_went_astray_is_mended(session: AsyncSession) -> None:
    made = await _make(session)
    held = await store.list_holdings(session, made.id)
    await session.execute(delete(HoldingRow).where(HoldingRow.quantity == 2))
    await session.execute(update(HoldingRow).values(quantity=9))
    await session.execute(update(LotRow).values(quantity=LotRow.original_quantity / 2))
    await session.execute(update(Portfolio).values(total_invested_usd=1))
    await project_holdings(session, made.id, START)
    await _check(session, made)
    assert {each.asset for each in await store.list_holdings(session, made.id)} == {
        each.asset for each in held
    }


async def test_what_others_report_is_left_alone(session: AsyncSession) -> None:
    made = await _make(session)
    coin = await session.scalar(select(Asset.id).where(Asset.symbol == "BTC"))
    place = {"portfolio_id": made.id, "asset_id": coin, "quantity": 5}
    await session.execute(insert(HoldingRow).values(place | {"exchange_source": "binance"}))
    await session.execute(insert(HoldingRow).values(place | {"wallet_address": "bc1q"}))
    await _add(session, made, f"{HEADER}\n2024-02-01,sell,BTC,2,5000,,\n")
    left = [each for each in await store.list_holdings(session, made.id) if each.asset == "BTC"]
    assert {_said(each.exchange_source, each.wallet_address, each.quantity) for each in left} == {
        ("binance", None, 5),
        ("manual", "bc1q", 5),
    }


async def test_a_price_at_which_it_would_be_worth_too_much_is_forgotten(
    session: AsyncSession,
) -> None:
    made = await _make(session)
    await session.execute(update(HoldingRow).values(current_price=60_000))
    await _add(session, made, f"{HEADER}\n2024-02-01,reward,BTC,90000000000000000,,,\n")
    btc = next(each for each in await store.list_holdings(session, made.id) if each.asset == "BTC")
    assert _said(btc.quantity, btc.current_price) == (90_000_000_000_000_002, None)


async def test_nothing_is_stored_of_a_file_that_is_refused(session: AsyncSession) -> None:
    made = await _make(session)
    rows = f"{HEADER}\n2024-02-01,sell,BTC,1,5000,,\n2024-02-02,sell,BTC,5,5000,,\n"
    done = await import_transactions(
        session, made, parse_transactions(rows.encode(), datetime(2024, 6, 1, tzinfo=UTC))
    )
    assert len(done.rejected) == 1
    await _check(session, made)
    assert {each.quantity for each in await store.list_holdings(session, made.id)} == {2, 4, 6600}


async def test_one_file_may_go_into_two_portfolios(session: AsyncSession) -> None:
    first = await _make(session)
    second = await create_portfolio(session, OWNER_ID, "Twin")
    parsed = parse_transactions(FILE.encode(), datetime(2024, 6, 1, tzinfo=UTC))
    await import_transactions(session, second, parsed)
    third = await create_portfolio(session, OWNER_ID, "Triplet")
    await import_transactions(session, third, parsed)
    for each in (first, second, third):
        await _check(session, each)
