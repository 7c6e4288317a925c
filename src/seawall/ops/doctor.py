"""Is everything there that Seawall needs? Each check says what it found and what to do."""

import platform
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path

from seawall import __version__
from seawall.core.errors import SeawallError
from seawall.core.settings import Settings
from seawall.db import cache, database, migrate
from seawall.db.session import server_facts

LOW_DISK = 2 * 2**30
_LIBRARIES = ("asyncpg", "sqlalchemy", "alembic", "numpy", "numba", "polars")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `advice` is empty when nothing is to be done."""

    name: str
    ok: bool
    found: str
    advice: str = ""


async def examine(settings: Settings) -> list[Check]:
    """Look at versions, disk, database and cache; the embedded database is made ready for it."""
    return [
        _check_python(),
        _check_libraries(),
        _check_disk(settings.home),
        await _attempt("database", lambda: _check_database(settings)),
        await _attempt("cache", lambda: _check_cache(settings)),
    ]


async def _attempt(name: str, check: Callable[[], Awaitable[Check]]) -> Check:
    try:
        return await check()
    except SeawallError as error:
        return Check(name, ok=False, found=error.message, advice=error.hint)


def _check_python() -> Check:
    return Check("python", ok=True, found=f"{platform.python_version()} at {sys.executable}")


def _check_libraries() -> Check:
    found = ", ".join(f"{name} {installed_version(name)}" for name in _LIBRARIES)
    return Check("versions", ok=True, found=f"seawall {__version__}, {found}")


def _check_disk(home: Path) -> Check:
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    return Check(
        "disk",
        ok=free >= LOW_DISK,
        found=f"{free / 2**30:.1f} GiB free for {home}",
        advice=""
        if free >= LOW_DISK
        else f"Free some space, or move the data: SEAWALL_HOME. Below {LOW_DISK >> 30} GiB the"
        " database may stop.",
    )


async def _check_database(settings: Settings) -> Check:
    async with database.open_database(settings) as engine:
        facts = await server_facts(engine)
    series = f"TimescaleDB {facts.timescaledb}" if facts.timescaledb else "native partitions"
    return Check(
        "database",
        ok=True,
        found=f"PostgreSQL {facts.version}, {series}, {facts.size_bytes / 2**20:,.0f} MiB,"
        f" at version {migrate.head()}",
    )


async def _check_cache(settings: Settings) -> Check:
    if settings.cache.url is None:
        return Check("cache", ok=True, found="in this process; no server is configured")
    return Check("cache", ok=True, found=await cache.ping(settings.cache.url.get_secret_value()))
