"""A step back that would lose data is refused, and says what."""

from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import ConflictError, NotFoundError
from seawall.db import migrate
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner


async def _version(engine: AsyncEngine) -> str | None:
    return (await migrate.version(engine)).current


async def _tables(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        return set(
            await connection.scalars(
                text("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
            )
        )


async def test_an_empty_database_loses_nothing(admin: AsyncEngine) -> None:
    await migrate.downgrade(admin, "base")
    assert await _version(admin) is None


async def test_rows_of_a_table_that_goes_are_a_loss(
    admin: AsyncEngine, engine: AsyncEngine
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        await session.execute(
            text("INSERT INTO portfolios (user_id, name) VALUES (:user, 'Mine')"),
            {"user": OWNER_ID},
        )
    before = await _tables(admin)
    with pytest.raises(ConflictError, match=r"would lose .*portfolios \(1 rows\)") as refused:
        await migrate.downgrade(admin, "0003")
    assert "--lose-data" in str(refused.value.hint)
    assert await _version(admin) == migrate.head()
    assert await _tables(admin) == before
    async with transaction(engine, OWNER_ID) as session:
        assert await session.scalar(text("SELECT name FROM portfolios")) == "Mine"
    # Neither is anybody else's row in sight: the policies are forced on the owner as before.
    async with transaction(engine, uuid4()) as session:
        assert await session.scalar(text("SELECT count(*) FROM portfolios")) == 0
    await migrate.downgrade(admin, "0003", lose_data=True)
    assert await _version(admin) == "0003"
    assert "portfolios" not in await _tables(admin)


async def test_values_of_a_column_that_goes_are_a_loss(
    admin: AsyncEngine, engine: AsyncEngine
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await session.execute(
            text(
                "INSERT INTO assets (symbol, name, kind, coingecko_id)"
                " VALUES ('BTC', 'Bitcoin', 'crypto', 'bitcoin')"
            )
        )
    with pytest.raises(ConflictError, match=r"assets\.coingecko_id \(1 rows\)"):
        await migrate.downgrade(admin, "0008")
    assert await _version(admin) == migrate.head()


async def test_what_is_voided_counts_no_more_whatever_the_version(
    admin: AsyncEngine, engine: AsyncEngine
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        await session.execute(
            text("""
                WITH made AS (INSERT INTO portfolios (name) VALUES ('Mine') RETURNING id),
                bitcoin AS (
                    INSERT INTO assets (symbol, name, kind) VALUES ('BTC', 'Bitcoin', 'crypto')
                    RETURNING id
                )
                INSERT INTO transactions (
                    portfolio_id, transaction_date, transaction_type, asset_id, quantity, price_usd,
                    external_id, recorded_at, voided_at, void_kind
                )
                SELECT made.id, now(), 'buy', bitcoin.id, quantity, 1, 'same', now(), at, kind
                FROM made, bitcoin, (VALUES (1, now(), 'row'), (2, NULL, NULL))
                    AS row (quantity, at, kind)
            """)
        )
    with pytest.raises(ConflictError, match=r"transactions\.voided_at \(1 rows\)"):
        await migrate.downgrade(admin, "0032")
    await migrate.downgrade(admin, "0032", lose_data=True)
    async with transaction(engine, OWNER_ID) as session:
        assert list(await session.scalars(text("SELECT quantity FROM transactions"))) == [2]


async def test_an_avatar_that_the_api_would_not_let_in_is_cleared(
    admin: AsyncEngine, engine: AsyncEngine
) -> None:
    await migrate.downgrade(admin, "0033")
    set_to = text("""
        INSERT INTO profiles (avatar_url, bio) VALUES (:url, 'Hello')
        ON CONFLICT (user_id) DO UPDATE SET avatar_url = :url
    """)
    held = text("SELECT avatar_url, bio FROM profiles")
    sound = "https://example.com/a.png?size=[1]&x=%20"
    for url, left in (("http://example.com/a.png", None), (sound, sound)):
        async with transaction(engine, OWNER_ID) as session:
            await ensure_owner(session)
            await session.execute(set_to, {"url": url})
        await migrate.upgrade(admin)
        async with transaction(engine, OWNER_ID) as session:
            assert [tuple(row) for row in await session.execute(held)] == [(left, "Hello")]
        await migrate.downgrade(admin, "0033")


async def test_an_event_of_a_limit_that_goes_is_kept_as_one_of_none(
    admin: AsyncEngine, engine: AsyncEngine
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        await session.execute(
            text("""
                WITH made AS (INSERT INTO risk_limits (max_weight) VALUES (0.5) RETURNING id)
                INSERT INTO risk_events (limit_id, limit_name, event_type, severity)
                SELECT id, 'max_weight', 'limit_breach', 'info' FROM made
            """)
        )
    with pytest.raises(ConflictError, match=r"risk_limits\.max_weight \(1 rows\)"):
        await migrate.downgrade(admin, "0023")
    await migrate.downgrade(admin, "0023", lose_data=True)
    async with transaction(engine, OWNER_ID) as session:
        kept = await session.execute(text("SELECT limit_id, limit_name FROM risk_events"))
        assert [tuple(row) for row in kept] == [(None, None)]


@pytest.mark.parametrize("revision", ["9999", "head", "0000"])
async def test_a_version_that_is_not_before_is_named(admin: AsyncEngine, revision: str) -> None:
    with pytest.raises(NotFoundError, match=f"no version {revision} before {migrate.head()}"):
        await migrate.downgrade(admin, revision)
