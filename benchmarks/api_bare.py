"""The bare endpoints that the API is measured beside: FastAPI and asyncpg, and no more."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Request
from pydantic import BaseModel

DSN = "BENCHMARK_DSN"
_CANDLES = """
SELECT time, open, high, low, close, volume, quote_volume, trade_count FROM candles
WHERE symbol_id = $1 AND timeframe = $2 AND time >= $3 AND time < $4 ORDER BY time
"""
_INSERT = "INSERT INTO portfolios (user_id, name) VALUES ($1, $2) RETURNING *"
_QUERY = "SELECT * FROM portfolios WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL"


class Named(BaseModel):
    """A portfolio to be made."""

    name: str


@asynccontextmanager
async def _open(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ[DSN], min_size=5, max_size=15) as pool:
        app.state.pool = pool
        yield


def create_app() -> FastAPI:
    """Make the app; it reads and adds as anybody, and lets everybody ask."""
    app = FastAPI(lifespan=_open)

    @app.get("/{user_id}/{portfolio_id}")
    async def read(request: Request, user_id: UUID, portfolio_id: UUID) -> dict[str, Any]:
        row = await request.app.state.pool.fetchrow(_QUERY, user_id, portfolio_id)
        return dict(row)

    @app.post("/{user_id}", status_code=201)
    async def write(request: Request, user_id: UUID, body: Named) -> dict[str, Any]:
        row = await request.app.state.pool.fetchrow(_INSERT, user_id, body.name)
        return dict(row)

    @app.get("/candles/{symbol_id}/{timeframe}/{since}/{until}")
    async def candles(
        request: Request, symbol_id: int, timeframe: int, since: datetime, until: datetime
    ) -> list[dict[str, Any]]:
        rows = await request.app.state.pool.fetch(_CANDLES, symbol_id, timeframe, since, until)
        return [dict(row) for row in rows]

    return app
