"""What the tests of tasks share: a worker's engine, what a task is given, what is queued."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.settings import load_settings
from seawall.db.database import Location
from seawall.db.engine import WORKER_ROLE, create_engine
from seawall.jobs.crew import Given


@pytest.fixture
async def worker(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine that acts as a worker."""
    made = create_engine(location.admin_url, role=WORKER_ROLE)
    yield made
    await made.dispose()


@pytest.fixture
def given(worker: AsyncEngine) -> Given:
    """What a task is given, of a job that is not in the queue."""
    return Given(worker, load_settings(), 0)


@pytest.fixture
def queued(worker: AsyncEngine) -> Callable[[], Awaitable[list[tuple[str, dict[str, Any]]]]]:
    """Return the names and ids of the jobs that wait, in their order."""

    async def read() -> list[tuple[str, dict[str, Any]]]:
        async with worker.connect() as connection:
            rows = await connection.execute(
                text(
                    "SELECT task_name, args FROM queue.procrastinate_jobs"
                    " WHERE status = 'todo' ORDER BY id"
                )
            )
            return [(name, ids) for name, ids in rows]

    return read
