"""What the tests of the database layer share."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.db.session import transaction

Begin = Callable[[UUID], AbstractAsyncContextManager[AsyncSession]]
Rows = Callable[[AsyncSession, str], Awaitable[list[tuple[object, ...]]]]


@pytest.fixture
def begin(engine: AsyncEngine) -> Begin:
    """Open a transaction as a user; several may be open at once."""
    return partial(transaction, engine)


@pytest.fixture
def rows() -> Rows:
    """Return the rows of a plain query as tuples."""

    async def fetch(session: AsyncSession, query: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await session.execute(text(query))]

    return fetch
