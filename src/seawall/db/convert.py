"""Moving the series of a native database onto TimescaleDB, chunk by chunk.

Each series is copied into a hypertable beside it, one partition a transaction, while the
application goes on with the native one. At the end, under a lock, every partition is compared with
its copy by row count and checksum, what changed meanwhile is copied again, and the hypertable takes
the name. Nothing native is dropped before that, and an interrupted run goes on where it was: what
is copied already is recognised by its checksum.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from seawall.core.errors import ConflictError, UnavailableError
from seawall.db import upkeep
from seawall.db.faults import translated
from seawall.db.migrate import LOCK, create_extension
from seawall.db.series import SERIES, Rollup, Series

# ruff: noqa: S608 - names are declared in code, or come from the catalogue


@dataclass(frozen=True, slots=True)
class Converted:
    """One partition that was looked at: its rows, and whether they had to be copied."""

    series: str
    partition: str
    rows: int
    copied: bool


@dataclass(frozen=True, slots=True)
class _Partition:
    name: str
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class _Print:
    """What tells the same rows from others, whatever their order."""

    rows: int
    checksum: int


async def convert(admin: AsyncEngine, owner: AsyncEngine) -> AsyncGenerator[Converted, None]:
    """Move every native series that TimescaleDB can hold; report each partition.

    Raises:
        UnavailableError: the server does not have TimescaleDB, or does not load it.
        ConflictError: a copy is not what it was made of.
    """
    with translated():
        async with admin.connect() as lock:
            # A migration, or another conversion, goes first.
            await lock.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
            if not await lock.run_sync(create_extension):
                raise UnavailableError(
                    "This server does not have TimescaleDB, or does not load it.",
                    hint="Install it, and name it in shared_preload_libraries.",
                )
            await lock.commit()
            for series in SERIES:
                if not series.tenant:
                    async for each in _convert(owner, series):
                        yield each
            await lock.run_sync(upkeep.schedule)


async def _convert(owner: AsyncEngine, series: Series) -> AsyncGenerator[Converted, None]:
    async with owner.connect() as connection:
        if await _engine_of(connection, series) == "native":
            await _create_shadow(connection, series)
            await connection.commit()
            for partition in await _partitions(connection, series):
                copied = await _copy(connection, series, partition)
                await connection.commit()
                yield copied
            await _swap(connection, series)
            await connection.commit()
        left = [each for each in series.rollups if await _exists(connection, _kept(each))]
        await connection.rollback()
    if left:
        # Outside of a transaction: a continuous aggregate is filled in steps of its own.
        await upkeep.maintain(owner, series)
        async with owner.begin() as connection:
            for rollup in left:
                await _keep_days(connection, rollup)


async def _engine_of(connection: AsyncConnection, series: Series) -> str | None:
    query = text("SELECT engine FROM series WHERE table_name = :name")
    found: str | None = await connection.scalar(query, {"name": series.table})
    return found


async def _exists(connection: AsyncConnection, name: str) -> bool:
    return bool(await connection.scalar(text(f"SELECT to_regclass('{name}') IS NOT NULL")))


def _shadow(series: Series) -> str:
    return f"{series.table}_hypertable"


def _kept(rollup: Rollup) -> str:
    return f"{rollup.name}_native"


async def _create_shadow(connection: AsyncConnection, series: Series) -> None:
    shadow = _shadow(series)
    if await _exists(connection, shadow):
        return
    await connection.execute(text(f"CREATE TABLE {shadow} (LIKE {series.table} INCLUDING ALL)"))
    await connection.execute(
        text(
            f"SELECT create_hypertable('{shadow}', 'time', create_default_indexes => false,"
            f" chunk_time_interval => interval '1 {series.hyperchunk}')"
        )
    )


async def _partitions(connection: AsyncConnection, series: Series) -> list[_Partition]:
    rows = await connection.execute(
        text(
            "SELECT relname, bounds[1]::timestamptz, bounds[2]::timestamptz FROM pg_inherits"
            " JOIN pg_class ON pg_class.oid = inhrelid,"
            " regexp_match(pg_get_expr(relpartbound, inhrelid),"
            "     'FROM \\(''(.+)''\\) TO \\(''(.+)''\\)') bounds"
            f" WHERE inhparent = '{series.table}'::regclass ORDER BY 2"
        )
    )
    return [_Partition(*row) for row in rows]


async def _copy(connection: AsyncConnection, series: Series, partition: _Partition) -> Converted:
    shadow = _shadow(series)
    wanted = await _print(connection, partition.name, partition)
    copied = wanted != await _print(connection, shadow, partition)
    if copied:
        bounds = {"first": partition.first, "last": partition.last}
        await connection.execute(
            text(f"DELETE FROM {shadow} WHERE time >= :first AND time < :last"), bounds
        )
        # A column that is generated cannot be written, and comes out the same.
        columns = ", ".join(await _written_columns(connection, series))
        await connection.execute(
            text(
                f"INSERT INTO {shadow} ({columns}) SELECT {columns} FROM {partition.name}"
                " ORDER BY time"
            )
        )
        if await _print(connection, shadow, partition) != wanted:
            raise ConflictError(
                f"The copy of {partition.name} is not what it was made of; nothing was changed.",
                hint="Run the command again; if it stays so, report it.",
            )
    return Converted(series.table, partition.name, wanted.rows, copied)


async def _written_columns(connection: AsyncConnection, series: Series) -> list[str]:
    return list(
        await connection.scalars(
            text(
                f"SELECT quote_ident(attname) FROM pg_attribute"
                f" WHERE attrelid = '{series.table}'::regclass AND attnum > 0"
                " AND NOT attisdropped AND attgenerated = '' ORDER BY attnum"
            )
        )
    )


async def _print(connection: AsyncConnection, table: str, partition: _Partition) -> _Print:
    row = (
        await connection.execute(
            text(
                "SELECT count(*), coalesce(sum(hashtextextended(held::text, 0)::numeric), 0)"
                f" FROM {table} held WHERE time >= :first AND time < :last"
            ),
            {"first": partition.first, "last": partition.last},
        )
    ).one()
    return _Print(row[0], int(row[1]))


async def _swap(connection: AsyncConnection, series: Series) -> None:
    """Let the hypertable take the native table's place, once they hold the same."""
    name, shadow = series.table, _shadow(series)
    await connection.execute(text(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"))
    for partition in await _partitions(connection, series):
        await _copy(connection, series, partition)
    views = await _dependent_views(connection, [name, *(each.name for each in series.rollups)])
    for view in views:
        await connection.execute(text(f"DROP VIEW {view.name}"))
    indexes = await _index_names(connection, name)
    grants = await _grants(connection, name)
    await connection.execute(text(f"DROP TABLE {name}"))
    for rollup in series.rollups:
        await connection.execute(text(f"ALTER TABLE {rollup.name} RENAME TO {_kept(rollup)}"))
    now_named = await _index_names(connection, shadow)
    await connection.execute(text(f"ALTER TABLE {shadow} RENAME TO {name}"))
    for definition, index in indexes.items():
        await connection.execute(text(f"ALTER INDEX {now_named[definition]} RENAME TO {index}"))
    await _grant(connection, name, grants)
    await connection.execute(
        text(f"UPDATE series SET engine = 'timescaledb' WHERE table_name = '{name}'")
    )
    await connection.execute(text(f"DELETE FROM series_changes WHERE table_name = '{name}'"))
    await connection.execute(text(f"SELECT age_series('{name}')"))
    for rollup in series.rollups:
        await connection.execute(text(f"SELECT create_rollup('{rollup.name}')"))
    for view in reversed(views):
        await connection.execute(
            text(f"CREATE VIEW {view.name} WITH (security_invoker = true) AS {view.definition}")
        )
        await _grant(connection, view.name, view.grants)


class _Grant(NamedTuple):
    role: str
    privilege: str


@dataclass(frozen=True, slots=True)
class _View:
    name: str
    definition: str
    grants: list[_Grant]


async def _dependent_views(connection: AsyncConnection, tables: list[str]) -> list[_View]:
    """Return the views that read these tables; none of ours reads another view."""
    rows = await connection.execute(
        text(
            "SELECT DISTINCT view.relname, pg_get_viewdef(view.oid) FROM pg_depend"
            " JOIN pg_rewrite ON pg_rewrite.oid = objid"
            " JOIN pg_class view ON view.oid = ev_class AND relkind = 'v'"
            " WHERE classid = 'pg_rewrite'::regclass"
            " AND refobjid = ANY (CAST(:tables AS regclass[]))"
        ),
        {"tables": tables},
    )
    return [_View(name, body, await _grants(connection, name)) for name, body in rows.all()]


async def _index_names(connection: AsyncConnection, table: str) -> dict[str, str]:
    """Return a table's indexes by what they index."""
    rows = await connection.execute(
        text(
            "SELECT indisunique || regexp_replace(pg_get_indexdef(indexrelid), '^.* USING ', ''),"
            f" indexrelid::regclass::text FROM pg_index WHERE indrelid = '{table}'::regclass"
        )
    )
    return {row[0]: row[1] for row in rows}


async def _grants(connection: AsyncConnection, table: str) -> list[_Grant]:
    rows = await connection.execute(
        text(
            "SELECT grantee::regrole::text, privilege_type FROM pg_class,"
            f" aclexplode(relacl) WHERE pg_class.oid = '{table}'::regclass AND grantee <> relowner"
        )
    )
    return [_Grant(*row) for row in rows]


async def _grant(connection: AsyncConnection, table: str, grants: list[_Grant]) -> None:
    for each in grants:
        await connection.execute(text(f"GRANT {each.privilege} ON {table} TO {each.role}"))


async def _keep_days(connection: AsyncConnection, rollup: Rollup) -> None:
    """Move the days whose rows are gone by now into what the continuous aggregate holds."""
    held = await connection.scalar(
        text(
            "SELECT format('%I.%I', materialization_hypertable_schema,"
            " materialization_hypertable_name) FROM timescaledb_information.continuous_aggregates"
            f" WHERE view_name = '{rollup.name}'"
        )
    )
    columns = ", ".join([*rollup.keys, "day", *(each.name for each in rollup.values)])
    keys = ", ".join([*rollup.keys, "day"])
    await connection.execute(
        text(
            f"INSERT INTO {held} ({columns}) SELECT {columns} FROM {_kept(rollup)}"
            f" WHERE ({keys}) NOT IN (SELECT {keys} FROM {rollup.name})"
        )
    )
    await connection.execute(text(f"DROP TABLE {_kept(rollup)}"))
