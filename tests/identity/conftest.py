"""Rows of one user in every table of users: what tests of their isolation stand on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib import import_module
from pkgutil import walk_packages
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import seawall
from seawall.db.base import Base
from seawall.db.series import SERIES, ensure_chunks
from seawall.db.session import transaction
from seawall.market import catalog
from seawall.market.tables import Symbol

for _module in walk_packages(seawall.__path__, "seawall."):
    if _module.name.endswith(".tables"):
        import_module(_module.name)
TENANTS = [table for table in Base.metadata.sorted_tables if table.info.get("tenant")]
NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
SOON = datetime(2100, 1, 1, tzinfo=UTC)
Row = dict[str, Any]
FillTenant = Callable[..., Awaitable[None]]


@dataclass(frozen=True)
class Ground:
    """A user, a word that is in every text of theirs, and what their rows stand on."""

    user: UUID
    mark: str
    asset: int
    symbol: int
    exchange: int
    portfolio: UUID = field(default_factory=uuid4)
    connection: UUID = field(default_factory=uuid4)
    transaction: UUID = field(default_factory=uuid4)
    session: UUID = field(default_factory=uuid4)
    strategy: UUID = field(default_factory=uuid4)
    account: UUID = field(default_factory=uuid4)
    order: UUID = field(default_factory=uuid4)
    fill: UUID = field(default_factory=uuid4)
    limit: UUID = field(default_factory=uuid4)
    alert: UUID = field(default_factory=uuid4)

    def hash(self, of: str) -> bytes:
        """A hash that nobody else has."""
        return sha256(f"{of} of {self.mark}".encode()).digest()

    def sealed(self) -> bytes:
        """What stands where something sealed is expected."""
        return b"SWS" + self.mark.encode()


def _identity(on: Ground) -> dict[str, list[Row]]:
    mark, email = on.mark, f"{on.mark}@example.com"
    living = {"expires_at": SOON}
    permissions = {"read": True, "trade": False, "manage": False}
    user = {"id": on.user, "username": mark, "email": email, "first_name": on.sealed()}
    return {
        "users": [user | {"password_hash": f"$argon2id${mark}"}],
        "profiles": [{"display_name": mark, "bio": mark, "preferences": {"note": mark}}],
        "user_settings": [{"custom_settings": {"note": mark}}],
        "user_sessions": [
            {"id": on.session, "token_hash": on.hash("token"), "user_agent": mark} | living,
            {"token_hash": on.hash("old token"), "user_agent": mark, "rotated_at": NOON}
            | {"replaced_by": on.session}
            | living,
        ],
        "one_time_tokens": [
            {"purpose": "password_reset", "email": email, "token_hash": on.hash("link")} | living
        ],
        "api_keys": [
            {"name": mark, "prefix": "sw_abcd", "key_hash": on.hash("key")}
            | {"permissions": permissions}
        ],
        "subscriptions": [
            {"tier": "pro", "stripe_customer_id": mark, "stripe_subscription_id": mark}
        ],
        "idempotency_keys": [
            {"key": mark, "request_hash": on.hash("request"), "status_code": 200}
            | {"response": {"note": mark}}
        ],
        "audit_logs": [{"table_name": "users", "operation": "LOGIN", "new_data": {"note": mark}}],
        "notifications": [{"type": "note", "title": mark, "message": mark}],
    }


def _portfolios(on: Ground, portfolio: Row) -> dict[str, list[Row]]:
    mark = on.mark
    inside = {"portfolio_id": on.portfolio}
    of_asset = inside | {"asset_id": on.asset}
    known = {"time": NOON, "known_at": NOON}
    worth = {"total_value_usd": 2000, "total_invested_usd": 1000}
    return {
        "portfolios": [
            {"id": on.portfolio, "name": mark, "description": mark, "risk_score": 50}
            | worth
            | portfolio
        ],
        "exchange_connections": [
            {"id": on.connection, "exchange_id": on.exchange, "name": mark}
            | {"api_key_encrypted": on.sealed(), "api_key_last_four": mark[-4:]}
            | inside
        ],
        "transactions": [
            {"id": on.transaction, "transaction_date": NOON, "transaction_type": "buy"}
            | {"quantity": 2, "price_usd": 500, "notes": mark, "external_id": mark}
            | {"exchange_connection_id": on.connection, "exchange_transaction_id": mark}
            | {"recorded_at": NOON}
            | of_asset
        ],
        "lots": [
            {"opening_transaction_id": on.transaction, "position": 1, "acquired_at": NOON}
            | {"quantity": 2, "original_quantity": 2, "cost_basis_usd": 1000}
            | of_asset
        ],
        "holdings": [
            {"exchange_source": "binance", "wallet_address": mark, "notes": mark}
            | {"quantity": 2, "total_invested_usd": 1000, "current_price": 1000}
            | of_asset
        ],
        "portfolio_snapshots": [{"cash_usd": 0, "holdings_count": 1} | inside | known | worth],
        "portfolio_risk_metrics": [
            {"window_days": 365, "confidence": 0.95, "benchmark": mark, "observations": 9}
            | {"correlation_matrix": {}, "details": {"note": mark}}
            | inside
            | known
        ],
    }


def _strategies(on: Ground) -> dict[str, list[Row]]:
    mark = on.mark
    of_strategy = {"strategy_id": on.strategy}
    return {
        "strategies": [
            {"id": on.strategy, "name": mark, "type": "trend", "timeframe": 3600}
            | {"parameters": {"note": mark}, "assets": [on.asset]}
        ],
        "strategy_versions": [{"version_number": 1, "config": {"note": mark}} | of_strategy],
        "backtests": [
            {"version_number": 1, "start_date": NOON, "end_date": SOON, "returns": 100}
            | {"initial_capital": 1000, "final_capital": 2000, "trades_count": 9}
            | {"max_drawdown": 10, "data_fingerprint": mark}
            | of_strategy
        ],
        "performance_metrics": [{"time": NOON, "metric_name": mark, "value": 1} | of_strategy],
        "performance_analytics": [
            {"period": "day", "time": NOON, "total_return": 1, "max_drawdown": 1}
            | {"total_trades": 9}
            | of_strategy
        ],
    }


def _trading(on: Ground) -> dict[str, list[Row]]:
    mark = on.mark
    of_account = {"account_id": on.account}
    of_pair = of_account | {"symbol_id": on.symbol, "strategy_id": on.strategy}
    entry = {"journal_id": uuid4(), "asset_id": on.asset, "description": mark}
    booked = entry | {"fill_id": on.fill, "effective_at": NOON} | of_account
    return {
        "trading_accounts": [
            {"id": on.account, "name": mark, "currency_asset_id": on.asset, "initial_balance": 1000}
        ],
        "orders": [
            {"id": on.order, "client_order_id": mark, "exchange_order_id": mark, "side": "buy"}
            | {"type": "limit", "price": 1000, "quantity": 2, "status_reason": mark}
            | of_pair
        ],
        "fills": [
            {"id": on.fill, "order_id": on.order, "trade_id": mark, "side": "buy"}
            | {"price": 1000, "quantity": 1, "executed_at": NOON}
            | of_pair
        ],
        "ledger_entries": [
            booked | {"ledger": "assets", "amount": 1},
            booked | {"ledger": "equity", "amount": -1},
        ],
        "positions": [
            {"exchange_position_id": mark, "side": "long", "quantity": 1, "entry_price": 1000}
            | {"current_price": 2000}
            | of_pair
        ],
        "account_risk_metrics": [
            {"time": NOON, "portfolio_value": 2000, "total_exposure": 2000, "margin_used": 0}
            | {"available_margin": 0}
            | of_account
        ],
    }


def _risk(on: Ground) -> dict[str, list[Row]]:
    mark = on.mark
    inside = {"portfolio_id": on.portfolio}
    of_account = {"account_id": on.account}
    return {
        "risk_limits": [
            {"id": on.limit, "max_drawdown": 0.5} | inside,
            {"max_drawdown": 0.5} | of_account,
        ],
        "risk_events": [
            {"limit_id": on.limit, "limit_name": "max_drawdown", "event_type": "breach"}
            | {"severity": "info", "description": mark}
        ],
        "stress_tests": [
            {"scenario_name": mark, "test_date": NOON, "portfolio_value": 2000}
            | {"loss_amount": 1000, "loss_percentage": 50}
            | inside
            | of_account
        ],
        "ai_insights": [
            {"insight_type": "risk", "title": mark, "summary": mark, "facts": {"note": mark}}
            | inside
        ],
        "alerts": [
            {"id": on.alert, "alert_type": "portfolio", "condition_type": "portfolio_loss"}
            | {"title": mark, "message": mark}
            | inside
        ],
        "alert_history": [{"alert_id": on.alert, "notification_channel": "email"}],
    }


async def _ground(session: AsyncSession, user: UUID, mark: str) -> Ground:
    pair = await catalog.ensure_pair(session, "binance", "BTC/USDT")
    exchange = await session.scalar(select(Symbol.exchange_id).where(Symbol.id == pair.id))
    assert exchange is not None
    return Ground(user, mark, asset=pair.base.id, symbol=pair.id, exchange=exchange)


async def _fill(engine: AsyncEngine, user: UUID, mark: str, **portfolio: object) -> None:
    async with transaction(engine, user) as session:
        on = await _ground(session, user, mark)
        rows = (
            _identity(on) | _portfolios(on, portfolio) | _strategies(on) | _trading(on) | _risk(on)
        )
        assert {table.name for table in TENANTS} == set(rows), "a table of users has no row here"
        for series in SERIES:
            if series.tenant:
                await ensure_chunks(session, series, NOON, NOON + timedelta(days=1))
        for table in TENANTS:
            for row in rows[table.name]:
                await session.execute(insert(table).values(row))


@pytest.fixture(scope="session")
def fill_tenant() -> FillTenant:
    """Give a user a valid row in every table of users, as the application bound to that user.

    `mark`, of four characters or more, is in every text of theirs and unlike any other user's;
    further columns are the portfolio's.
    """
    return _fill
