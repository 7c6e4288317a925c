"""What the tables of alerts refuse, and how an alert and its history behave."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.alerts.tables import Alert, AlertTriggered, Notification
from seawall.core.errors import ForbiddenError
from seawall.db.base import Base
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.faults import translated
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.identity.tables import User
from seawall.market import catalog
from seawall.portfolios.tables import Portfolio

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
OTHER = UUID(int=7)
HISTORY = {"triggered_at": NOON, "notification_channel": "email"}
NOTIFICATION = {"type": "alert", "title": "BTC", "message": "above 70,000", "created_at": NOON}


@pytest.fixture
async def session(module_location: Location) -> AsyncIterator[AsyncSession]:
    """One transaction on the module's database, undone at the end."""
    engine = create_engine(module_location.url, pooled=False)
    async with transaction(engine, OWNER_ID) as opened:
        await ensure_owner(opened)
        yield opened
        await opened.rollback()
    await engine.dispose()


@pytest.fixture
async def valid(session: AsyncSession) -> dict[str, Any]:
    """An alert on an asset's price."""
    return {
        "alert_type": "price",
        "asset_id": (await catalog.ensure_asset(session, "BTC")).id,
        "condition_type": "price_above",
        "threshold_value": 70_000,
        "title": "BTC is dear",
        "created_at": NOON,
    }


@pytest.fixture
async def portfolio(session: AsyncSession) -> UUID:
    added = insert(Portfolio).values(name="main").returning(Portfolio.id)
    return (await session.scalars(added)).one()


async def _add(session: AsyncSession, table: type[Base], values: dict[str, Any]) -> UUID:
    async with session.begin_nested():
        added: UUID | None = await session.scalar(
            insert(table).values(values).returning(table.__table__.c.id)
        )
    assert added
    return added


async def _refused(
    session: AsyncSession, table: type[Base], values: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=f'"{constraint}"'):
        await _add(session, table, values)


async def test_what_is_not_said_has_its_default(
    session: AsyncSession, valid: dict[str, Any]
) -> None:
    added = await _add(session, Alert, valid)
    found = (await session.scalars(select(Alert).filter_by(id=added))).one()
    assert (found.user_id, found.severity, found.condition) == (OWNER_ID, "info", {})
    assert (found.notification_channels, found.cooldown_hours) == (["email"], 24)
    assert (found.status, found.is_active, found.is_recurring) == ("active", True, False)
    assert (found.is_read, found.is_sent, found.extra) == (False, False, {})


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"alert_type": "weather", "condition_type": "weather_above"}, "alert_type"),
        ({"condition_type": "volume_above"}, "condition_type"),
        ({"condition_type": "price_ABOVE"}, "condition_type"),
        ({"threshold_value": None}, "threshold"),
        ({"threshold_value": None, "condition_type": "price_change_below"}, "threshold"),
        ({"threshold_value": Decimal("NaN")}, "threshold"),
        ({"condition": []}, "condition"),
        ({"condition": {"anything": 1}}, "condition"),
        ({"condition": {"metric": 95}}, "condition"),
        ({"condition": {"metric": ["var_95"]}}, "condition"),
        ({"condition": {"timeframe": "1d"}}, "condition"),
        ({"condition": {"timeframe": 7}}, "condition"),
        ({"condition": {"window_hours": 0}}, "condition"),
        ({"condition": {"window_hours": "24"}}, "condition"),
        ({"condition": {"window_hours": [24]}}, "condition"),
        ({"condition": {"min_confidence": 101}}, "condition"),
        ({"condition": {"min_confidence": None}}, "condition"),
        ({"severity": "high"}, "severity"),
        ({"title": ""}, "title_length"),
        ({"notification_channels": "email"}, "notification_channels"),
        ({"notification_channels": ["email", "pigeon"]}, "notification_channels"),
        ({"notification_channels": [["email"]]}, "notification_channels"),
        ({"notification_channels": {"email": True}}, "notification_channels"),
        ({"status": "asleep"}, "status"),
        ({"cooldown_hours": -1}, "cooldown"),
        ({"current_value": Decimal("NaN")}, "current_value"),
        ({"triggered_at": NOON}, "triggered"),
        ({"triggered_at": LATER, "last_triggered_at": NOON}, "triggered"),
        ({"status": "triggered"}, "status_dated"),
        ({"status": "expired"}, "status_dated"),
        ({"extra": []}, "metadata"),
        ({"expires_at": NOON}, "expires"),
    ],
)
async def test_an_alert_that_makes_no_sense_is_refused(
    session: AsyncSession, valid: dict[str, Any], changes: dict[str, Any], constraint: str
) -> None:
    await _refused(session, Alert, valid | changes, f"ck_alerts_{constraint}")


