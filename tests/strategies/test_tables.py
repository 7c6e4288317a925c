"""Strategies, their versions for good, and figures that can be figures."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ConflictError, ForbiddenError
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.faults import translated
from seawall.db.series import PERFORMANCE_ANALYTICS, PERFORMANCE_METRICS, ensure_chunks
from seawall.db.session import transaction
from seawall.identity.tables import User
from seawall.market import catalog
from seawall.strategies.tables import (
    Backtest,
    PerformanceAnalytics,
    PerformanceMetric,
    Strategy,
    StrategyVersion,
)

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
NAN, INFINITY = float("nan"), float("inf")


@pytest.fixture
def location(module_location: Location) -> Location:
    """Keep to one database: a test's user sees nothing of another's."""
    return module_location


@pytest.fixture
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """One transaction as a user of the test's own, committed at the test's end."""
    user = uuid4()
    async with transaction(engine, user) as opened:
        await opened.execute(insert(User).values(id=user, username=str(user)))
        yield opened


async def _strategy(session: AsyncSession, **said: Any) -> UUID:
    values = {"name": "Trend", "type": "moving_average", "timeframe": 3600} | said
    made = insert(Strategy).values(values).returning(Strategy.id)
    async with session.begin_nested():
        return (await session.scalars(made)).one()


@pytest.fixture
async def strategy(session: AsyncSession) -> UUID:
    """A strategy with two versions."""
    made = await _strategy(session)
    versions: list[dict[str, Any]] = [
        {"strategy_id": made, "version_number": number, "config": {}} for number in (1, 2)
    ]
    await session.execute(insert(StrategyVersion), versions)
    return made


@pytest.mark.parametrize(
    ("said", "constraint"),
    [
        ({"name": ""}, "name_length"),
        ({"type": ""}, "type"),
        ({"timeframe": 0}, "timeframe"),
        ({"parameters": []}, "objects"),
        ({"config": "text"}, "objects"),
        ({"risk_level": "extreme"}, "risk_level"),
        ({"is_active": True, "deleted_at": NOON}, "active_lives"),
    ],
)
async def test_a_strategy_that_makes_no_sense_is_refused(
    session: AsyncSession, said: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(DBAPIError, match=f'"ck_strategies_{constraint}"'):
        await _strategy(session, **said)


async def test_a_strategy_trades_assets_that_there_are(session: AsyncSession) -> None:
    btc = (await catalog.ensure_asset(session, "BTC")).id
    eth = (await catalog.ensure_asset(session, "ETH")).id
    made = await _strategy(session, assets=[btc, eth])
    for wrong in ([btc, 999_999], [btc, btc], [btc, None]):
        with pytest.raises(DBAPIError, match="are not all there, or one is named twice"):
            async with session.begin_nested():
                await session.execute(update(Strategy).values(assets=wrong))
    found = await session.scalar(select(Strategy.assets).where(Strategy.id == made))
    assert found == [btc, eth]


async def test_a_strategy_runs_only_when_that_is_said(session: AsyncSession) -> None:
    await _strategy(session)
    assert await session.scalar(select(Strategy.is_active)) is False


async def test_names_are_unique_among_the_living(session: AsyncSession) -> None:
    await _strategy(session)
    with pytest.raises(ConflictError, match="uq_strategies_living_name"), translated():
        await _strategy(session, name="TREND")
    await session.execute(update(Strategy).values(deleted_at=NOON))
    await _strategy(session, name="TREND")


@pytest.mark.parametrize(
    "statement",
    [update(StrategyVersion).values(config={"new": 1}), delete(StrategyVersion), delete(Strategy)],
)
async def test_a_version_is_for_good(session: AsyncSession, strategy: UUID, statement: Any) -> None:
    assert strategy is not None
    with pytest.raises(ForbiddenError, match="permission denied"), translated():
        async with session.begin_nested():
            await session.execute(statement)


@pytest.mark.parametrize(
    ("said", "constraint"),
    [
        ({"version_number": 2}, "uq_strategy_versions_"),
        ({"version_number": 0}, "ck_strategy_versions_number"),
        ({"config": [1]}, "ck_strategy_versions_config"),
        ({"created_by": uuid4()}, "ck_strategy_versions_created_by"),
        ({"strategy_id": uuid4()}, "fk_strategy_versions_strategies"),
    ],
)
async def test_a_version_that_makes_no_sense_is_refused(
    session: AsyncSession, strategy: UUID, said: dict[str, Any], constraint: str
) -> None:
    values = {"strategy_id": strategy, "version_number": 3, "config": {}} | said
    with pytest.raises(DBAPIError, match=f'"{constraint}'):
        async with session.begin_nested():
            await session.execute(insert(StrategyVersion).values(values))


async def test_a_version_says_who_made_it_or_that_nobody_did(
    session: AsyncSession, strategy: UUID
) -> None:
    adapted = {"strategy_id": strategy, "version_number": 3, "config": {}, "created_by": None}
    await session.execute(insert(StrategyVersion).values(adapted))
    found = await session.scalars(
        select(StrategyVersion.created_by == StrategyVersion.user_id).order_by(
            StrategyVersion.version_number
        )
    )
    assert list(found) == [True, True, None]


def _backtest(strategy: UUID, **said: Any) -> dict[str, Any]:
    return {
        "strategy_id": strategy,
        "version_number": 2,
        "start_date": NOON,
        "end_date": NOON + timedelta(days=30),
        "initial_capital": 1000,
        "final_capital": 1100,
        "returns": 10.0,
        "trades_count": 7,
        "max_drawdown": 3.5,
        "data_fingerprint": "sha256:0",
    } | said


@pytest.mark.parametrize(
    ("said", "constraint"),
    [
        ({"end_date": NOON}, "ck_backtests_period"),
        ({"initial_capital": 0}, "ck_backtests_capital"),
        ({"final_capital": -1}, "ck_backtests_capital"),
        ({"initial_capital": Decimal("NaN")}, "ck_backtests_not_nan"),
        ({"returns": -100.1}, "ck_backtests_returns"),
        ({"returns": NAN}, "ck_backtests_returns"),
        ({"win_rate": 100.1}, "ck_backtests_percentages"),
        ({"win_rate": NAN}, "ck_backtests_percentages"),
        ({"max_drawdown": -1}, "ck_backtests_percentages"),
        ({"sharpe_ratio": -INFINITY}, "ck_backtests_ratios"),
        ({"profit_factor": INFINITY}, "ck_backtests_ratios"),
        ({"profit_factor": -0.1}, "ck_backtests_ratios"),
        ({"deflated_sharpe_ratio": 1.1}, "ck_backtests_ratios"),
        ({"trades_count": -1}, "ck_backtests_counts"),
        ({"trial_count": 0}, "ck_backtests_counts"),
        ({"data_fingerprint": ""}, "ck_backtests_data_fingerprint"),
        ({"results_data": []}, "ck_backtests_results_data"),
        ({"version_number": 3}, "fk_backtests_strategy_versions"),
    ],
)
async def test_a_backtest_that_makes_no_sense_is_refused(
    session: AsyncSession, strategy: UUID, said: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(DBAPIError, match=f'"{constraint}"'):
        async with session.begin_nested():
            await session.execute(insert(Backtest).values(_backtest(strategy, **said)))


async def test_a_backtest_may_be_of_a_draft_and_leave_open_what_no_trade_tells(
    session: AsyncSession, strategy: UUID
) -> None:
    await session.execute(insert(Backtest).values(_backtest(strategy)))
    draft = _backtest(strategy, version_number=None, trades_count=0, returns=0.0)
    await session.execute(insert(Backtest).values(draft))
    assert list(await session.scalars(select(Backtest.win_rate))) == [None, None]


async def test_a_metric_is_one_per_time_and_name(session: AsyncSession, strategy: UUID) -> None:
    await ensure_chunks(session, PERFORMANCE_METRICS, NOON, NOON)
    values = {"strategy_id": strategy, "time": NOON, "metric_name": "sharpe_ratio", "value": 1.5}
    added = insert(PerformanceMetric)
    await session.execute(added.values(values))
    await session.execute(added.values(values | {"metric_name": "beta"}))
    for said, constraint in (
        ({"value": 2.0}, "performance_metrics_.*pkey"),
        ({"metric_name": ""}, "ck_performance_metrics_name"),
        ({"metric_name": "x", "value": NAN}, "ck_performance_metrics_value"),
        ({"metric_name": "x", "value": -INFINITY}, "ck_performance_metrics_value"),
        ({"strategy_id": uuid4()}, "fk_performance_metrics_strategies"),
    ):
        with pytest.raises(DBAPIError, match=f'"{constraint}"'):
            async with session.begin_nested():
                await session.execute(added.values(values | said))


@pytest.mark.parametrize(
    ("said", "constraint"),
    [
        ({"period": "daily"}, "period"),
        ({"total_return": -101}, "return"),
        ({"total_return": NAN}, "return"),
        ({"win_rate": -1}, "percentages"),
        ({"max_drawdown": 101}, "percentages"),
        ({"sharpe_ratio": NAN}, "ratios"),
        ({"profit_factor": INFINITY}, "ratios"),
        ({"total_trades": -1}, "total_trades"),
        ({"avg_loss": -1}, "amounts"),
        ({"avg_win": Decimal("NaN")}, "not_nan"),
    ],
)
async def test_analytics_that_make_no_sense_are_refused(
    session: AsyncSession, strategy: UUID, said: dict[str, Any], constraint: str
) -> None:
    await ensure_chunks(session, PERFORMANCE_ANALYTICS, NOON, NOON)
    values = {"strategy_id": strategy, "period": "day", "time": NOON} | {
        "total_return": 1.5,
        "max_drawdown": 0.5,
        "total_trades": 0,
    }
    await session.execute(insert(PerformanceAnalytics).values(values))
    with pytest.raises(DBAPIError, match=f'"ck_performance_analytics_{constraint}"'):
        async with session.begin_nested():
            await session.execute(
                insert(PerformanceAnalytics).values(values | {"period": "week"} | said)
            )


async def test_all_that_hangs_on_a_strategy_goes_with_it(
    location: Location, session: AsyncSession, strategy: UUID
) -> None:
    await session.execute(insert(Backtest).values(_backtest(strategy)))
    await session.commit()
    admin = create_engine(location.admin_url, role=None, pooled=False)
    async with admin.begin() as connection:
        await connection.execute(delete(Strategy).where(Strategy.id == strategy))
        for table in ("strategy_versions", "backtests"):
            left = text(f"SELECT count(*) FROM {table} WHERE strategy_id = :strategy")  # noqa: S608 - two constants
            assert await connection.scalar(left, {"strategy": strategy}) == 0
    await admin.dispose()
