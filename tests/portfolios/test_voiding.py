"""A ledger with voids is the ledger that never had what is voided, and forgets nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.locks import clock
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.portfolios import store
from seawall.portfolios.browse.store import find_transaction
from seawall.portfolios.importers.csv import HEADER, fingerprint, parse_transactions
from seawall.portfolios.ledger import in_order, replay, sift
from seawall.portfolios.portfolios import create_portfolio
from seawall.portfolios.projecting import store as projected
from seawall.portfolios.projection import project_holdings
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
from seawall.portfolios.voiding.history import lock_history
from seawall.portfolios.voiding.void import (
    Correction,
    correct_transaction,
    void_import,
    void_transactions,
)

START = datetime(2024, 1, 1, tzinfo=UTC)
NOW = datetime(2025, 1, 1, tzinfo=UTC)
NAMES = count(1)


@pytest.fixture
async def shared(module_location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine on the module's database: each test has portfolios of its own there."""
    made = create_engine(module_location.url)
    async with transaction(made, OWNER_ID) as session:
        await ensure_owner(session)
    yield made
    await made.dispose()


async def _make(engine: AsyncEngine, method: LotMethod = LotMethod.FIFO) -> PortfolioRecord:
    async with transaction(engine, OWNER_ID) as session:
        return await create_portfolio(session, OWNER_ID, f"P{next(NAMES)}", "", method)


def _file(*rows: str) -> ParsedTransactions:
    return parse_transactions("\n".join([HEADER, *rows]).encode(), NOW)


async def _import(
    engine: AsyncEngine, portfolio: PortfolioRecord, *rows: str, again: bool = False
) -> tuple[int, int, int]:
    async with transaction(engine, OWNER_ID) as session:
        done = await import_transactions(session, portfolio, _file(*rows), again=again)
    assert not done.rejected
    return done.inserted, done.unchanged, done.left_out


async def _rows(engine: AsyncEngine, portfolio: PortfolioRecord) -> list[Transaction]:
    async with transaction(engine, OWNER_ID) as session:
        return await store.list_transactions(session, portfolio.id)


async def _void(engine: AsyncEngine, portfolio: PortfolioRecord, *which: Transaction) -> int:
    ids = [each.id for each in which if each.id is not None]
    async with transaction(engine, OWNER_ID) as session:
        locked = await lock_history(session, portfolio.id)
        return await void_transactions(session, locked, ids, "typed wrongly")


async def _correct(
    engine: AsyncEngine, portfolio: PortfolioRecord, which: Transaction, **columns: str
) -> UUID:
    assert which.id is not None
    async with transaction(engine, OWNER_ID) as session:
        locked = await lock_history(session, portfolio.id)
        wanted = Correction(columns, NOW)
        return (await correct_transaction(session, locked, which.id, wanted)).id


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


BUYS = (
    "2024-01-01,deposit,USD,1000,,,",
    "2024-01-01,buy,BTC,2,100,1,",
    "2024-01-03,sell,BTC,1,150,,",
)


async def test_a_void_is_known_from_its_instant_on_and_changes_nothing_before(
    shared: AsyncEngine, module_location: Location
) -> None:
    portfolio = await _make(shared)
    assert await _import(shared, portfolio, *BUYS) == (3, 0, 0)
    async with transaction(shared, OWNER_ID) as session:
        before = await clock(session)
    deposit, bought, sold = await _rows(shared, portfolio)
    assert await _void(shared, portfolio, sold) == 1
    assert await _rows(shared, portfolio) == [deposit, bought]
    async with transaction(shared, OWNER_ID) as session:
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


