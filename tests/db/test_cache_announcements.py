"""What the database announces of the rows that are cached, and how it is understood."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from uuid import UUID

import asyncpg
import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.db.cache import events
from seawall.db.cache.events import OUTDATED, outdated
from seawall.db.cache.keys import KEYS, OfRows
from seawall.db.database import Location
from seawall.db.engine import libpq_url
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID

MakeRows = Callable[[AsyncEngine], Awaitable[None]]
TOKEN, REFRESH = (hashlib.sha256(each).digest() for each in (b"access", b"refresh"))


@pytest.fixture
async def engine(engine: AsyncEngine, make_rows: MakeRows) -> AsyncEngine:
    """An engine on a database with a row of each kind that is cached."""
    await make_rows(engine)
    return engine


async def change(engine: AsyncEngine, statement: str) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await session.execute(text(statement))


async def _announced(engine: AsyncEngine, location: Location, *statements: str) -> list[str]:
    """Return what is announced when these are committed, up to a marker of our own."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = await asyncpg.connect(libpq_url(location.admin_url))
    await listener.add_listener(events.CHANNEL, lambda *event: heard.put_nowait(event[-1]))
    for statement in (*statements, "SELECT notify_cache('the end')"):
        await change(engine, statement)
    found = []
    async with asyncio.timeout(20):
        while (each := await heard.get()) != '["the end"]':
            found.append(each)
    await listener.close()
    return found


async def test_what_changes_nothing_that_is_cached_is_not_announced(
    engine: AsyncEngine, location: Location
) -> None:
    over = "UPDATE user_sessions SET revoked_at = now() WHERE refresh_expires_at < now()"
    expired = """
        INSERT INTO user_sessions (token_hash, created_at, expires_at)
        VALUES (sha256('x'), now() - interval '2 days', now() - interval '1 day')
    """
    touches = (
        "UPDATE user_sessions SET last_accessed_at = now()",
        "UPDATE users SET last_login_at = now(), status = status",
    )
    undone = "DO $$ BEGIN DELETE FROM strategies; RAISE 'no'; EXCEPTION WHEN OTHERS THEN END $$"
    assert await _announced(engine, location, expired, over, *touches, undone) == []


async def test_announcements_hold_ids_alone(engine: AsyncEngine, location: Location) -> None:
    statements = [
        "INSERT INTO strategies (name, type, timeframe) VALUES ('secret name', 'x', 1)",
        "UPDATE risk_limits SET max_daily_loss = 12345",
        "UPDATE user_sessions SET revoked_at = now(), device_name = 'secret name'",
    ]
    found = [orjson.loads(each) for each in await _announced(engine, location, *statements)]
    (strategy, limits, session) = found
    assert strategy[:2] == ["strategies", str(OWNER_ID)]
    assert str(UUID(strategy[2])) == strategy[2]
    assert limits == ["risk_limits", str(OWNER_ID)]
    # Neither finds a session in the database.
    assert session[0] == "user_sessions"
    assert session[1:] == [hashlib.sha256(each).hexdigest() for each in (TOKEN, REFRESH)]


async def test_every_entry_that_repeats_rows_has_its_triggers(engine: AsyncEngine) -> None:
    ids = {"user_sessions": ("a", "b"), "strategies": ("a", "b"), "risk_limits": ("a",)}
    reached = {slot.entry for table in OUTDATED for slot in OUTDATED[table](*ids[table])}
    assert reached == {key for key in KEYS if isinstance(key, OfRows)}
    async with engine.connect() as connection:
        tables = await connection.scalars(
            text("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'notify_cache'")
        )
        assert set(tables) == {*OUTDATED, "users"}


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "garbage",
        "{}",
        "[]",
        "null",
        '["users"]',
        '["risk_limits"]',
        '["risk_limits", "a", "b"]',
        '[["risk_limits"]]',
        '["user_sessions"]',
    ],
)
def test_what_is_no_announcement_outdates_nothing(garbage: str) -> None:
    assert outdated(garbage) == ()
