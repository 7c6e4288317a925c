"""The policy is about tables as they are, and takes out what has expired and nothing else."""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import DateTime, text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.db.base import Base
from seawall.db.database import Location, open_admin
from seawall.db.engine import OWNER_ROLE
from seawall.db.series import SERIES
from seawall.ops.expire import Expired, expire, find_expired
from seawall.ops.retention import POLICY, Profile, Rule

MakeTrader = Callable[[], Awaitable[Any]]
AddRows = Callable[..., Awaitable[None]]
NOW = datetime(2026, 5, 6, 12, 30, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
LIMITED = [rule for rule in POLICY if rule.standard is not None]
OF_USERS = {rule.name for rule in LIMITED if "user_id" in Base.metadata.tables[rule.table].columns}
STATE = {
    *("users", "profiles", "user_settings", "api_keys", "subscriptions", "system_settings"),
    *("assets", "exchanges", "symbols", "data_coverage", "data_gaps", "encryption_keys"),
    *("portfolios", "exchange_connections", "lots", "holdings", "trading_accounts"),
    *("strategies", "strategy_versions", "risk_limits", "alerts", "model_versions"),
    "measured_midnights",
    # It throws out by itself what it learns least from.
    "experience_replay",
}
"""Tables of what is, which do not grow with time as such."""


async def _apply(owner: AsyncEngine, profile: Profile, folder: Path) -> list[Expired]:
    return [each async for each in expire(owner, profile, NOW, folder)]


def _sum(found: list[Expired]) -> Counter[str]:
    total: Counter[str] = Counter()
    for each in found:
        total[each.rule.name] += each.rows
    return total


def _given(rule: Rule) -> dict[str, datetime]:
    return {"cutoff": NOW} if ":cutoff" in rule.condition else {}


def test_every_table_that_grows_with_time_has_a_rule() -> None:
    ruled = {rule.table for rule in POLICY}
    assert ruled.isdisjoint(STATE)
    assert ruled | STATE == set(Base.metadata.tables)
    assert {series.table for series in SERIES} <= ruled


def test_the_lean_profile_keeps_nothing_longer() -> None:
    for rule in POLICY:
        assert (rule.standard is None) == (rule.lean is None)
        if rule.standard is not None and rule.lean is not None:
            assert timedelta(0) < rule.lean <= rule.standard
    assert len({rule.name for rule in POLICY}) == len(POLICY)


@pytest.mark.parametrize("rule", POLICY, ids=lambda rule: rule.name)
async def test_a_rule_is_about_what_there_is(module_location: Location, rule: Rule) -> None:
    kind = Base.metadata.tables[rule.table].columns[rule.time].type
    assert isinstance(kind, DateTime)
    assert kind.timezone
    query = text(f"SELECT count(*) FROM {rule.table} WHERE ({rule.condition})")  # noqa: S608
    async with open_admin(module_location, OWNER_ROLE) as owner, owner.connect() as connection:
        begun = rule.table == "audit_logs"
        assert await connection.scalar(query, _given(rule)) == begun


@pytest.mark.parametrize("profile", Profile)
async def test_rows_leave_at_their_limit_and_not_a_moment_before(
    owner: AsyncEngine,
    admin: AsyncEngine,
    folder: Path,
    trader: MakeTrader,
    add_rows: AddRows,
    profile: Profile,
) -> None:
    traders = [await trader(), await trader()]
    expected: Counter[str] = Counter()
    for rule in LIMITED:
        cutoff = rule.cutoff(profile, NOW)
        assert cutoff is not None
        for each in traders if rule.name in OF_USERS else traders[:1]:
            await add_rows(each, rule.name, cutoff - MOMENT, cutoff)
            expected[rule.name] += 1
    found = await find_expired(owner, profile, NOW)
    assert _sum(found) == expected
    assert await _apply(owner, profile, folder) == found
    for rule in LIMITED:
        where = f"({rule.condition}) AND {rule.time} IS NOT NULL"
        query = text(f"SELECT {rule.time} FROM {rule.table} WHERE {where}")  # noqa: S608
        async with admin.connect() as connection:
            left = list(await connection.scalars(query, _given(rule)))
        assert left == [rule.cutoff(profile, NOW)] * expected[rule.name], rule.name
    assert await find_expired(owner, profile, NOW) == []
