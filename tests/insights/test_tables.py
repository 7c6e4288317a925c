"""What the table of insights refuses, and what becomes of an insight."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ForbiddenError
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.faults import translated
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.identity.tables import User
from seawall.insights.tables import Insight
from seawall.portfolios.tables import Portfolio

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
VALID: dict[str, Any] = {
    "insight_type": "risk_change",
    "title": "Your risk went up",
    "summary": "The 95 % VaR went from 2 to 3 %.",
    "facts": {"var_95": [0.02, 0.03]},
}


@pytest.fixture
async def session(module_location: Location) -> AsyncIterator[AsyncSession]:
    """One transaction on the module's database, undone at the end."""
    engine = create_engine(module_location.url, pooled=False)
    async with transaction(engine, OWNER_ID) as opened:
        await ensure_owner(opened)
        yield opened
        await opened.rollback()
    await engine.dispose()


async def _add(session: AsyncSession, **changes: object) -> UUID:
    async with session.begin_nested():
        added = await session.scalars(insert(Insight).values(VALID | changes).returning(Insight.id))
        return added.one()


async def test_what_is_not_said_has_its_default(session: AsyncSession) -> None:
    added = await _add(session)
    found = (await session.scalars(select(Insight).filter_by(id=added))).one()
    assert (found.user_id, found.verdict, found.actionable) == (OWNER_ID, "unchecked", False)
    assert (found.tags, found.verdict_details, found.portfolio_id) == ([], {}, None)


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"insight_type": "Risk"}, "insight_type"),
        ({"title": ""}, "texts"),
        ({"title": "x" * 256}, "texts"),
        ({"summary": ""}, "texts"),
        ({"facts": []}, "facts"),
        ({"verdict": "likely", "checked_at": NOON}, "verdict"),
        ({"verdict": "verified"}, "checked"),
        ({"checked_at": NOON}, "checked"),
        ({"verdict_details": 1}, "verdict_details"),
        ({"confidence_score": -0.1}, "confidence"),
        ({"confidence_score": 100.1}, "confidence"),
        ({"confidence_score": float("nan")}, "confidence"),
        ({"tags": {"a": 1}}, "tags"),
        ({"risk_level": "none"}, "risk_level"),
        ({"expires_at": NOON, "created_at": NOON}, "expires"),
    ],
)
async def test_an_insight_that_makes_no_sense_is_refused(
    session: AsyncSession, changes: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=f'"ck_ai_insights_{constraint}"'):
        await _add(session, **changes)


async def test_of_a_kept_insight_only_the_verdict_changes(session: AsyncSession) -> None:
    added = await _add(session)
    checked = {"verdict": "refuted", "verdict_details": {"var_95": 0.04}, "checked_at": NOON}
    await session.execute(update(Insight).values(checked))
    rows = await session.execute(select(Insight.id).filter_by(verdict="refuted"))
    assert rows.scalars().all() == [added]
    with pytest.raises(ForbiddenError, match="permission denied"), translated():
        await session.execute(update(Insight).values(summary="All is well."))


async def test_an_insight_is_about_one_s_own_portfolio(session: AsyncSession) -> None:
    bob, portfolio = uuid4(), uuid4()
    bind = text("SELECT set_config('app.user_id', :user, true)")
    await session.execute(bind, {"user": str(bob)})
    await session.execute(insert(User).values(id=bob, username="bob"))
    await session.execute(insert(Portfolio).values(id=portfolio, name="main"))
    await session.execute(bind, {"user": str(OWNER_ID)})
    with pytest.raises(IntegrityError, match="fk_ai_insights_portfolios"):
        await _add(session, portfolio_id=portfolio)


async def test_an_insight_outlives_its_portfolio(location: Location) -> None:
    admin = create_engine(location.admin_url, role=None, pooled=False)
    async with transaction(admin, OWNER_ID) as session:
        await ensure_owner(session)
        portfolio = uuid4()
        await session.execute(insert(Portfolio).values(id=portfolio, name="main"))
        added = await _add(session, portfolio_id=portfolio)
        await session.execute(text("DELETE FROM portfolios"))
        kept = await session.execute(select(Insight.id, Insight.user_id, Insight.portfolio_id))
        assert kept.all() == [(added, OWNER_ID, None)]
    await admin.dispose()