async def test_what_others_rest_on_is_not_voided_alone(shared: AsyncEngine) -> None:
    portfolio = await _make(shared)
    await _import(shared, portfolio, *BUYS)
    deposit, bought, sold = await _rows(shared, portfolio)
    with pytest.raises(ConflictError, match=r"sell of 1 BTC .*1 BTC is asked, 0 BTC is held") as no:
        await _void(shared, portfolio, bought)
    assert no.value.details["transaction_id"] == str(sold.id)
    with pytest.raises(ConflictError, match="they are voided, a transaction that was recorded"):
        await _void(shared, portfolio, deposit, bought)
    with pytest.raises(ConflictError, match="fails"):
        await _correct(shared, portfolio, bought, quantity="0.5")
    with pytest.raises(InvalidError, match="It cannot be so: buy of 20 BTC"):
        await _correct(shared, portfolio, bought, quantity="20")
    assert await _rows(shared, portfolio) == [deposit, bought, sold]
    assert await _void(shared, portfolio, bought, sold) == 2
    with pytest.raises(ConflictError, match="was voided on"):
        await _void(shared, portfolio, sold)
    with pytest.raises(ConflictError, match="was voided on"):
        await _correct(shared, portfolio, sold, quantity="1")
    elsewhere = await _make(shared)
    with pytest.raises(NotFoundError, match="no such transaction"):
        await _void(shared, elsewhere, deposit)
    with pytest.raises(NotFoundError, match="no such transaction"):
        await _correct(shared, elsewhere, deposit, quantity="1")
    with pytest.raises(InvalidError, match="one line"):
        Correction({}, NOW, "a\nb")
    with pytest.raises(InvalidError, match="has no entry"):
        Correction({"entry": "1"}, NOW)


async def test_a_correction_stands_where_the_wrong_row_stood(shared: AsyncEngine) -> None:
    portfolio = await _make(shared)
    await _import(shared, portfolio, *BUYS)
    deposit, bought, sold = await _rows(shared, portfolio)
    # On the same day the deposit has to stay before what it pays.
    rich = await _correct(shared, portfolio, deposit, quantity="2000", notes="mended")
    dear = await _correct(shared, portfolio, bought, price_usd="999", fee_usd="")
    now = await _rows(shared, portfolio)
    assert [each.id for each in now] == [rich, dear, sold.id]
    assert [each.position for each in now] == [deposit.position, bought.position, sold.position]
    assert now[0].notes == "mended"
    assert (now[1].price_usd, now[1].fee_usd) == (Decimal(999), Decimal(0))
    with pytest.raises(ConflictError, match=f"replaced by {rich}") as no:
        await _correct(shared, portfolio, deposit, quantity="1")
    assert "replaced it" in str(no.value.hint)
    # Nothing said otherwise is nothing done.
    assert await _correct(shared, portfolio, now[2], quantity="1.0") == sold.id
    for wrong in ({"date": "2999-01-01"}, {"price_usd": ""}, {"type": "gift"}, {"asset": ""}):
        with pytest.raises(InvalidError, match="It cannot be so"):
            await _correct(shared, portfolio, now[1], **wrong)
    other = await _correct(shared, portfolio, now[2], asset="BTC", date="2024-01-05T12:00:00Z")
    assert (await _rows(shared, portfolio))[2].id == other


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
    shared: AsyncEngine,
) -> None:
    portfolio = await _make(shared)
    await _import(shared, portfolio, *BUYS)

    async def paid(id_: UUID | None) -> tuple[object, ...]:
        async with transaction(shared, OWNER_ID) as session:
            found = await session.execute(select(*_PAID).where(TransactionRow.id == id_))
            return tuple(found.one())

    async with transaction(shared, OWNER_ID) as session:
        await session.execute(_FROM_EXCHANGE, {"portfolio": portfolio.id})
    told = next(each for each in await _rows(shared, portfolio) if each.quantity == 1)
    connection, theirs, price, currency, fee, fee_asset = await paid(told.id)
    assert theirs == "theirs"
    await _correct(shared, portfolio, told, notes="mine")
    for columns, left in (
        ({"quantity": "1.5"}, (price, currency, fee, fee_asset)),
        ({"price_usd": "99"}, (None, None, fee, fee_asset)),
        ({"fee_usd": "2"}, (None, None, None, None)),
    ):
        (now,) = [each for each in await _rows(shared, portfolio) if each.notes == "mine"]
        new = await _correct(shared, portfolio, now, **columns)
        assert await paid(new) == (connection, None, *left)
    assert (await paid(told.id))[1] == "theirs"


