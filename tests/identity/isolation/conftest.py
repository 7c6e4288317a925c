"""What there is to be got at: users with rows in every table, and whose each value is."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import pytest
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.db.base import Base
from seawall.db.database import Location, open_admin
from seawall.db.engine import TenantConnection, create_engine
from seawall.db.session import raw_connection

# ruff: noqa: S608 - names of tables and columns are the metadata's

USERS, FEW = 10, 4
MARK = re.compile(r"mark\d\d|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What tells whose a value is: a word that is in all texts of a user, and ids."""
TENANTS = [table for table in Base.metadata.sorted_tables if table.info.get("tenant")]
FillTenant = Callable[..., Awaitable[None]]
CopyFilled = Callable[[Location, str, Callable[[Location], Coroutine[None, None, None]]], None]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Parent:
    """A foreign key to a row of the same user: its columns but the user's, and what they name."""

    columns: Sequence[str]
    table: str
    referred: Sequence[str]


@dataclass(frozen=True)
class Shape:
    """What attempts have to know of a table.

    `rights` are what the application may do to rows of its own: UPDATE `settable` or even GIVE the
    row to another user, as far as grants go, and DELETE.
    """

    name: str
    owner: str
    key: Sequence[str]
    columns: Sequence[str]
    parents: Sequence[Parent]
    rights: frozenset[str]
    settable: str

    @property
    def by_key(self) -> str:
        """The condition that finds one row."""
        return " AND ".join(f"{name} = ${number}" for number, name in enumerate(self.key, 1))

    @property
    def insert(self) -> str:
        """The statement that adds a row."""
        places = ", ".join(f"${number + 1}" for number in range(len(self.columns)))
        return f"INSERT INTO {self.name} ({', '.join(self.columns)}) VALUES ({places})"


@dataclass(frozen=True)
class Tenant:
    """One user and all of their rows, by table."""

    id: UUID
    mark: str
    is_public: bool
    shows_quantities: bool
    rows: Mapping[str, Sequence[Row]]

    @property
    def portfolio(self) -> Any:
        """The id of the portfolio, which everybody may know when it is public."""
        return self.rows["portfolios"][0]["id"]


@dataclass(frozen=True)
class Sown:
    """All users and tables, and whose each mark is."""

    location: Location
    tenants: Sequence[Tenant]
    tables: Sequence[Shape]
    views: Sequence[str]
    owners: Mapping[str, UUID]
    filled_at: datetime

    def marks_of_others(self, user: UUID, said: object) -> set[str]:
        """Return what in something that was said tells of other users."""
        return {it for it in MARK.findall(str(said)) if self.owners.get(it, user) != user}


Sow = Callable[[Location, int], Sown]


def _parents(table: Table) -> Iterable[Parent]:
    for key in table.foreign_key_constraints:
        if key.referred_table in TENANTS and key.referred_table.name != "users":
            pairs = [(each.parent.name, each.column.name) for each in key.elements]
            columns, referred = zip(*(pair for pair in pairs if pair[0] != "user_id"), strict=True)
            yield Parent(columns, key.referred_table.name, referred)


async def _shape(admin: TenantConnection, table: Table) -> Shape:
    owner = "id" if table.name == "users" else "user_id"
    columns = [each for each in table.columns if not each.computed and not each.identity]
    plain = [each.name for each in columns if not each.primary_key and each.name != owner]
    query = """
        SELECT has_any_column_privilege('seawall_app', $1, 'UPDATE') AS "UPDATE",
            has_column_privilege('seawall_app', $1, $2, 'UPDATE') AS "GIVE",
            has_table_privilege('seawall_app', $1, 'DELETE') AS "DELETE",
            has_any_column_privilege('seawall_app', $1, 'INSERT') AS "INSERT",
            (SELECT name FROM unnest($3::text[]) AS name
                ORDER BY has_column_privilege('seawall_app', $1, name, 'UPDATE') DESC LIMIT 1)
    """
    (found,) = await admin.fetch(query, table.name, owner, plain)
    return Shape(
        name=table.name,
        owner=owner,
        key=[each.name for each in table.primary_key],
        columns=[each.name for each in columns],
        parents=list(_parents(table)),
        rights=frozenset(right for right in ("INSERT", "UPDATE", "GIVE", "DELETE") if found[right]),
        settable=found["name"],
    )