@pytest.mark.parametrize(
    "changes",
    [
        {"alert_type": "volume", "condition_type": "volume_below"},
        {"condition_type": "price_change_above", "condition": {"window_hours": 24}},
        {
            "alert_type": "prediction",
            "condition_type": "prediction_bearish",
            "threshold_value": None,
            "condition": {"timeframe": "7d", "min_confidence": 80},
        },
        {"alert_type": "whale", "condition_type": "whale_transfer_above"},
        {"alert_type": "risk", "condition_type": "risk_above", "condition": {"metric": "score"}},
        {"notification_channels": []},
        {"notification_channels": ["sms", "push", "webhook", "in_app", "email"]},
        {"threshold_value": -10, "condition_type": "price_change_below"},
        {"status": "expired", "expires_at": LATER},
        {"status": "triggered", "triggered_at": NOON, "last_triggered_at": NOON},
    ],
)
async def test_an_alert_that_makes_sense_is_taken(
    session: AsyncSession, valid: dict[str, Any], changes: dict[str, Any]
) -> None:
    await _add(session, Alert, valid | changes)


@pytest.mark.parametrize(
    ("alert_type", "targets"),
    [
        *((each, {(True, False)}) for each in ("price", "volume", "prediction", "whale")),
        ("portfolio", {(False, True)}),
        ("risk", {(True, False), (False, True)}),
    ],
)
async def test_each_type_is_of_an_asset_or_of_a_portfolio(
    session: AsyncSession,
    valid: dict[str, Any],
    portfolio: UUID,
    alert_type: str,
    targets: set[tuple[bool, bool]],
) -> None:
    for asset in (True, False):
        for whole in (True, False):
            values = valid | {
                "alert_type": alert_type,
                "condition_type": f"{alert_type}_above",
                "asset_id": valid["asset_id"] if asset else None,
                "portfolio_id": portfolio if whole else None,
            }
            if (asset, whole) in targets:
                await _add(session, Alert, values)
            else:
                await _refused(session, Alert, values, "ck_alerts_target")


async def test_whether_it_is_active_and_read_follows(
    session: AsyncSession, valid: dict[str, Any]
) -> None:
    await _add(session, Alert, valid)
    states = select(Alert.is_active, Alert.is_read)
    await session.execute(update(Alert).values(status="paused", read_at=LATER))
    assert (await session.execute(states)).all() == [(False, True)]
    await session.execute(update(Alert).values(status="active", read_at=None))
    assert (await session.execute(states)).all() == [(True, False)]
    changed = await session.scalars(select(Alert.updated_at > NOON))
    assert changed.all() == [True]


async def _bind(session: AsyncSession, user: UUID) -> None:
    bind = text("SELECT set_config('app.user_id', :user, true)")
    await session.execute(bind, {"user": str(user)})


async def test_targets_and_alerts_are_one_s_own(
    session: AsyncSession, valid: dict[str, Any]
) -> None:
    bob, theirs = uuid4(), uuid4()
    await _bind(session, bob)
    await session.execute(insert(User).values(id=bob, username="bob"))
    await session.execute(insert(Portfolio).values(id=theirs, name="main"))
    alert = await _add(session, Alert, valid)
    await _bind(session, OWNER_ID)
    of_portfolio = valid | {
        "alert_type": "portfolio",
        "condition_type": "portfolio_value_below",
        "asset_id": None,
        "portfolio_id": theirs,
    }
    await _refused(session, Alert, of_portfolio, "fk_alerts_portfolios")
    await _refused(
        session, AlertTriggered, HISTORY | {"alert_id": alert}, "fk_alert_history_alerts"
    )