async def test_importing_again_brings_back_only_what_it_should(shared: AsyncEngine) -> None:
    portfolio = await _make(shared)
    await _import(shared, portfolio, *BUYS)
    _, bought, sold = await _rows(shared, portfolio)
    await _void(shared, portfolio, sold)
    cheap = await _correct(shared, portfolio, bought, price_usd="90")
    # The file still has what was voided and what was corrected: neither comes back by itself.
    assert await _import(shared, portfolio, *BUYS) == (0, 2, 1)
    mended = "2024-01-01,buy,BTC,2,90,1,"
    assert await _import(shared, portfolio, BUYS[0], mended) == (0, 2, 0)
    assert await _import(shared, portfolio, *BUYS, again=True) == (1, 2, 0)
    assert await _import(shared, portfolio, *BUYS) == (0, 3, 0)
    # What replaced the corrected one is voided: then the corrected one is, too.
    _, now, back = await _rows(shared, portfolio)
    assert now.id == cheap
    await _void(shared, portfolio, now, back)
    assert await _import(shared, portfolio, *BUYS) == (0, 1, 2)
    assert await _import(shared, portfolio, *BUYS, again=True) == (2, 1, 0)


async def test_an_import_is_voided_whole_and_can_be_imported_again(shared: AsyncEngine) -> None:
    portfolio = await _make(shared)
    await _import(shared, portfolio, "2023-01-01,buy,ETH,1,10,,")
    await _import(shared, portfolio, *BUYS)
    _, deposit, bought, sold = await _rows(shared, portfolio)
    await _correct(shared, portfolio, bought, price_usd="90")
    await _void(shared, portfolio, sold)
    async with transaction(shared, OWNER_ID) as session:
        assert deposit.id is not None
        record = await find_transaction(session, portfolio.id, deposit.id)
        assert record is not None
        assert record.imported_at is not None
        locked = await lock_history(session, portfolio.id)
        assert await void_import(session, locked, record.imported_at, "the wrong file") == 2
        with pytest.raises(ConflictError, match="is voided already"):
            await void_import(session, locked, record.imported_at)
        with pytest.raises(NotFoundError, match="Nothing was imported into"):
            await void_import(session, locked, START)
    assert [each.asset for each in await _rows(shared, portfolio)] == ["ETH"]
    # All of it, what was voided or corrected before among it.
    assert await _import(shared, portfolio, *BUYS) == (3, 0, 0)


async def _undo(engine: AsyncEngine, portfolio: PortfolioRecord, one: Transaction) -> None:
    """Void the import that a transaction came with."""
    async with transaction(engine, OWNER_ID) as session:
        assert one.id is not None
        record = await find_transaction(session, portfolio.id, one.id)
        assert record is not None
        assert record.imported_at is not None
        await void_import(session, await lock_history(session, portfolio.id), record.imported_at)


async def test_an_import_that_is_undone_leaves_what_was_said_before_it(shared: AsyncEngine) -> None:
    portfolio = await _make(shared)
    await _import(shared, portfolio, *BUYS)
    await _void(shared, portfolio, (await _rows(shared, portfolio))[2])
    assert await _import(shared, portfolio, *BUYS, again=True) == (1, 2, 0)
    await _undo(shared, portfolio, (await _rows(shared, portfolio))[2])
    # The duplicate that was voided by hand does not come back by itself.
    assert await _import(shared, portfolio, *BUYS) == (0, 2, 1)


async def test_what_took_the_place_of_another_keeps_it_when_its_own_import_goes(
    shared: AsyncEngine,
) -> None:
    portfolio = await _make(shared)
    one, two = "2024-01-01,buy,BTC,1,100,,", "2024-01-01,buy,BTC,1,90,,"
    await _import(shared, portfolio, one)
    await _import(shared, portfolio, two)
    first, second = await _rows(shared, portfolio)
    await _correct(shared, portfolio, first, price_usd="90")
    await _correct(shared, portfolio, second, price_usd="100")
    await _undo(shared, portfolio, (await _rows(shared, portfolio))[1])
    assert await _import(shared, portfolio, one) == (0, 1, 0)


