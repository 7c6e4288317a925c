"""What others see of a public portfolio, and that they can do nothing with it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import RowMapping, Update, delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ForbiddenError
from seawall.db.database import Location
from seawall.db.engine import OWNER_ROLE, create_engine
from seawall.db.faults import translated
from seawall.db.session import transaction
from seawall.market import catalog
from seawall.portfolios.tables import HoldingRow, LotRow, Portfolio, TransactionRow

ALICE, BOB = uuid4(), uuid4()
OPEN, DISCREET, PRIVATE, DELETED = (uuid4() for _ in range(4))
NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
SECRETS = {"user_id", "notes", "wallet_address", "exchange_source", "lot_method", "is_primary"}
AMOUNTS = {"total_value_usd", "total_invested_usd", "total_profit_loss_usd"}
OF_HOLDINGS = {
    "quantity", "average_buy_price", "total_invested_usd", "current_price", "current_value_usd",
    "profit_loss_usd", "profit_loss_percentage",
}  # fmt: skip


def _portfolio(number: int, key: UUID, **said: object) -> dict[str, Any]:
    made = NOON + timedelta(days=number)
    return {
        "id": key,
        "user_id": ALICE,
        "name": f"number {number}",
        "created_at": made,
        "total_value_usd": 1_300,
        "total_invested_usd": 1_170,
        "volatility": 0.5,
    } | said


async def _fill(session: AsyncSession) -> None:
    assets = [(await catalog.ensure_asset(session, name)).id for name in ("BTC", "ETH", "OLD")]
    portfolios = [
        _portfolio(1, OPEN, is_public=True, shows_quantities=True),
        _portfolio(2, DISCREET, is_public=True),
        _portfolio(3, PRIVATE, shows_quantities=True),
        _portfolio(4, DELETED, is_public=True, shows_quantities=True, deleted_at=NOON),
    ]
    for each in portfolios:
        await session.execute(insert(Portfolio).values(each))
        place = {"portfolio_id": each["id"], "notes": "secret", "price_change_24h": 1.5}
        for holding in (
            {"asset_id": assets[0], "quantity": 1, "current_price": 800, "total_invested_usd": 600},
            {"asset_id": assets[0], "quantity": Decimal("0.25"), "current_price": 800,
             "total_invested_usd": 300, "exchange_source": "kraken", "wallet_address": "bc1q"},
            {"asset_id": assets[1], "quantity": 3, "current_price": 100, "total_invested_usd": 270},
            {"asset_id": assets[2], "quantity": 0, "current_price": 5, "total_invested_usd": 0},
        ):  # fmt: skip
            await session.execute(insert(HoldingRow).values(place | holding))
        opened = await session.scalar(
            insert(TransactionRow)
            .values(
                portfolio_id=each["id"],
                transaction_date=NOON,
                transaction_type="buy",
                asset_id=assets[0],
                quantity=1,
                recorded_at=NOON,
            )
            .returning(TransactionRow.id)
        )
        await session.execute(
            insert(LotRow).values(
                portfolio_id=each["id"],
                asset_id=assets[0],
                opening_transaction_id=opened,
                position=1,
                acquired_at=NOON,
                quantity=1,
                original_quantity=1,
                cost_basis_usd=600,
            )
        )


@pytest.fixture
async def bob(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """A transaction as Bob, beside what Alice has made public and what she has not."""
    for user, name in ((ALICE, "alice"), (BOB, "bob")):
        async with transaction(engine, user) as session:
            await session.execute(
                text("INSERT INTO users (id, username) VALUES (current_user_id(), :name)"),
                {"name": name},
            )
            if user == ALICE:
                await _fill(session)
    async with transaction(engine, BOB) as session:
        yield session


async def _call(session: AsyncSession, function: str, *arguments: object) -> list[RowMapping]:
    names = [f"a{n}" for n in range(len(arguments))]
    call = text(f"SELECT * FROM {function}({', '.join(f':{name}' for name in names)})")  # noqa: S608
    rows = await session.execute(call, dict(zip(names, arguments, strict=True)))
    return list(rows.mappings())


async def test_an_open_portfolio_shows_what_it_is_worth(bob: AsyncSession) -> None:
    (found,) = await _call(bob, "public_portfolio", OPEN)
    assert (found["name"], found["color"], found["volatility"]) == ("number 1", "#3B82F6", 0.5)
    assert found["total_profit_loss_percentage"] == Decimal("11.11")
    assert {name: found[name] for name in AMOUNTS} == {
        "total_value_usd": 1_300,
        "total_invested_usd": 1_170,
        "total_profit_loss_usd": 130,
    }
    btc, eth = await _call(bob, "public_holdings", OPEN)
    # In whatever place it lies, an asset is one holding.
    assert (btc["symbol"], btc["quantity"], btc["current_value_usd"]) == ("BTC", 1.25, 1000)
    assert (btc["average_buy_price"], btc["profit_loss_usd"]) == (720, 100)
    assert (eth["symbol"], eth["current_price"], eth["price_change_24h"]) == ("ETH", 100, 1.5)
    assert eth["profit_loss_percentage"] == Decimal("11.11")


async def test_a_discreet_portfolio_shows_only_shares(bob: AsyncSession) -> None:
    (found,) = await _call(bob, "public_portfolio", DISCREET)
    assert found["total_profit_loss_percentage"] == Decimal("11.11")
    assert {found[name] for name in AMOUNTS} == {None}
    btc, eth = await _call(bob, "public_holdings", DISCREET)
    assert (btc["weight"], eth["weight"]) == (Decimal("0.7692"), Decimal("0.2308"))
    assert {each[name] for each in (btc, eth) for name in OF_HOLDINGS} == {None}
    assert {name for name, value in btc.items() if value is not None} == {
        "asset_id",
        "symbol",
        "name",
        "weight",
        "price_change_24h",
    }


@pytest.mark.parametrize(
    "portfolio", [PRIVATE, DELETED, UUID(int=0)], ids=["private", "deleted", "unknown"]
)
async def test_what_is_not_public_is_not_there(bob: AsyncSession, portfolio: UUID) -> None:
    assert await _call(bob, "public_portfolio", portfolio) == []
    assert await _call(bob, "public_holdings", portfolio) == []


async def test_nothing_is_told_of_the_owner_or_of_places(bob: AsyncSession) -> None:
    listed = await _call(bob, "list_public_portfolios", 10)
    rows = [*listed, *await _call(bob, "public_holdings", OPEN)]
    assert rows
    for row in rows:
        assert not SECRETS & set(row)
        assert not {str(ALICE), "secret", "bc1q", "kraken"} & set(map(str, row.values()))


async def test_a_price_that_is_not_known_makes_the_shares_unknown(
    engine: AsyncEngine, bob: AsyncSession
) -> None:
    async with transaction(engine, ALICE) as alice:
        await alice.execute(
            update(HoldingRow).where(HoldingRow.quantity == 3).values(current_price=None)
        )
    btc, eth = await _call(bob, "public_holdings", OPEN)
    assert (btc["weight"], eth["weight"]) == (None, None)
    assert (btc["current_value_usd"], eth["current_value_usd"]) == (1000, None)


async def test_what_is_taken_back_is_gone(engine: AsyncEngine, bob: AsyncSession) -> None:
    async with transaction(engine, ALICE) as alice:
        await alice.execute(update(Portfolio).where(Portfolio.id == OPEN).values(is_public=False))
    assert await _call(bob, "public_portfolio", OPEN) == []
    assert [each["id"] for each in await _call(bob, "list_public_portfolios", 10)] == [DISCREET]


async def test_lists_are_ordered_bounded_and_go_on(engine: AsyncEngine, bob: AsyncSession) -> None:
    async with transaction(engine, ALICE) as alice:
        await alice.execute(
            text(
                "INSERT INTO portfolios (name, is_public, created_at)"
                " SELECT 'many ' || n, true, CAST(:noon AS timestamptz) + n / 2 * interval '1 day'"
                " FROM generate_series(10, 259) n"
            ),
            {"noon": NOON},
        )
    pages: list[list[RowMapping]] = []
    while not pages or pages[-1]:
        last = [pages[-1][-1]["created_at"], pages[-1][-1]["id"]] if pages else []
        pages.append(await _call(bob, "list_public_portfolios", 1_000, *last))
    assert [len(page) for page in pages] == [100, 100, 52, 0]
    places = [(each["created_at"], each["id"].bytes) for page in pages for each in page]
    assert places == sorted(places, reverse=True)
    assert len(set(places)) == 252
    assert await _call(bob, "list_public_portfolios", -1) == []


async def test_the_tables_themselves_show_nothing(bob: AsyncSession) -> None:
    for table in (Portfolio, HoldingRow, LotRow, TransactionRow):
        assert await bob.scalar(select(func.count()).select_from(table)) == 0


CHANGES: list[Update] = [
    update(Portfolio).where(Portfolio.id == OPEN).values(name="mine"),
    update(Portfolio).where(Portfolio.is_public).values(user_id=BOB),
    update(Portfolio).values(is_public=True),
    update(HoldingRow).where(HoldingRow.portfolio_id == OPEN).values(quantity=0),
    update(LotRow).values(portfolio_id=DISCREET),
]


@pytest.mark.parametrize("change", CHANGES)
async def test_nobody_else_changes_it(bob: AsyncSession, change: Update) -> None:
    assert (await bob.execute(change.returning(text("1")))).all() == []


async def test_nobody_else_deletes_from_it_or_adds_to_it(bob: AsyncSession) -> None:
    for table in (HoldingRow, LotRow):
        assert (await bob.execute(delete(table).returning(text("1")))).all() == []
    asset = (await _call(bob, "public_holdings", OPEN))[0]["asset_id"]
    gift = {"portfolio_id": OPEN, "asset_id": asset, "quantity": 1, "exchange_source": "gift"}
    with pytest.raises(DBAPIError, match="fk_holdings_portfolios"):
        async with bob.begin_nested():
            await bob.execute(insert(HoldingRow).values(gift))
    with pytest.raises(ForbiddenError, match="row-level security"), translated():
        async with bob.begin_nested():
            await bob.execute(insert(HoldingRow).values(gift | {"user_id": ALICE}))


async def test_what_looks_like_a_table_misleads_no_function(bob: AsyncSession) -> None:
    await bob.execute(
        text("CREATE TEMP TABLE portfolios AS SELECT gen_random_uuid() AS id, true AS is_public")
    )
    assert len(await _call(bob, "list_public_portfolios", 10)) == 2


async def test_even_the_owner_of_the_tables_sees_but_the_public_ones(
    location: Location, bob: AsyncSession
) -> None:
    assert bob.is_active
    owner = create_engine(location.admin_url, role=OWNER_ROLE, pooled=False)
    async with owner.connect() as connection:
        seen = await connection.scalars(select(Portfolio.id))
        assert set(seen) == {OPEN, DISCREET}
        of = await connection.scalars(select(HoldingRow.portfolio_id).distinct())
        assert set(of) == {OPEN, DISCREET}
        await connection.execute(update(Portfolio).values(name="changed"))
        await connection.commit()
    await owner.dispose()
    assert {each["name"] for each in await _call(bob, "list_public_portfolios", 9)} == {
        "number 1",
        "number 2",
    }
