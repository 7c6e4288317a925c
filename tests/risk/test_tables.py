"""Risk figures that can be figures, one score a day, limits with one scope, events with an end."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ConflictError
from seawall.db.database import Location
from seawall.db.faults import translated
from seawall.db.series import (
    ACCOUNT_RISK_METRICS,
    PORTFOLIO_RISK_METRICS,
    RISK_METRICS,
    ensure_chunks,
)
from seawall.db.session import transaction
from seawall.identity.tables import User
from seawall.market import catalog
from seawall.portfolios.tables import Portfolio
from seawall.risk.limits.tables import RiskEvent, RiskLimit
from seawall.risk.tables import (
    AccountRiskMetrics,
    PortfolioRiskMetrics,
    RiskMetrics,
    RiskScore,
    StressTest,
)
from seawall.trading.tables import TradingAccount

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
NAN, INFINITY = float("nan"), float("inf")
NOT_MONEY = Decimal("NaN")


@pytest.fixture
def location(module_location: Location) -> Location:
    """Keep to one database: a test's user sees nothing of another's."""
    return module_location


@pytest.fixture
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """One transaction as a user of the test's own, undone at the test's end."""
    user = uuid4()
    async with transaction(engine, user) as opened:
        await opened.execute(insert(User).values(id=user, username=str(user)))
        yield opened
        await opened.rollback()


@pytest.fixture
async def btc(session: AsyncSession) -> int:
    """An asset."""
    return (await catalog.ensure_asset(session, "BTC")).id


@pytest.fixture
async def portfolio(session: AsyncSession) -> UUID:
    """A portfolio."""
    return (await session.scalars(insert(Portfolio).values(name="P").returning(Portfolio.id))).one()


@pytest.fixture
async def account(session: AsyncSession, btc: int) -> UUID:
    """A trading account."""
    made = insert(TradingAccount).values(name="A", currency_asset_id=btc, initial_balance=0)
    return (await session.scalars(made.returning(TradingAccount.id))).one()


async def _add(session: AsyncSession, table: type[Any], values: dict[str, Any]) -> Any:
    async with session.begin_nested():
        found = await session.execute(insert(table).values(values).returning(table))
        return found.scalar_one()


@pytest.mark.parametrize(
    ("value", "invested", "profit", "percentage"),
    [
        (Decimal(150), Decimal(120), 30, 25.0),
        (Decimal(90), Decimal(120), -30, -25.0),
        (Decimal(5), Decimal(0), 5, None),
        (None, Decimal(120), None, None),
        (Decimal(150), None, None, None),
    ],
)
async def test_the_profit_of_a_report_follows_from_value_and_cost(
    session: AsyncSession,
    portfolio: UUID,
    value: Decimal | None,
    invested: Decimal | None,
    profit: int | None,
    percentage: float | None,
) -> None:
    await ensure_chunks(session, PORTFOLIO_RISK_METRICS, NOON, NOON)
    report = {"portfolio_id": portfolio, "time": NOON, "known_at": NOON, "window_days": 365} | {
        "confidence": 0.95,
        "benchmark": "BTC",
        "observations": 1,
        "correlation_matrix": {},
        "details": {},
        "total_value_usd": value,
        "total_invested_usd": invested,
    }
    kept = await _add(session, PortfolioRiskMetrics, report)
    assert kept.total_profit_loss_usd == profit
    assert kept.total_profit_loss_percentage == percentage
    for wrong in (-1, NOT_MONEY):
        with pytest.raises(DBAPIError, match='"ck_portfolio_risk_metrics_invested"'):
            await _add(session, PortfolioRiskMetrics, report | {"total_invested_usd": wrong})


@pytest.mark.parametrize(
    ("said", "constraint"),
    [
        ({"window_days": 0}, "window"),
        ({"observations": -1}, "observations"),
        ({"volatility": -0.1}, "volatility"),
        ({"volatility": NAN}, "volatility"),
        ({"max_drawdown": 1.1}, "max_drawdown"),
        ({"max_drawdown": NAN}, "max_drawdown"),
        ({"correlation_btc": -1.1}, "correlations"),
        ({"correlation_sp500": NAN}, "correlations"),
        ({"var_95": -INFINITY}, "finite"),
        ({"var_99": NAN}, "finite"),
        ({"beta": INFINITY}, "finite"),
        ({"kurtosis": NAN, "beta": 1.0}, "finite"),
        ({"downside_deviation": -0.1}, "downside_deviation"),
        ({"downside_deviation": NAN}, "downside_deviation"),
        ({"calmar_ratio": -INFINITY}, "calmar_ratio"),
        ({"calmar_ratio": NAN}, "calmar_ratio"),
    ],
)
async def test_figures_of_an_asset_that_are_none_are_refused(
    session: AsyncSession, btc: int, said: dict[str, Any], constraint: str
) -> None:
    await ensure_chunks(session, RISK_METRICS, NOON, NOON)
    values = {"asset_id": btc, "time": NOON, "window_days": 365, "benchmark_asset_id": btc} | {
        "observations": 1,
        "ingested_at": NOON,
    }
    assert (await _add(session, RiskMetrics, values)).var_95 is None
    with pytest.raises(DBAPIError, match=f'"ck_risk_metrics_{constraint}"'):
        await _add(session, RiskMetrics, values | {"time": NOON + timedelta(days=1)} | said)


@pytest.mark.parametrize(
    ("said", "constraint"),
    [
        ({"total_exposure": -1}, "ck_account_risk_metrics_amounts"),
        ({"margin_used": -1}, "ck_account_risk_metrics_amounts"),
        ({"portfolio_value": NOT_MONEY}, "ck_account_risk_metrics_not_nan"),
        ({"leverage_ratio": -1}, "ck_account_risk_metrics_leverage"),
        ({"leverage_ratio": INFINITY}, "ck_account_risk_metrics_leverage"),
        ({"max_drawdown": -0.1}, "ck_account_risk_metrics_finite"),
        ({"var_95": NAN}, "ck_account_risk_metrics_finite"),
        ({"account_id": uuid4()}, "fk_account_risk_metrics_trading_accounts"),
    ],
)
async def test_figures_of_an_account_that_are_none_are_refused(
    session: AsyncSession, account: UUID, said: dict[str, Any], constraint: str
) -> None:
    await ensure_chunks(session, ACCOUNT_RISK_METRICS, NOON, NOON)
    values = {"account_id": account, "time": NOON, "portfolio_value": -5} | {
        "total_exposure": 100,
        "margin_used": 10,
        "available_margin": 0,
    }
    assert (await _add(session, AccountRiskMetrics, values)).leverage_ratio is None
    with pytest.raises(DBAPIError, match=f'"{constraint}"'):
        await _add(session, AccountRiskMetrics, values | {"time": NOON + timedelta(days=1)} | said)


def _score(asset: int, at: datetime = NOON, **said: Any) -> dict[str, Any]:
    return {"asset_id": asset, "risk_score": 35, "risk_level": "medium", "calculated_at": at} | said


@pytest.mark.parametrize(
    ("said", "constraint"),
    [
        ({"risk_score": -0.1}, "score"),
        ({"risk_score": 100.1}, "score"),
        ({"risk_score": NAN}, "score"),
        ({"risk_level": "critical"}, "level"),
        ({"volatility_score": 101}, "components"),
        ({"liquidity_score": NAN}, "components"),
        ({"social_sentiment_score": -1}, "components"),
        ({"on_chain_score": INFINITY}, "components"),
        ({"audit_status": "pending"}, "audit_status"),
        ({"team_status": "known"}, "team_status"),
        ({"exchange_listings_count": -1}, "listings"),
        ({"factors": [1]}, "factors"),
    ],
)
async def test_a_score_that_makes_no_sense_is_refused(
    session: AsyncSession, btc: int, said: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(DBAPIError, match=f'"ck_risk_scores_{constraint}"'):
        await _add(session, RiskScore, _score(btc, **said))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
async def test_an_asset_is_scored_once_a_day_of_utc(
    session: AsyncSession, btc: int, zone: str
) -> None:
    await session.execute(text("SELECT set_config('timezone', :zone, true)"), {"zone": zone})
    day = datetime(2024, 5, 6, tzinfo=UTC)
    await _add(session, RiskScore, _score(btc, day))
    await _add(session, RiskScore, _score(btc, day - timedelta(microseconds=1)))
    await _add(session, RiskScore, _score(btc, day + timedelta(days=1)))
    last = day + timedelta(days=1, microseconds=-1)
    with pytest.raises(ConflictError, match="calculated_at"), translated():
        await _add(session, RiskScore, _score(btc, last))


async def test_the_latest_scores_are_one_per_asset(session: AsyncSession, btc: int) -> None:
    eth = (await catalog.ensure_asset(session, "ETH")).id
    for days, score in ((0, 40), (2, 60), (1, 50)):
        at = NOON + timedelta(days=days)
        await _add(session, RiskScore, _score(btc, at, risk_score=score))
    await _add(session, RiskScore, _score(eth, risk_score=42))
    rows = await session.execute(
        text("SELECT asset_symbol, risk_score FROM latest_risk_scores ORDER BY asset_symbol")
    )
    assert [tuple(row) for row in rows] == [("BTC", 60), ("ETH", 42)]


async def test_limits_are_one_set_per_scope(
    session: AsyncSession, portfolio: UUID, account: UUID
) -> None:
    scopes: list[dict[str, Any]] = [{}, {"portfolio_id": portfolio}, {"account_id": account}]
    for scope in scopes:
        await _add(session, RiskLimit, {"max_daily_loss": 100} | scope)
    for scope in scopes:
        with pytest.raises(ConflictError, match="uq_risk_limits_scope"), translated():
            await _add(session, RiskLimit, {"max_daily_loss": 200} | scope)


@pytest.mark.parametrize(
    ("said", "constraint"),
    [
        ({"max_position_value": -1}, "amounts"),
        ({"max_daily_loss": -1}, "amounts"),
        ({"max_daily_loss": NOT_MONEY}, "not_nan"),
        ({"max_drawdown": 1.5}, "max_drawdown"),
        ({"max_drawdown": NAN}, "max_drawdown"),
        ({"max_orders_per_hour": -1}, "max_orders"),
    ],
)
async def test_a_limit_that_makes_no_sense_is_refused(
    session: AsyncSession, said: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(DBAPIError, match=f'"ck_risk_limits_{constraint}"'):
        await _add(session, RiskLimit, said)


async def test_a_limit_has_no_two_scopes(
    session: AsyncSession, portfolio: UUID, account: UUID
) -> None:
    with pytest.raises(DBAPIError, match='"ck_risk_limits_one_scope"'):
        await _add(session, RiskLimit, {"portfolio_id": portfolio, "account_id": account})


def _event(**said: Any) -> dict[str, Any]:
    return {"event_type": "limit_breach", "severity": "critical", "triggered_at": NOON} | said


async def test_each_limit_has_one_unresolved_event(session: AsyncSession) -> None:
    limit = (await _add(session, RiskLimit, {})).id
    breach = _event(limit_id=limit, limit_name="max_drawdown")
    await _add(session, RiskEvent, breach)
    await _add(session, RiskEvent, breach | {"limit_name": "max_daily_loss"})
    with pytest.raises(ConflictError), translated():
        await _add(session, RiskEvent, breach)
    await session.execute(update(RiskEvent).values(resolved_at=NOON))
    await _add(session, RiskEvent, breach)
    for _ in range(2):
        await _add(session, RiskEvent, _event(event_type="compliance_violation"))


@pytest.mark.parametrize(
    ("said", "constraint"),
    [
        ({"event_type": "Limit breach"}, "type"),
        ({"event_type": ""}, "type"),
        ({"severity": "fatal"}, "severity"),
        ({"details": []}, "details"),
        ({"limit_name": "max_risk"}, "limit_name"),
        ({"resolved_at": NOON - timedelta(seconds=1)}, "resolved_after"),
        ({"resolved_at": NOON, "resolved_by": uuid4()}, "resolved_by"),
    ],
)
async def test_an_event_that_makes_no_sense_is_refused(
    session: AsyncSession, said: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(DBAPIError, match=f'"ck_risk_events_{constraint}"'):
        await _add(session, RiskEvent, _event(**said))


async def test_who_resolves_an_event_resolves_it_at_some_time(session: AsyncSession) -> None:
    event = await _add(session, RiskEvent, _event())
    with pytest.raises(DBAPIError, match='"ck_risk_events_resolved_by"'):
        async with session.begin_nested():
            await session.execute(update(RiskEvent).values(resolved_by=event.user_id))
    await session.execute(update(RiskEvent).values(resolved_by=event.user_id, resolved_at=NOON))


async def test_an_event_of_a_limit_names_it(session: AsyncSession) -> None:
    limit = (await _add(session, RiskLimit, {})).id
    with pytest.raises(DBAPIError, match='"ck_risk_events_limit"'):
        await _add(session, RiskEvent, _event(limit_id=limit))


def _stress(**said: Any) -> dict[str, Any]:
    return (
        {"scenario_name": "Covid 2020", "test_date": NOON}
        | {
            "portfolio_value": 1000,
            "loss_amount": 500,
            "loss_percentage": 50,
        }
        | said
    )


async def test_a_stress_test_is_of_a_portfolio_or_an_account(
    session: AsyncSession, portfolio: UUID, account: UUID
) -> None:
    await _add(session, StressTest, _stress(portfolio_id=portfolio))
    await _add(session, StressTest, _stress(account_id=account))
    with pytest.raises(DBAPIError, match='"ck_stress_tests_subject"'):
        await _add(session, StressTest, _stress())
    found = select(StressTest.portfolio_id, StressTest.account_id)
    assert set(map(tuple, await session.execute(found))) == {(portfolio, None), (None, account)}


@pytest.mark.parametrize(
    ("said", "constraint"),
    [
        ({"scenario_name": ""}, "ck_stress_tests_scenario"),
        ({"loss_amount": NOT_MONEY}, "ck_stress_tests_not_nan"),
        ({"loss_percentage": NAN}, "ck_stress_tests_loss_percentage"),
        ({"recovery_time_minutes": -1}, "ck_stress_tests_recovery"),
        ({"risk_metrics": []}, "ck_stress_tests_risk_metrics"),
        ({"account_id": uuid4()}, "fk_stress_tests_trading_accounts"),
    ],
)
async def test_a_stress_test_that_makes_no_sense_is_refused(
    session: AsyncSession, portfolio: UUID, said: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(DBAPIError, match=f'"{constraint}"'):
        await _add(session, StressTest, _stress(portfolio_id=portfolio, **said))
