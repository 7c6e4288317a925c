"""What the users of the seed to look at hold, and what follows from it: risk, alerts, insights."""

import csv
import io
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.alerts.tables import Alert, AlertTriggered, Notification
from seawall.core.errors import InvalidError
from seawall.core.money import plain
from seawall.core.time import DAY, iso
from seawall.db.base import Base
from seawall.insights.tables import Insight
from seawall.market.pairs import FIAT
from seawall.ops.seeds.claim import EXCHANGE
from seawall.ops.seeds.dev_market import DevMarket
from seawall.portfolios import store
from seawall.portfolios.importers.csv import HEADER, parse_transactions
from seawall.portfolios.schemas import PortfolioRecord
from seawall.portfolios.tables import Portfolio
from seawall.portfolios.transactions import import_transactions
from seawall.risk.limits.tables import RiskEvent, RiskLimit
from seawall.risk.report import report
from seawall.risk.schemas import RiskQuestion, RiskReport
from seawall.risk.tables import StressTest

FEE_SHARE, CENT = Decimal("0.001"), Decimal("0.01")
REPORT_DAYS = (28, 21, 14, 7, 6, 5, 4, 3, 2, 1, 0)
"""Days before the newest prices of which there is a report, and so a snapshot."""


@dataclass(frozen=True, slots=True)
class Trade:
    """One thing that happened so many days before the newest prices."""

    days_ago: int
    kind: str
    asset: str
    quantity: str
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """A portfolio with what happened in it, the oldest first."""

    id: UUID
    name: str
    trades: tuple[Trade, ...]


MAIN = Holder(
    UUID("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"),
    "Main Portfolio",
    (
        Trade(380, "buy", "BTC", "1"),
        Trade(300, "buy", "ETH", "30"),
        Trade(250, "buy", "SOL", "600"),
        Trade(200, "buy", "BTC", "0.5"),
        Trade(120, "sell", "ETH", "5", "taking profit"),
        Trade(100, "sell", "SOL", "100"),
    ),
)
TRADING = Holder(
    UUID("bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb"),
    "Trading Portfolio",
    (
        Trade(330, "deposit", "USD", "60000", "first deposit"),
        Trade(320, "buy", "BTC", "0.25"),
        Trade(310, "buy", "ETH", "6"),
        Trade(210, "stake", "ETH", "4", "staked for rewards"),
        Trade(90, "reward", "ETH", "0.04", "staking reward"),
        Trade(60, "buy", "SHIB", "50000000", "for fun"),
        Trade(30, "sell", "BTC", "0.1"),
        Trade(10, "withdrawal", "USD", "2500"),
    ),
)


async def add_portfolio(
    session: AsyncSession, market: DevMarket, holder: Holder
) -> tuple[PortfolioRecord, RiskReport]:
    """Give the bound user a portfolio, with reports of the last weeks; return the newest."""
    session.add(Portfolio(id=holder.id, name=holder.name, is_primary=True))
    await session.flush()
    portfolio = await store.get_portfolio(session, holder.id)
    written = _transactions(market, holder).encode()
    parsed = parse_transactions(written, market.until, "the seed")
    done = await import_transactions(session, portfolio, parsed)
    if done.rejected:
        raise InvalidError(f"The seed's own transactions do not add up: {done.rejected[0].reason}")
    for days_ago in REPORT_DAYS:
        made = await report(session, portfolio, market.until - days_ago * DAY, RiskQuestion())
    return portfolio, made


def _transactions(market: DevMarket, holder: Holder) -> str:
    """Write what happened as a file, at the prices of its time."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(HEADER.split(","))
    for trade in holder.trades:
        time = iso(market.until - trade.days_ago * DAY)
        price = fee = ""
        if trade.asset not in FIAT and trade.kind in {"buy", "sell", "reward"}:
            paid = market.price(trade.asset, trade.days_ago)
            price = plain(paid)
            share = paid * Decimal(trade.quantity) * FEE_SHARE
            fee = "" if trade.kind == "reward" else str(share.quantize(CENT, ROUND_HALF_EVEN))
        rows.writerow([time, trade.kind, trade.asset, trade.quantity, price, fee, trade.notes])
    return text.getvalue()


async def add_watch(
    session: AsyncSession, market: DevMarket, portfolio: PortfolioRecord, newest: RiskReport
) -> None:
    """Let the bound user watch a portfolio: limits, a stress test, alerts, and an insight."""
    limit = RiskLimit(portfolio_id=portfolio.id, max_drawdown=0.2)
    alert = Alert(
        alert_type="price",
        asset_id=market.pairs["BTC"].base.id,
        condition_type="price_above",
        threshold_value=market.price("BTC", 1),
        title="BTC is above its price of yesterday",
        is_recurring=True,
        notification_channels=["in_app"],
        triggered_at=market.until,
        last_triggered_at=market.until,
        current_value=market.price("BTC"),
        created_at=market.until - 7 * DAY,
    )
    session.add_all([limit, alert])
    await session.flush()
    session.add_all([*_told(market, alert), *_assessed(market, portfolio, newest, limit.id)])
    await session.flush()


def _told(market: DevMarket, alert: Alert) -> list[Base]:
    return [
        AlertTriggered(
            alert_id=alert.id,
            triggered_at=market.until,
            trigger_value=market.price("BTC"),
            notification_channel="in_app",
            notification_status="sent",
        ),
        Notification(
            type="alert",
            title=alert.title,
            message=f"BTC is at {plain(market.price('BTC'))} USD. The price is made up.",
            source_type="alert",
            source_id=alert.id,
            created_at=market.until,
        ),
    ]


def _assessed(
    market: DevMarket, portfolio: PortfolioRecord, newest: RiskReport, limit: UUID
) -> list[Base]:
    drawdown = newest.figures["max_drawdown"] or 0.0
    value = newest.total_value_usd or Decimal(0)
    return [
        RiskEvent(
            limit_id=limit,
            limit_name="max_drawdown",
            event_type="limit_breach",
            severity="warning",
            description=f"The largest drawdown of {portfolio.name} was {drawdown:.1%}.",
            details={"limit": 0.2, "found": drawdown},
            triggered_at=market.until,
        ),
        StressTest(
            portfolio_id=portfolio.id,
            scenario_name="every coin loses a third",
            test_date=market.until,
            portfolio_value=value,
            loss_amount=value / 3,
            loss_percentage=100 / 3,
        ),
        Insight(
            portfolio_id=portfolio.id,
            insight_type="drawdown",
            title="A deep drawdown",
            summary=f"{portfolio.name} has lost up to {drawdown:.1%} from its highest value.",
            facts={"max_drawdown": drawdown},
            verdict="verified",
            checked_at=market.until,
            confidence_score=100,
            tags=[EXCHANGE],
            risk_level="medium",
            expires_at=market.until + timedelta(days=365),
        ),
    ]
