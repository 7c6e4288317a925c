"""A trader with rows of every table that ages."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import seawall
from seawall.db.base import Base
from seawall.db.database import Location, open_admin
from seawall.db.engine import OWNER_ROLE
from seawall.db.series import SERIES, ensure_chunks
from seawall.identity.tables import User
from seawall.learning.tables import ModelVersion
from seawall.market import catalog
from seawall.ops.retention import POLICY
from seawall.strategies.tables import Strategy
from seawall.trading.tables import TradingAccount

for _module in walk_packages(seawall.__path__, "seawall."):
    if _module.name.endswith(".tables"):
        import_module(_module.name)


@pytest.fixture
async def owner(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine as the owner of the tables."""
    async with open_admin(location, OWNER_ROLE) as engine:
        yield engine


@pytest.fixture
async def admin(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine as a superuser, who sees and adds rows of every user."""
    async with open_admin(location) as engine:
        yield engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the archive of the test's database is to be."""
    return tmp_path / "archive" / "seawall"


Row = dict[str, Any]


@dataclass(frozen=True)
class Trader:
    """A user, and what their rows hang on."""

    user: UUID
    account: UUID
    strategy: UUID
    symbol: int
    asset: int
    model: int

    def row(self, rule: str, time: datetime) -> Row:
        """Return a row that a rule of the policy is about, with that time."""
        own = {"user_id": self.user}
        pair = own | {"account_id": self.account, "symbol_id": self.symbol}
        series = {"time": time, "ingested_at": time}
        revision = series | {"superseded_at": time}
        candle = {"symbol_id": self.symbol, "open": 2, "high": 3, "low": 1, "close": 2}
        price = {"asset_id": self.asset, "price_usd": 2}
        strategy = own | {"strategy_id": self.strategy, "time": time}
        before = time - timedelta(hours=2)
        ending = own | {"created_at": before}
        rows: dict[str, Row] = {
            "candles below 5m": series | candle | {"timeframe": 60},
            "candles 5m to below 1h": series | candle | {"timeframe": 900},
            "candles 1h to below 1d": series | candle | {"timeframe": 3600},
            "candle_revisions below 5m": revision | candle | {"timeframe": 60},
            "candle_revisions 5m to below 1h": revision | candle | {"timeframe": 900},
            "candle_revisions 1h to below 1d": revision | candle | {"timeframe": 3600},
            "price_history": series | price,
            "price_revisions": revision | price,
            "job_failures": {"job_id": uuid4().int >> 66, "attempt": 1, "task": "risk.remeasure"}
            | {"error": "no prices", "retried": False, "failed_at": time},
            "quotes": series | {"symbol_id": self.symbol, "bid_price": 1, "ask_price": 2},
            "order_books": series | {"symbol_id": self.symbol, "bids": [[1, 2]], "asks": [[3, 4]]},
            "market_trades": series
            | {"symbol_id": self.symbol, "trade_id": 1, "price": 2, "quantity": 3},
            "model_performance": series
            | {"model_version_id": self.model, "symbol_id": self.symbol, "prediction": 1}
            | {"actual": 2, "confidence": 0.5, "latency_ms": 3},
            "performance_metrics": strategy | {"metric_name": "sharpe", "value": 1},
            "performance_analytics": strategy
            | {"period": "day", "total_return": 1, "max_drawdown": 2, "total_trades": 3},
            "fills": pair
            | {"trade_id": uuid4().hex, "side": "buy", "price": 2, "quantity": 3}
            | {"executed_at": time, "created_at": time},
            "orders, ended": pair
            | {"client_order_id": uuid4().hex, "side": "buy", "type": "market", "quantity": 3}
            | {"status": "filled", "filled_quantity": 3, "average_price": 2}
            | {"created_at": before, "updated_at": time},
            "positions, closed": pair
            | {"side": "long", "status": "closed", "quantity": 3, "entry_price": 2}
            | {"current_price": 3, "exit_price": 3, "opened_at": before, "closed_at": time},
            "risk_events, resolved": own
            | {"event_type": "breach", "severity": "info", "details": {"by": [1.5, None]}}
            | {"triggered_at": before, "resolved_at": time},
            "predictions": {"asset_id": self.asset, "prediction_type": "price", "timeframe": "7d"}
            | {"model_version_id": self.model, "predicted_value": 1, "target_date": time}
            | {"prediction_date": time - timedelta(days=7)},
            "user_sessions": ending
            | {"token_hash": _hash(), "refresh_token_hash": _hash(), "ip": "10.0.0.1"}
            | {"expires_at": time - timedelta(hours=1), "refresh_expires_at": time},
            "user_sessions without refresh": ending | {"token_hash": _hash(), "expires_at": time},
            "one_time_tokens": ending
            | {"purpose": "password_reset", "email": "a@example.com", "token_hash": _hash()}
            | {"expires_at": time, "used_at": before},
            "idempotency_keys": ending
            | {"key": uuid4().hex, "request_hash": _hash(), "expires_at": time},
            "guesses": {"what_hash": _hash(), "guessed": 1, "resets_at": time},
            "notifications": own
            | {"type": "note", "title": "Note", "message": "Noted.", "created_at": time},
            "billing_events": {"id": uuid4().hex, "type": "customer.deleted", "facts": {}}
            | {"created_at": time, "proof": b""},
            "outbox": own
            | {"recipient": "a@example.com", "subject": "Hello", "sent_at": time}
            | {"created_at": time},
            "system_logs": {"time": time, "level": "info", "component": "test", "message": "hello"},
        }
        return rows[rule]


def _hash() -> bytes:
    return uuid4().bytes * 2


@pytest.fixture
def trader(admin: AsyncEngine) -> Callable[[], Awaitable[Trader]]:
    """Make a user who trades."""

    async def make() -> Trader:
        user, account, strategy = uuid4(), uuid4(), uuid4()
        async with AsyncSession(admin) as session, session.begin():
            pair = await catalog.ensure_pair(session, "binance", "BTC/USDT")
            version = {"model_name": "model", "version": user.hex}
            model = await session.scalar(
                insert(ModelVersion).values(version).returning(ModelVersion.id)
            )
            assert model is not None
            await session.execute(insert(User).values(id=user, username=user.hex))
            own = {"user_id": user, "name": "Mine"}
            held = own | {"id": account, "currency_asset_id": pair.quote.id}
            await session.execute(insert(TradingAccount).values(held | {"initial_balance": 1}))
            traded = own | {"id": strategy, "type": "trend", "timeframe": 60}
            await session.execute(insert(Strategy).values(traded))
        return Trader(user, account, strategy, pair.id, pair.base.id, model)

    return make


AddRows = Callable[..., Awaitable[None]]


@pytest.fixture
def add_rows(admin: AsyncEngine) -> AddRows:
    """Add a trader's rows of a rule at some times; further columns are put over the usual ones."""

    async def add(trader: Trader, rule: str, *times: datetime, **columns: object) -> None:
        table = next(each.table for each in POLICY if each.name == rule)
        rows = [trader.row(rule, time) | columns for time in times]
        async with AsyncSession(admin) as session, session.begin():
            for series in SERIES:
                if series.table == table:
                    for row in rows:
                        await ensure_chunks(session, series, row["time"], row["time"])
            for row in rows:
                await session.execute(insert(Base.metadata.tables[table]).values(row))

    return add