async def test_notes_do_not_make_another_row_of_one(shared: AsyncEngine) -> None:
    portfolio = await _make(shared)
    twice = ("2024-01-01,buy,BTC,1,100,,", "2024-01-01,buy,BTC,1,100,,")
    await _import(shared, portfolio, *twice)
    first, second = await _rows(shared, portfolio)
    await _void(shared, portfolio, first)
    await _correct(shared, portfolio, second, notes="mended")
    assert await _import(shared, portfolio, *twice) == (0, 1, 1)
    assert await _import(shared, portfolio, *twice, again=True) == (1, 1, 0)


async def test_equal_rows_are_two_and_a_correction_to_an_equal_one_is_another(
    shared: AsyncEngine,
) -> None:
    portfolio = await _make(shared)
    twice = ("2024-01-01,buy,BTC,1,100,,", "2024-01-01,buy,BTC,1,100,,")
    await _import(shared, portfolio, *twice, "2024-01-01,buy,BTC,1,90,,")
    third = (await _rows(shared, portfolio))[2]
    await _correct(shared, portfolio, third, price_usd="100")
    async with transaction(shared, OWNER_ID) as session:
        names = await session.scalars(
            select(TransactionRow.external_id).where(
                TransactionRow.portfolio_id == portfolio.id, TransactionRow.voided_at.is_(None)
            )
        )
        assert set(names) == {
            fingerprint(replace(third, price_usd=Decimal(100)), n) for n in (1, 2, 3)
        }
    assert await _import(shared, portfolio, *twice, twice[0]) == (0, 3, 0)


async def test_the_database_lets_nobody_undo_a_void(shared: AsyncEngine) -> None:
    portfolio = await _make(shared)
    await _import(shared, portfolio, "2023-01-01,buy,ETH,1,10,,")
    (row,) = await _rows(shared, portfolio)
    await _void(shared, portfolio, row)
    for values in ({"voided_at": None, "void_kind": None}, {"void_reason": "other"}):
        with pytest.raises(ForbiddenError, match="what is voided stays so"):
            async with transaction(shared, OWNER_ID) as session:
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
    shared: AsyncEngine,
    history: list[Transaction],
    changes: list[tuple[int, bool, Decimal]],
    method: LotMethod,
) -> None:
    voided, never = await _make(shared, method), await _make(shared, method)
    async with transaction(shared, OWNER_ID) as session:
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
                    wanted = Correction({"quantity": str(quantity)}, NOW)
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
    shared: AsyncEngine,
) -> None:
    portfolio = await _make(shared)
    await _import(shared, portfolio, "2024-01-01,buy,BTC,1,100,,", "2024-01-01,buy,ETH,1,10,,")
    bitcoin, _ = await _rows(shared, portfolio)

    async def sell() -> str:
        try:
            await _import(shared, portfolio, "2024-01-02,sell,BTC,1,150,,", again=True)
        except AssertionError:
            return "refused"
        return "sold"

    async def void() -> str:
        try:
            await _void(shared, portfolio, bitcoin)
        except ConflictError:
            return "refused"
        return "voided"

    for _ in range(3):
        outcome = {*await asyncio.gather(sell(), void())}
        # Never both: what is sold cannot be voided, and what is voided cannot be sold.
        assert outcome in ({"sold", "refused"}, {"refused", "voided"})
        state = replay(await _rows(shared, portfolio), LotMethod.FIFO)
        async with transaction(shared, OWNER_ID) as session:
            held = {
                each.asset: each.quantity
                for each in await store.list_holdings(session, portfolio.id)
            }
        assert held == {each.asset: each.quantity for each in state.held}
        if "voided" in outcome:
            async with transaction(shared, OWNER_ID) as session:
                rows = _file("2024-01-01,buy,BTC,1,100,,")
                await import_transactions(session, portfolio, rows, again=True)
        else:
            await _void(shared, portfolio, (await _rows(shared, portfolio))[-1])
        bitcoin = next(each for each in await _rows(shared, portfolio) if each.asset == "BTC")
