"""The bare endpoint that the API's reads are measured beside: FastAPI and asyncpg, and no more."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Request

DSN = "BENCHMARK_DSN"
_QUERY = "SELECT * FROM portfolios WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL"


@asynccontextmanager
async def _open(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ[DSN], min_size=5, max_size=15) as pool:
        app.state.pool = pool
        yield


def create_app() -> FastAPI:
    """Make the app; it asks for a user's portfolio as anybody, and lets everybody ask."""
    app = FastAPI(lifespan=_open)

    @app.get("/{user_id}/{portfolio_id}")
    async def read(request: Request, user_id: UUID, portfolio_id: UUID) -> dict[str, Any]:
        row = await request.app.state.pool.fetchrow(_QUERY, user_id, portfolio_id)
        return dict(row)

    return app
