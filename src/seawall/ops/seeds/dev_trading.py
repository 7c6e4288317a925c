"""What one user of the seed to look at trades: a strategy, and a paper account that follows it."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import DAY
from seawall.db.base import Base
from seawall.db.series import (
    ACCOUNT_RISK_METRICS,
    PERFORMANCE_ANALYTICS,
    PERFORMANCE_METRICS,
    ensure_chunks,
)
from seawall.market.store import SymbolRecord
from seawall.ops.seeds.claim import EXCHANGE
from seawall.ops.seeds.dev_market import DevMarket
from seawall.risk.tables import AccountRiskMetrics
from seawall.strategies.tables import (
    Backtest,
    PerformanceAnalytics,
    PerformanceMetric,
    Strategy,
    StrategyVersion,
)
from seawall.trading.tables import Fill, LedgerEntry, Order, Position, TradingAccount

CAPITAL = Decimal(10_000)
QUANTITY = Decimal("0.1")
OPENED_DAYS_AGO = 5
FEE_SHARE = Decimal("0.001")
CONFIG = {"fast": 10, "slow": 30, "share": 0.5}


async def add_trading(session: AsyncSession, market: DevMarket) -> None:
    """Make the bound user a trader."""
    pair = market.pairs["BTC"]
    strategy = await _add_strategy(session, market, pair)
    account = TradingAccount(name="Paper", currency_asset_id=pair.quote.id, initial_balance=CAPITAL)
    session.add(account)
    await session.flush()
    deposited = market.until - (OPENED_DAYS_AGO + 1) * DAY
    deposit = uuid4()
    session.add_all(
        LedgerEntry(
            account_id=account.id,
            journal_id=deposit,
            ledger=ledger,
            asset_id=pair.quote.id,
            amount=amount,
            description="first deposit",
            effective_at=deposited,
        )
        for ledger, amount in (("assets", CAPITAL), ("equity", -CAPITAL))
    )
    await _add_position(session, market, account.id, strategy)
    # At the end of the transaction, bound to another user, it would find no journal to check.
    await session.execute(text("SET CONSTRAINTS check_journal IMMEDIATE"))


async def _add_strategy(session: AsyncSession, market: DevMarket, pair: SymbolRecord) -> UUID:
    strategy = Strategy(
        name="Moving averages",
        description="Holds while the fast average is above the slow one.",
        type="moving_average_cross",
        timeframe=86_400,
        parameters=CONFIG,
        config={"mode": "paper"},
        assets=[pair.base.id],
        risk_level="medium",
        is_active=True,
    )
    session.add(strategy)
    await session.flush()
    session.add(StrategyVersion(strategy_id=strategy.id, version_number=1, config=CONFIG))
    await session.flush()
    until = market.until
    for series in (PERFORMANCE_METRICS, PERFORMANCE_ANALYTICS):
        await ensure_chunks(session, series, until - DAY, until)
    session.add_all(
        [
            Backtest(
                strategy_id=strategy.id,
                version_number=1,
                start_date=until - timedelta(days=365),
                end_date=until,
                initial_capital=CAPITAL,
                final_capital=CAPITAL * Decimal("1.08"),
                returns=8.0,
                win_rate=52.0,
                trades_count=25,
                max_drawdown=14.0,
                sharpe_ratio=0.6,
                profit_factor=1.2,
                deflated_sharpe_ratio=0.55,
                seed=1,
                data_fingerprint="made up",
            ),
            PerformanceMetric(
                strategy_id=strategy.id, time=until, metric_name="sharpe_ratio", value=0.6
            ),
            PerformanceAnalytics(
                strategy_id=strategy.id,
                period="month",
                time=until,
                total_return=1.5,
                sharpe_ratio=0.6,
                max_drawdown=3.0,
                win_rate=50.0,
                profit_factor=1.2,
                total_trades=2,
                avg_win=Decimal(120),
                avg_loss=Decimal(60),
            ),
        ]
    )
    return strategy.id


async def _add_position(
    session: AsyncSession, market: DevMarket, account: UUID, strategy: UUID
) -> None:
    """Buy at the market, as the order, its fill, the journal and the position tell it."""
    pair, opened = market.pairs["BTC"], market.until - OPENED_DAYS_AGO * DAY
    price = market.price("BTC", OPENED_DAYS_AGO)
    cost, fee = price * QUANTITY, price * QUANTITY * FEE_SHARE
    order = Order(
        account_id=account,
        symbol_id=pair.id,
        strategy_id=strategy,
        client_order_id=f"{EXCHANGE}-1",
        side="buy",
        type="market",
        quantity=QUANTITY,
        filled_quantity=QUANTITY,
        average_price=price,
        fees=fee,
        status="filled",
        created_at=opened,
    )
    session.add(order)
    await session.flush()
    fill = Fill(
        account_id=account,
        symbol_id=pair.id,
        order_id=order.id,
        strategy_id=strategy,
        trade_id=f"{EXCHANGE}-1",
        side="buy",
        price=price,
        quantity=QUANTITY,
        fee=fee,
        fee_asset_id=pair.quote.id,
        executed_at=opened,
    )
    session.add(fill)
    await session.flush()
    moved = (
        ("assets", pair.base.id, QUANTITY),
        ("trading", pair.base.id, -QUANTITY),
        ("assets", pair.quote.id, -cost - fee),
        ("trading", pair.quote.id, cost),
        ("fees", pair.quote.id, fee),
    )
    journal = uuid4()
    exposure, cash = market.price("BTC") * QUANTITY, CAPITAL - cost - fee
    await ensure_chunks(session, ACCOUNT_RISK_METRICS, market.until, market.until)
    rows: list[Base] = [
        LedgerEntry(
            account_id=account,
            journal_id=journal,
            ledger=ledger,
            asset_id=asset,
            amount=amount,
            fill_id=fill.id,
            effective_at=opened,
        )
        for ledger, asset, amount in moved
    ]
    rows += [
        Position(
            account_id=account,
            symbol_id=pair.id,
            strategy_id=strategy,
            side="long",
            quantity=QUANTITY,
            entry_price=price,
            current_price=market.price("BTC"),
            fees=fee,
            stop_loss=price * Decimal("0.9"),
            opened_at=opened,
        ),
        AccountRiskMetrics(
            account_id=account,
            time=market.until,
            portfolio_value=cash + exposure,
            total_exposure=exposure,
            margin_used=0,
            available_margin=cash,
            leverage_ratio=float(exposure / (cash + exposure)),
        ),
    ]
    session.add_all(rows)
    await session.flush()
