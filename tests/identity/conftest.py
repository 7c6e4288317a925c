"""Rows of one user in every table of users: what tests of their isolation stand on."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any
from uuid import UUID, uuid4

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import SecretStr
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import seawall
from seawall.audit.tables import AuditLog
from seawall.core.keys import KeyStore
from seawall.core.settings import Settings
from seawall.core.signing import read_secret
from seawall.db.base import Base
from seawall.db.cache import Cache
from seawall.db.cache.connect import connect
from seawall.db.engine import WORKER_ROLE, create_engine
from seawall.db.series import SERIES, ensure_chunks
from seawall.db.server.credentials import Access
from seawall.db.session import transaction
from seawall.db.vault import Vault
from seawall.identity import accounts, login
from seawall.identity.desk import Desk
from seawall.identity.evenly import evenly
from seawall.identity.login import LoggedIn
from seawall.identity.mail import list_outbox
from seawall.identity.operators import NewUser, create_user
from seawall.identity.passwords import Passwords
from seawall.identity.schemas import Client, OutboxRecord, UserRecord
from seawall.identity.tables import Subscription
from seawall.market import catalog
from seawall.market.tables import Symbol

for _module in walk_packages(seawall.__path__, "seawall."):
    if _module.name.endswith(".tables"):
        import_module(_module.name)
TENANTS = [table for table in Base.metadata.sorted_tables if table.info.get("tenant")]
NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
SOON = datetime(2100, 1, 1, tzinfo=UTC)
PASSWORD = "correct horse battery staple"  # noqa: S105 - of nobody
CLIENT = Client("192.0.2.7", "test/1", "laptop")
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
    user |= {"recovery_codes": [on.hash("recovery code")]}
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
        "outbox": [{"recipient": email, "subject": mark, "body": on.sealed()}],
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


async def _fill(
    engine: AsyncEngine, admin_url: str, user: UUID, mark: str, **portfolio: object
) -> None:
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
            if table.name != "subscriptions":
                for row in rows[table.name]:
                    await session.execute(insert(table).values(row))
    # The application may not say what a user has paid for.
    worker = create_engine(admin_url, role=WORKER_ROLE, pooled=False)
    async with transaction(worker, user) as session:
        for row in rows["subscriptions"]:
            await session.execute(insert(Subscription).values(row))
    await worker.dispose()


@pytest.fixture(scope="session")
def fill_tenant(access: Access) -> FillTenant:
    """Give a user a valid row in every table of users, as the application bound to that user.

    `mark`, of four characters or more, is in every text of theirs and unlike any other user's;
    further columns are the portfolio's.
    """

    async def fill(engine: AsyncEngine, user: UUID, mark: str, **portfolio: object) -> None:
        name = engine.url.database
        assert name is not None
        await _fill(engine, access.url(name, as_admin=True), user, mark, **portfolio)

    return fill


class Premises:
    """A desk whose hashing is quick and whose clock is set, and what its users read."""

    password, client, moment = PASSWORD, CLIENT, NOON

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def mails(self, email: str) -> list[OutboxRecord]:
        """The mails to a living user, the newest first."""
        found = await login.find(self.desk, email)
        assert found is not None
        return list(await list_outbox(self.desk.engine, self.desk.vault, found.id, 100))

    async def token(self, email: str, subject: str) -> SecretStr:
        """The token in the newest mail of a subject."""
        for mail in await self.mails(email):
            if mail.subject == subject and mail.body is not None:
                (found,) = re.findall(r"^[\w-]{43}$", mail.body.get_secret_value(), re.MULTILINE)
                return SecretStr(found)
        raise AssertionError(subject)

    async def user(self, email: str, password: str = PASSWORD) -> UserRecord:
        """A user who may log in."""
        return await create_user(self.desk, NewUser(email, password=SecretStr(password)))

    async def log_in(self, email: str, password: str = PASSWORD, **more: Any) -> LoggedIn:
        """Let a user in."""
        client = more.pop("client", CLIENT)
        return await login.log_in(
            self.desk, login.Attempt(email, SecretStr(password), client, **more)
        )

    async def entries(self, user: UUID) -> list[tuple[str, Any]]:
        """What the audit log was told of logins."""
        async with transaction(self.desk.engine, user) as session:
            query = select(AuditLog.operation, AuditLog.new_data).order_by(AuditLog.sequence)
            found = await session.execute(query.where(AuditLog.operation.like("LOG%")))
            return [(operation, data) for operation, data in found]


@pytest.fixture
async def premises(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Premises]:
    """Where users are let in, on the test's database."""
    settings = Settings(home=tmp_path / "home")
    # No test is to run into the next window of counting.
    cache = Cache(await connect(settings), f"test:{uuid4().hex}", clock=lambda: NOON)
    desk = Desk(
        engine,
        cache,
        Vault(KeyStore(settings)),
        settings,
        read_secret(settings),
        Passwords(Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)),
        clock=lambda: NOON,
    )
    yield Premises(desk)
    await cache.close()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Answers that take equally long take no time at all, but where that is tested.
    monkeypatch.setattr(accounts, "evenly", lambda: evenly(0))
