"""The queue's tables are the library's, of the version that the migrations know."""

from hashlib import sha256

import pytest
from procrastinate.schema import SchemaManager
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ForbiddenError
from seawall.db import migrate
from seawall.db.database import Location
from seawall.db.engine import WORKER_ROLE, create_engine
from seawall.db.faults import translated
from seawall.jobs import schema

EVERYTHING = text(
    "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'queue'::regnamespace"
    " UNION ALL SELECT oid::regprocedure::text FROM pg_proc"
    " WHERE pronamespace = 'queue'::regnamespace"
    " UNION ALL SELECT oid::regtype::text FROM pg_type WHERE typnamespace = 'queue'::regnamespace"
    " ORDER BY 1"
)


def test_the_library_s_schema_is_the_one_that_the_migrations_bring() -> None:
    """A newer library needs a migration that runs `steps_after`, and then these two constants."""
    assert schema.installed_version() == schema.VERSION
    assert sha256(schema.whole().encode()).hexdigest() == schema.SHA256
    assert schema.whole() == SchemaManager.get_schema()


def test_the_steps_after_a_version_are_those_that_follow_it() -> None:
    assert schema.steps_after(schema.VERSION) == []
    (last,) = schema.steps_after("03.04.00_01")
    assert "procrastinate_jobs" in last
    assert len(schema.steps_after("")) > 30


async def test_the_database_says_which_version_it_has(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        said = await connection.scalar(
            text("SELECT obj_description(oid) FROM pg_namespace WHERE nspname = 'queue'")
        )
    assert said == f"procrastinate {schema.VERSION}"


async def test_the_queue_goes_with_its_migration_and_comes_back(location: Location) -> None:
    admin = create_engine(location.admin_url, role=None, pooled=False)

    async def there() -> list[str]:
        async with admin.connect() as connection:
            if await connection.scalar(text("SELECT to_regnamespace('queue')")) is None:
                return []
            return list(await connection.scalars(EVERYTHING))

    before = await there()
    assert "queue.procrastinate_jobs" in before
    await migrate.downgrade(admin, "0020")
    assert await there() == []
    await migrate.upgrade(admin)
    assert await there() == before
    await admin.dispose()


async def _refused(engine: AsyncEngine, statement: str) -> None:
    with pytest.raises(ForbiddenError, match="permission denied"), translated():
        async with engine.begin() as connection:
            await connection.execute(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM queue.procrastinate_jobs",
        "DELETE FROM queue.procrastinate_jobs",
        "SELECT queue.procrastinate_finish_job_v1(1, 'failed', true)",
        "SELECT * FROM job_failures",
    ],
)
async def test_the_application_may_only_queue(engine: AsyncEngine, statement: str) -> None:
    await _refused(engine, statement)


async def test_a_worker_may_not_change_what_failed(location: Location) -> None:
    worker = create_engine(location.admin_url, role=WORKER_ROLE)
    await _refused(worker, "DELETE FROM job_failures")
    await _refused(worker, "CREATE TABLE queue.mine ()")
    await worker.dispose()


async def test_the_queue_s_functions_are_not_led_astray(session: AsyncSession) -> None:
    astray = await session.scalars(
        text(
            "SELECT oid::regprocedure::text FROM pg_proc"
            " WHERE pronamespace = 'queue'::regnamespace AND ("
            "     proconfig IS DISTINCT FROM '{\"search_path=queue, pg_temp\"}'"
            "     OR has_function_privilege('public', oid, 'EXECUTE'))"
        )
    )
    assert list(astray) == []
