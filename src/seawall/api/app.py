"""The app: its routes, its edge, and what it opens when it starts."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from fastapi import FastAPI

from seawall import __version__
from seawall.api import health
from seawall.api.aside import Bench
from seawall.api.compression import Compression
from seawall.api.deadline import Deadline
from seawall.api.edge import Edge
from seawall.api.errors import MEDIA_TYPE, RESPONSES, handle_errors
from seawall.api.fields import Fields, describe
from seawall.api.operations import SCHEMES, stand_before
from seawall.api.schema_names import rename
from seawall.api.shares import Lookups, Shares
from seawall.api.streams import routes as streams
from seawall.api.v1 import (
    account,
    attribution,
    audit,
    auth,
    billing,
    events,
    leaving,
    limits,
    market,
    optimise,
    performance,
    portfolios,
    reports,
    risk,
    scenarios,
    scores,
    transactions,
    voids,
    whatif,
)
from seawall.core.settings import load_settings
from seawall.db.cache import follow, open_cache
from seawall.db.database import open_database
from seawall.db.journal import journal
from seawall.db.watch import watching
from seawall.identity.desk import Desk, open_desk

_ABOUT = (
    "Portfolios, their risk, and the account of whoever asks. Money is text, times are UTC, lists"
    " come in pages, and errors are problem details (RFC 9457)."
)

_MODULES = (
    account,
    attribution,
    audit,
    auth,
    billing,
    events,
    health,
    leaving,
    limits,
    market,
    optimise,
    performance,
    portfolios,
    reports,
    risk,
    scenarios,
    scores,
    streams,
    transactions,
    voids,
    whatif,
)


def build_app(desk: Desk | None = None) -> FastAPI:
    """Make the app; without a desk it opens the installation's own when it starts."""
    app = FastAPI(
        title="Seawall",
        version=__version__,
        description=_ABOUT,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_open if desk is None else None,
        redirect_slashes=False,
    )
    app.state.bench = Bench()
    app.state.shares = Shares()
    app.state.lookups = Lookups()
    app.state.readiness = health.Readiness()
    if desk is not None:
        app.state.desk = desk
    for router in _MODULES:
        app.router.routes.extend(router.router.routes)
    stand_before(app)
    handle_errors(app)
    app.add_middleware(Fields)
    app.add_middleware(Compression)
    app.add_middleware(Deadline)
    app.add_middleware(Edge)
    app.openapi = schema  # type: ignore[method-assign]  # as FastAPI's docs have it
    return app


@cache
def schema() -> dict[str, Any]:
    """Return the schema of every app, in which errors are of the type that they are sent as."""
    written = FastAPI.openapi(build_app())
    written["components"]["securitySchemes"] = SCHEMES
    for methods in written["paths"].values():
        for operation in methods.values():
            for status in RESPONSES:
                told = operation["responses"][str(status)]
                told["content"] = {MEDIA_TYPE: next(iter(told["content"].values()))}
    describe(written)
    rename(written)
    return written


@asynccontextmanager
async def _open(app: FastAPI) -> AsyncIterator[None]:
    settings = load_settings()
    async with (
        # What is no longer waited for ends, even where this process cannot say so any more.
        open_database(settings, statement_seconds=settings.api.request_seconds) as engine,
        open_cache(settings, engine) as cache,
        journal(engine, "server"),
        follow(cache, engine),
        watching(engine) as watch,
    ):
        app.state.watch = watch
        app.state.desk = open_desk(engine, cache, settings)
        # What was imported stays: looking through it for garbage would hold up requests.
        gc.collect()
        gc.freeze()
        yield


def create_app() -> FastAPI:
    """Make the app of this installation, for whoever serves it."""
    return build_app()