@pytest.mark.parametrize(
    ("table", "changes", "constraint"),
    [
        (AlertTriggered, {"notification_channel": "pigeon"}, "notification_channel"),
        (AlertTriggered, {"notification_status": "lost"}, "notification_status"),
        (AlertTriggered, {"notification_status": "failed"}, "error"),
        (AlertTriggered, {"notification_status": "sent", "error_message": "no"}, "error"),
        (AlertTriggered, {"trigger_value": Decimal("NaN")}, "trigger_value"),
        (Notification, {"type": ""}, "type"),
        (Notification, {"title": ""}, "title_length"),
        (Notification, {"priority": "info"}, "priority"),
        (Notification, {"source_type": "alert"}, "source"),
        (Notification, {"source_id": OTHER}, "source"),
        (Notification, {"source_type": "an alert", "source_id": OTHER}, "source"),
        (Notification, {"read_at": NOON - timedelta(seconds=1)}, "read"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    session: AsyncSession,
    valid: dict[str, Any],
    table: type[Base],
    changes: dict[str, Any],
    constraint: str,
) -> None:
    row = NOTIFICATION
    if table is AlertTriggered:
        row = HISTORY | {"alert_id": await _add(session, Alert, valid)}
    await _refused(session, table, row | changes, f"ck_{table.__tablename__}_{constraint}")
    await _add(session, table, row)


async def test_an_alert_is_told_once_by_each_channel(
    session: AsyncSession, valid: dict[str, Any]
) -> None:
    row = HISTORY | {"alert_id": await _add(session, Alert, valid), "trigger_value": 70_001}
    await _add(session, AlertTriggered, row)
    await _refused(session, AlertTriggered, row, "uq_alert_history_delivery")
    await _add(session, AlertTriggered, row | {"notification_channel": "push"})
    await _add(session, AlertTriggered, row | {"triggered_at": LATER})


async def test_of_the_history_only_the_delivery_changes(
    session: AsyncSession, valid: dict[str, Any]
) -> None:
    added = await _add(session, Alert, valid)
    await _add(session, AlertTriggered, HISTORY | {"alert_id": added})
    await session.execute(
        update(AlertTriggered).values(notification_status="failed", error_message="no route")
    )
    for statement in ("UPDATE alert_history SET triggered_at = now()", "DELETE FROM alert_history"):
        with pytest.raises(ForbiddenError, match="permission denied"), translated():
            async with session.begin_nested():
                await session.execute(text(statement))
    await session.execute(text("DELETE FROM alerts"))
    assert (await session.scalars(select(AlertTriggered.id))).all() == []


async def test_a_notification_is_read_and_no_more(session: AsyncSession) -> None:
    await _add(session, Notification, NOTIFICATION)
    await session.execute(update(Notification).values(read_at=LATER))
    with pytest.raises(ForbiddenError, match="permission denied"), translated():
        await session.execute(update(Notification).values(message="nothing happened"))


async def test_an_alert_goes_with_its_portfolio(location: Location) -> None:
    admin = create_engine(location.admin_url, role=None, pooled=False)
    async with transaction(admin, OWNER_ID) as session:
        await ensure_owner(session)
        portfolio = uuid4()
        await session.execute(insert(Portfolio).values(id=portfolio, name="main"))
        values = {
            "alert_type": "portfolio",
            "condition_type": "portfolio_value_below",
            "portfolio_id": portfolio,
            "threshold_value": 1,
            "title": "It melts",
        }
        await _add(session, Alert, values)
        await session.execute(text("DELETE FROM portfolios"))
        assert (await session.scalars(select(Alert.id))).all() == []
    await admin.dispose()


async def _plan(session: AsyncSession, query: str) -> str:
    await session.execute(text("SET LOCAL enable_seqscan = off"))
    return "\n".join(await session.scalars(text(f"EXPLAIN {query}")))


async def test_active_alerts_and_unread_messages_are_found_by_their_indexes(
    session: AsyncSession,
) -> None:
    active = "SELECT id FROM alerts WHERE asset_id = 1 AND is_active = TRUE"
    assert "idx_alerts_active_asset" in await _plan(session, active)
    unread = "SELECT id FROM notifications WHERE read_at IS NULL ORDER BY created_at DESC"
    assert "idx_notifications_unread" in await _plan(session, unread)
