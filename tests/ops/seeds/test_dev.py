"""The seed to look at: what it holds, that it is whole, and where it is refused."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.audit.verify import verify
from seawall.core.crypto import Place
from seawall.core.errors import ConflictError
from seawall.core.keys import KeyStore
from seawall.core.settings import Settings
from seawall.core.time import now
from seawall.db.base import Base
from seawall.db.database import Location, open_admin
from seawall.db.engine import OWNER_ROLE, WORKER_ROLE, create_engine
from seawall.db.session import transaction
from seawall.db.vault import Vault
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.identity.store.users import find_user_by_email
from seawall.identity.tables import User
from seawall.market import series
from seawall.market.store import list_assets
from seawall.ops.seeds.claim import Seed
from seawall.ops.seeds.dev import PEOPLE, seed_dev
from seawall.portfolios import store
from seawall.portfolios.portfolios import create_portfolio
from seawall.portfolios.valuation import begin, value_portfolio

ADMIN, PRO, FREE = (person.id for person in PEOPLE)
SHOWN = (
    *("users", "profiles", "user_settings", "subscriptions", "exchange_connections"),
    *("assets", "symbols", "candles", "price_history", "quotes", "order_books", "data_coverage"),
    *("social_sentiment_history", "onchain_history", "risk_scores"),
    *("portfolios", "transactions", "lots", "holdings", "portfolio_snapshots"),
    *("portfolio_risk_metrics", "risk_limits", "risk_events", "stress_tests"),
    *("strategies", "strategy_versions", "backtests", "performance_analytics"),
    *("trading_accounts", "ledger_entries", "orders", "fills", "positions", "active_portfolio"),
    *("model_versions", "predictions", "model_performance", "market_regimes"),
    *("alerts", "alert_history", "notifications", "ai_insights", "system_logs", "audit_logs"),
)


async def _seed(location: Location, home: Path) -> tuple[Seed, int]:
    async with open_admin(location, WORKER_ROLE) as worker:
        vault = Vault(KeyStore(Settings(home=home)))
        return await seed_dev(worker, vault, now(), lambda _step, _done, _total: None)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the keys of the seeded database are."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def seeded(module_location: Location, home: Path) -> Location:
    """A seeded database, which the tests only read."""
    _, added = asyncio.run(_seed(module_location, home))
    assert added == 3
    return module_location


@pytest.fixture
async def app(seeded: Location) -> AsyncIterator[AsyncEngine]:
    """An engine on the seeded database, as the application."""
    engine = create_engine(seeded.url, pooled=False)
    yield engine
    await engine.dispose()


async def test_a_second_run_changes_nothing(
    seeded: Location, home: Path, fingerprint: Callable[..., Awaitable[dict[str, str]]]
) -> None:
    before = await fingerprint(seeded)
    _, added = await _seed(seeded, home)
    assert added == 0
    assert await fingerprint(seeded) == before
    assert len(before) > 60


async def test_the_users_are_the_design_s_and_no_password_lets_them_in(
    app: AsyncEngine, home: Path
) -> None:
    vault = Vault(KeyStore(Settings(home=home)))
    found = []
    for user in (ADMIN, PRO, FREE):
        async with transaction(app, user) as session:
            row = (await session.scalars(select(User))).one()
            assert row.first_name is not None
            place = Place("users", "first_name", user, user)
            name = vault.open(row.first_name, place).get_secret_value()
            found.append((str(row.id)[0], row.email, row.tier, name, row.is_superuser))
            login = await find_user_by_email(session, str(row.email).upper())
            assert login is not None
            assert (login.id, login.password_hash, login.email_verified) == (user, None, True)
    assert found == [
        ("1", "admin@cryptosense.dev", "power-trader", "Admin", False),
        ("2", "pro@cryptosense.dev", "pro", "Pro User", False),
        ("3", "free@cryptosense.dev", "free", "Free User", False),
    ]


async def _held(session: AsyncSession, name: str) -> tuple[UUID, dict[str, Decimal]]:
    portfolio = await store.find_portfolio(session, name)
    assert portfolio is not None
    held = {each.asset: each.quantity for each in await store.list_holdings(session, portfolio.id)}
    return portfolio.id, held


async def test_the_holdings_are_the_design_s(app: AsyncEngine) -> None:
    async with transaction(app, ADMIN) as session:
        portfolio, held = await _held(session, "Main Portfolio")
        assert str(portfolio) == "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
        assert held == {"BTC": Decimal("1.5"), "ETH": 25, "SOL": 500}
    async with transaction(app, PRO) as session:
        portfolio, held = await _held(session, "Trading Portfolio")
        assert str(portfolio) == "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb"
        assert held.keys() == {"BTC", "ETH", "SHIB", "USD"}
    async with transaction(app, FREE) as session:
        assert await store.list_portfolios(session) == []


@pytest.mark.parametrize(
    ("user", "name", "total"),
    [(ADMIN, "Main Portfolio", 171_000), (PRO, "Trading Portfolio", None)],
)
async def test_what_is_stored_is_what_is_computed(
    app: AsyncEngine, user: UUID, name: str, total: int | None
) -> None:
    async with transaction(app, user) as session:
        portfolio = await store.find_portfolio(session, name)
        assert portfolio is not None
        moment = await begin(session, portfolio, None)
        computed = await value_portfolio(session, portfolio, moment, portfolio.lot_method)
        stored = {each.asset: each for each in await store.list_holdings(session, portfolio.id)}
    assert portfolio.total_value_usd == computed.total_value
    assert total in (None, computed.total_value)
    assert portfolio.total_profit_loss_usd == computed.unrealised_profit
    assert None not in (portfolio.volatility, portfolio.sharpe_ratio, portfolio.max_drawdown)
    assert stored.keys() == {each.asset for each in computed.holdings}
    for each in computed.holdings:
        found = stored[each.asset]
        assert (found.quantity, found.staked) == (each.holding.quantity, each.holding.staked)
        assert found.average_buy_price == each.holding.average_cost
        assert found.current_value_usd == each.value
        assert found.profit_loss_usd == each.unrealised_profit


async def test_a_chart_ends_where_the_portfolios_are_valued(app: AsyncEngine) -> None:
    async with transaction(app, ADMIN) as session:
        newest = await session.scalar(text("SELECT max(time) FROM portfolio_snapshots"))
        assets = {asset.symbol: asset for asset in await list_assets(session)}
        prices = await series.latest_prices(session, [each.id for each in assets.values()])
    latest = {symbol: prices[asset.id] for symbol, asset in assets.items() if asset.id in prices}
    wanted = {"BTC": 43_000, "ETH": 2_300, "SOL": 98, "SHIB": 0.0000095}
    assert {symbol: each.price_usd for symbol, each in latest.items()} == wanted
    assert {each.time for each in latest.values()} == {newest}
    assert {symbol: each.rank for symbol, each in latest.items()}["BTC"] == 1


async def test_every_coin_is_marked_as_made_up(app: AsyncEngine) -> None:
    async with transaction(app, OWNER_ID) as session:
        simulated = {asset.symbol: asset.is_simulated for asset in await list_assets(session)}
    assert simulated == {"BTC": True, "ETH": True, "SHIB": True, "SOL": True, "USD": False}


async def test_there_is_something_for_every_page(app: AsyncEngine) -> None:
    async with transaction(app, PRO) as session:
        counts = {
            name: await session.scalar(select(func.count()).select_from(text(name)))
            for name in SHOWN
        }
    assert [name for name, count in counts.items() if not count] == []


async def test_the_account_holds_what_its_ledger_says(app: AsyncEngine) -> None:
    ledger, account = (
        Base.metadata.tables[name] for name in ("ledger_entries", "trading_accounts")
    )
    async with transaction(app, PRO) as session:
        moved = select(func.sum(ledger.c.amount)).join(
            account, account.c.currency_asset_id == ledger.c.asset_id
        )
        held = await session.scalar(moved.where(ledger.c.ledger == "assets"))
        assert held == await session.scalar(select(account.c.balance))
        risk = (await session.execute(text("SELECT * FROM account_risk_metrics"))).one()
        assert risk.portfolio_value == held + risk.total_exposure


async def test_the_audit_log_tells_of_it_and_holds(seeded: Location, tmp_path: Path) -> None:
    async with open_admin(seeded, OWNER_ROLE) as owner:
        found = await verify(owner, tmp_path / "anchors", seeded.name)
    assert (found.found, found.chains) == (0, 4)


@pytest.mark.parametrize("owned", ["asset", "portfolio", "user"])
async def test_it_never_gets_among_what_is_real(
    location: Location, engine: AsyncEngine, tmp_path: Path, owned: str
) -> None:
    other = UUID(int=7)
    async with transaction(engine, other if owned == "user" else OWNER_ID) as session:
        if owned == "asset":
            await session.execute(
                text("INSERT INTO assets (symbol, name, kind) VALUES ('BTC', 'Bitcoin', 'crypto')")
            )
        elif owned == "portfolio":
            await ensure_owner(session)
            await create_portfolio(session, OWNER_ID, "Savings")
        else:
            await session.execute(insert(User).values(id=other, username="somebody"))
    with pytest.raises(ConflictError, match=f"has .*{owned}s.* that no seed put there"):
        await _seed(location, tmp_path)
    async with transaction(engine, OWNER_ID) as session:
        assert await session.scalar(text("SELECT count(*) FROM system_settings")) == 0
        assert await session.scalar(text("SELECT count(*) FROM price_history")) == 0


async def test_one_who_only_looked_around_may_seed(
    location: Location, engine: AsyncEngine, tmp_path: Path
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
    first, again = await asyncio.gather(_seed(location, tmp_path), _seed(location, tmp_path))
    assert sorted([first[1], again[1]]) == [0, 3]
