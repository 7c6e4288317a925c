"""How a command gets to the database: find or start it, bring it up to date, one transaction."""

import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

T = TypeVar("T")
DEMO_DATABASE = "seawall_demo"


def use_demo_database() -> None:
    """Let the rest of this command work on the demo's database, apart from anything real."""
    os.environ["SEAWALL_DATABASE__NAME"] = DEMO_DATABASE


def run(work: Coroutine[object, object, T]) -> T:
    """Run a command's work to its end."""
    import uvloop

    return uvloop.run(work)


@asynccontextmanager
async def open_engine() -> "AsyncIterator[AsyncEngine]":
    """Open the database of the settings; the embedded one is started and migrated as needed."""
    from seawall.core.settings import load_settings
    from seawall.db.database import open_database

    async with open_database(load_settings()) as engine:
        yield engine


@asynccontextmanager
async def open_session() -> "AsyncIterator[AsyncSession]":
    """Open one transaction as the installation's owner."""
    async with open_engine() as engine, owner_session(engine) as session:
        yield session


@asynccontextmanager
async def owner_session(engine: "AsyncEngine") -> "AsyncIterator[AsyncSession]":
    """Open one transaction as the installation's owner on an open engine."""
    from seawall.db.session import transaction
    from seawall.identity.owner import OWNER_ID, ensure_owner

    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        yield session


def _parse_as_of(text: str) -> datetime:
    from seawall.core.errors import InvalidError
    from seawall.core.time import parse_time

    try:
        return parse_time(text)
    except InvalidError as error:
        raise typer.BadParameter(str(error)) from error


AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        parser=_parse_as_of,
        metavar="TIME",
        help="Look at this instant (UTC) instead of now, at prices known by then.",
    ),
]