async def _rows(admin: TenantConnection, table: Table, user: UUID) -> list[Row]:
    """Return a user's rows as they can be written again, which JSON is as text."""
    owner = table.c.id if table.name == "users" else table.c.user_id
    rows = await admin.fetch(f"SELECT * FROM {table} WHERE {owner.name} = $1", user)
    texts = {each.name for each in table.columns if isinstance(each.type, JSONB)}
    return [
        {
            name: json.dumps(value) if name in texts and value is not None else value
            for name, value in row.items()
        }
        for row in rows
    ]


async def _survey(location: Location, tenants: Iterable[tuple[UUID, str, bool, bool]]) -> Sown:
    # On one connection: to open one for each of hundreds of queries took ten seconds.
    async with open_admin(location) as engine, AsyncSession(engine) as session:
        admin = await raw_connection(session)
        found = []
        for id_, mark, is_public, shows in tenants:
            rows = {table.name: await _rows(admin, table, id_) for table in TENANTS}
            found.append(Tenant(id_, mark, is_public, shows, rows))
        shapes = [await _shape(admin, table) for table in TENANTS]
        views = await admin.fetch(
            "SELECT table_name FROM information_schema.columns JOIN pg_views"
            " ON viewname = table_name WHERE table_schema = 'public' AND column_name = 'user_id'",
        )
        filled_at = await admin.fetchval("SELECT clock_timestamp()")
    owners = {mark: each.id for each in found for mark in MARK.findall(str(each.rows))}
    return Sown(location, found, shapes, [row[0] for row in views], owners, filled_at)


def _tenants(users: int) -> list[tuple[UUID, str, bool, bool]]:
    """Name users; every other portfolio is public, every other one of these in full."""
    marks = [f"mark{n:02}" for n in range(users)]
    return [(uuid5(NAMESPACE_OID, it), it, n % 2 == 1, n % 4 == 3) for n, it in enumerate(marks)]


@pytest.fixture(scope="session")
def sow(copy_filled: CopyFilled, fill_tenant: FillTenant) -> Sow:
    """Make a database of some users; all of as many hold the same, and are looked over once."""
    surveys: dict[int, Sown] = {}

    def make(location: Location, users: int) -> Sown:
        async def fill(template: Location) -> None:
            engine = create_engine(template.url)
            for id_, mark, is_public, shows in _tenants(users):
                await fill_tenant(engine, id_, mark, is_public=is_public, shows_quantities=shows)
            await engine.dispose()
            async with open_admin(template) as admin:
                # What the planner then knows of rows is to be kept from others too.
                await _change(admin, "ANALYZE")

        copy_filled(location, f"sown_{users}", fill)
        if users not in surveys:
            surveys[users] = asyncio.run(_survey(location, _tenants(users)))
        return replace(surveys[users], location=location)

    return make


async def _change(admin: AsyncEngine, statement: str) -> None:
    async with AsyncSession(admin) as session:
        await (await raw_connection(session)).execute(statement)
        await session.commit()


@pytest.fixture(scope="module")
def sown(empty_module_location: Location, sow: Sow) -> Sown:
    """Ten users with rows in every table, in a database that the tests of a module share."""
    return sow(empty_module_location, USERS)


@pytest.fixture
def few(empty_location: Location, sow: Sow) -> Sown:
    """Four users with rows in every table, in a database of the test's own."""
    return sow(empty_location, FEW)


@pytest.fixture
def sown_after(few: Sown) -> Callable[[str], Awaitable[Sown]]:
    """Change the schema of a small database of the test's own."""

    async def sow(change: str) -> Sown:
        async with open_admin(few.location) as admin:
            await _change(admin, change)
        return few

    return sow
