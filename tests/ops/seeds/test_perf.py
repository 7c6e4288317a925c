"""The seed for measuring: that it is whole and the same, and that what protects rows stays on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import func, make_url, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.audit.verify import verify
from seawall.core.errors import ConflictError, ForbiddenError, InvalidError
from seawall.core.time import now
from seawall.db.base import Base
from seawall.db.database import Location, open_admin
from seawall.db.engine import OWNER_ROLE, create_engine
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.identity.store.users import find_user_by_email
from seawall.identity.tables import User
from seawall.learning.schemas import PredictionTimeframe, PredictionType
from seawall.learning.store import find_prediction
from seawall.market import series
from seawall.market.store import find_assets
from seawall.ops.seeds import market, perf, perf_market
from seawall.ops.seeds.claim import Seed, SeedProfile
from seawall.ops.seeds.ledgers import email, user_id
from seawall.portfolios import store
from seawall.portfolios.portfolios import create_portfolio
from seawall.portfolios.projecting.project import project_holdings
from seawall.portfolios.tables import HoldingRow, LotRow
from seawall.portfolios.valuation import Moment, value_portfolio

USERS, DAYS = 20, 60
NOW = now()
UNTIL = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
TENANTS = ("users", "portfolios", "transactions", "lots", "holdings")
Fingerprint = Callable[..., Awaitable[dict[str, str]]]


async def _seed(location: Location, users: int) -> tuple[Seed, int]:
    return await perf.seed_perf(location, users, NOW, lambda _step, _done, _total: None, days=DAYS)


@pytest.fixture(scope="module", autouse=True)
def _few_quotes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(market, "QUOTE_DAYS", 1)
        yield


@pytest.fixture
def _few_coins(monkeypatch: pytest.MonkeyPatch) -> None:
    # As many as a portfolio has: their prices take the most of a seed's time.
    monkeypatch.setattr(perf_market, "COINS", perf_market.COINS[:20])


@pytest.fixture(scope="module")
def seeded(module_location: Location) -> Location:
    """A seeded database, which the tests only read."""
    found = asyncio.run(_seed(module_location, USERS))
    assert found == (Seed(SeedProfile.PERF, UNTIL, USERS, DAYS), USERS)
    return module_location


@pytest.fixture
async def app(seeded: Location) -> AsyncIterator[AsyncEngine]:
    """An engine on the seeded database, as the application."""
    engine = create_engine(seeded.url, pooled=False)
    yield engine
    await engine.dispose()


async def _ask(location: Location, question: str) -> object:
    async with open_admin(location) as admin, admin.connect() as connection:
        return await connection.scalar(text(question))


@pytest.mark.parametrize(
    ("question", "count"),
    [
        ("FROM users WHERE password_hash IS NULL AND email_verified", USERS),
        ("FROM portfolios", 5 * USERS),
        ("FROM portfolios WHERE is_primary", USERS),
        ("FROM transactions", 100 * USERS),
        ("FROM lots", 100 * USERS),
        ("FROM holdings WHERE current_value_usd > 0", 100 * USERS),
        ("FROM assets WHERE is_simulated", 50),
        ("FROM price_history", 50 * (48 * DAYS + 1)),
        ("FROM price_history WHERE percent_change_7d IS NULL", 0),
        ("FROM price_history_by_day", 50 * (DAYS + 1)),
        ("FROM candles", 50 * (DAYS + 7)),
        ("FROM quotes", 50 * 1_440),
        ("FROM predictions", 50 * 9 * 5),
        ("FROM predictions WHERE actual_value IS NOT NULL", 50 * 3 * (4 + 3 + 0)),
    ],
)
async def test_there_is_as_much_as_was_asked_for(
    seeded: Location, question: str, count: int
) -> None:
    assert await _ask(seeded, f"SELECT count(*) {question}") == count


@pytest.mark.parametrize("user", [0, 7, USERS - 1])
async def test_the_holdings_follow_from_the_transactions(app: AsyncEngine, user: int) -> None:
    async with transaction(app, user_id(user)) as session:
        for portfolio in await store.list_portfolios(session):
            before = await store.list_holdings(session, portfolio.id)
            lots = (await session.scalars(select(LotRow.id).order_by(LotRow.id))).all()
            bought = await store.list_transactions(session, portfolio.id)
            assert len(before) == len(bought) == len({each.asset for each in bought}) == 20
            # The projection writes what differs from what the ledger says.
            later = now()
            await project_holdings(session, portfolio.id, later)
            changed = select(HoldingRow.id).where(HoldingRow.last_updated_at >= later)
            assert (await session.scalars(changed)).all() == []
            assert await store.list_holdings(session, portfolio.id) == before
            assert (await session.scalars(select(LotRow.id).order_by(LotRow.id))).all() == lots
            assert await store.get_portfolio(session, portfolio.id) == portfolio


async def test_a_portfolio_is_worth_what_its_prices_make_it(app: AsyncEngine) -> None:
    async with transaction(app, user_id(3)) as session:
        for portfolio in await store.list_portfolios(session):
            moment = Moment(UNTIL, now())
            found = await value_portfolio(session, portfolio, moment, portfolio.lot_method)
            assert portfolio.total_value_usd == found.total_value
            assert portfolio.total_invested_usd == found.state.totals.cost_basis
            assert portfolio.valued_at == UNTIL
            values = [each.value or Decimal(0) for each in found.holdings]
            assert 0 < min(values) < max(values)


async def test_queries_find_what_is_there(app: AsyncEngine) -> None:
    async with transaction(app, OWNER_ID) as session:
        found = await find_user_by_email(session, email(11))
        assert found is not None
        assert found.id == user_id(11)
        bitcoin = (await find_assets(session, ["BTC"]))["BTC"]
        latest = (await series.latest_prices(session, [bitcoin.id]))[bitcoin.id]
        assert (latest.time, latest.price_usd, latest.rank) == (UNTIL, 40_001.0, 1)
        month = await series.price_history_between(
            session, bitcoin.id, UNTIL - timedelta(days=30), UNTIL
        )
        assert len(month) == 1_441
        predicted = await find_prediction(
            session, bitcoin.id, PredictionType.PRICE, PredictionTimeframe.WEEK
        )
        assert predicted is not None
        assert (predicted.prediction_date, predicted.predicted_value) == (UNTIL, 40_001.0)
        pairs = await session.scalars(text("SELECT id FROM symbols"))
        quotes = [await series.latest_quote(session, pair) for pair in pairs]
        assert {quote.time for quote in quotes if quote} == {UNTIL}
        assert all(
            (q.bid_price or 9e9) < (q.last_price or 0) < (q.ask_price or 0) for q in quotes if q
        )


async def test_row_security_holds(app: AsyncEngine) -> None:
    async with transaction(app, user_id(5)) as session:
        for table, mine in zip(TENANTS, (1, 5, 100, 100, 100), strict=True):
            seen = select(func.count()).select_from(Base.metadata.tables[table])
            assert await session.scalar(seen) == mine


async def test_every_constraint_and_trigger_is_on(seeded: Location) -> None:
    assert await _ask(seeded, "SELECT count(*) FROM pg_trigger WHERE tgenabled <> 'O'") == 0
    assert await _ask(seeded, "SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == 0
    assert (
        await _ask(
            seeded,
            """
            SELECT count(*) FROM lots
            LEFT JOIN transactions t ON t.id = opening_transaction_id
                AND (t.user_id, t.portfolio_id, t.asset_id, t.quantity, t.transaction_date)
                = (lots.user_id, lots.portfolio_id, lots.asset_id, lots.quantity, acquired_at)
            LEFT JOIN portfolios p ON p.id = lots.portfolio_id AND p.user_id = lots.user_id
            WHERE t.id IS NULL OR p.id IS NULL
            """,
        )
        == 0
    )


async def test_the_audit_log_tells_of_the_load_and_goes_on(
    seeded: Location, app: AsyncEngine, tmp_path: Path
) -> None:
    rows = "SELECT count(*) FROM audit_logs WHERE table_name = "
    assert await _ask(seeded, f"{rows}'users'") == 0
    loaded = (
        "SELECT new_data -> 'setting_value' ->> 'users' FROM audit_logs"
        " WHERE table_name = 'system_settings' ORDER BY sequence DESC LIMIT 1"
    )
    assert await _ask(seeded, loaded) == str(USERS)
    async with transaction(app, user_id(1)) as session:
        await create_portfolio(session, user_id(1), "Another")
        logged = await session.scalar(text(f"{rows}'portfolios'"))
        await session.rollback()
    assert logged == 1
    async with open_admin(seeded, OWNER_ROLE) as owner:
        assert (await verify(owner, tmp_path / "anchors", seeded.name)).found == 0


async def test_it_grows_to_the_same_in_whatever_portions(
    seeded: Location,
    location: Location,
    fingerprint: Fingerprint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(perf, "BATCH", 7)
    assert (await _seed(location, 3))[1] == 3
    assert (await _seed(location, USERS))[1] == USERS - 3
    assert (await _seed(location, USERS - 5))[1] == 0
    both = [await fingerprint(each, *TENANTS, without="entry") for each in (seeded, location)]
    assert both[0] == both[1]
    assert len(set(both[0].values())) == len(TENANTS)


@pytest.mark.usefixtures("_few_coins")
async def test_what_fails_is_undone_as_a_whole_and_gone_on_from(
    location: Location, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perf, "BATCH", 2)
    await _seed(location, 2)
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        mine = update(User).where(User.id == OWNER_ID)
        await session.execute(mine.values(email=email(3)))
    with pytest.raises(ConflictError, match="This is there already"):
        await _seed(location, 4)
    assert await _ask(location, "SELECT count(*) FROM users") == 3
    assert await _ask(location, "SELECT count(*) FROM holdings") == 200
    assert await _ask(location, "SELECT count(*) FROM pg_trigger WHERE tgenabled <> 'O'") == 0
    async with transaction(engine, OWNER_ID) as session:
        await session.execute(mine.values(email=None))
    assert (await _seed(location, 4))[1] == 2
    assert await _ask(location, "SELECT count(*) FROM holdings") == 400


async def test_it_never_gets_among_what_is_real(location: Location, engine: AsyncEngine) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        await create_portfolio(session, OWNER_ID, "Savings")
    with pytest.raises(ConflictError, match="has portfolios that no seed put there"):
        await _seed(location, 1)
    assert await _ask(location, "SELECT count(*) FROM price_history") == 0


async def test_a_login_under_row_security_is_told_what_it_lacks(location: Location) -> None:
    lesser = replace(location, admin_url=location.url)
    with pytest.raises(ForbiddenError, match="subject to row security") as refused:
        await _seed(lesser, 1)
    assert "BYPASSRLS" in refused.value.hint


@pytest.mark.usefixtures("_few_coins")
async def test_a_login_that_is_no_superuser_will_do_with_that(location: Location) -> None:
    name = f"loader_{uuid4().hex}"
    member = f"CREATE ROLE {name} LOGIN BYPASSRLS PASSWORD 'made up' IN ROLE {OWNER_ROLE}"
    async with open_admin(location) as admin:
        async with admin.begin() as connection:
            await connection.execute(text(member))
        url = make_url(location.admin_url).set(username=name, password="made up")  # noqa: S106
        theirs = replace(location, admin_url=url.render_as_string(hide_password=False))
        assert (await _seed(theirs, 1))[1] == 1
        assert await _ask(location, "SELECT count(*) FROM holdings") == 100
        async with admin.begin() as connection:
            await connection.execute(text(f"DROP ROLE {name}"))


@pytest.mark.parametrize(("users", "days"), [(0, DAYS), (10**7, DAYS), (1, 5)])
async def test_a_seed_has_bounds(location: Location, users: int, days: int) -> None:
    with pytest.raises(InvalidError, match="A seed has"):
        await perf.seed_perf(location, users, NOW, lambda _step, _done, _total: None, days=days)
