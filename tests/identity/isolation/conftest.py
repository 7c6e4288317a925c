"""Users with rows in every table, and a run of attempts of each to get at another's."""

import asyncio
import json
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from random import Random
from typing import Any, NoReturn
from uuid import UUID, uuid4

import pytest
from asyncpg import DeadlockDetectedError, DivisionByZeroError, PostgresError
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import UnavailableError
from seawall.db.base import Base
from seawall.db.database import Location, open_admin
from seawall.db.engine import TenantConnection, create_engine
from seawall.db.faults import is_collision
from seawall.db.session import raw_connection, transaction

# ruff: noqa: S608 - names of tables and columns are the metadata's
# ruff: noqa: S311 - a seeded run is to be the same again

LANES = 3
"""How many transactions are open at a time, and so how many connections there are."""
BATCH = 500
MARK = re.compile(r"mark\d\d|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What tells whose a value is: a word that is in all texts of a user, and ids."""
FRESH = "fresh"
"""How titles of notifications begin that attempts add, as they may."""
DENIED = frozenset({"42501"})
Row = Mapping[str, Any]
FillTenant = Callable[..., Awaitable[None]]


class LeakError(AssertionError):
    """Somebody got at what is another's, or was not refused."""


class UndoError(Exception):
    """Ends a transaction by undoing it."""


@dataclass(frozen=True)
class Parent:
    """A foreign key to a row of the same user: its columns but the user's, and what they name."""

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """What attempts have to know of a table.

    `rights` are what the application may do to rows of its own: UPDATE `settable` or even GIVE the
    row to another user, as far as grants go, and DELETE.
    """

    name: str
    owner: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    parents: tuple[Parent, ...]
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
    rows: Mapping[str, list[Row]]

    @property
    def portfolio(self) -> UUID:
        """The id of the portfolio, which everybody may know when it is public."""
        found: UUID = self.rows["portfolios"][0]["id"]
        return found


@dataclass(frozen=True)
class Field:
    """All users and tables, and whose each mark is."""

    tenants: tuple[Tenant, ...]
    tables: Mapping[str, Shape]
    views: tuple[str, ...]
    owners: Mapping[str, UUID]
    filled_at: datetime


@dataclass
class Attack:
    """One attempt of `me` to get at a row of `victim`, in a transaction that is bound to me."""

    connection: TenantConnection
    me: Tenant
    victim: Tenant
    sown: Field
    random: Random
    spoils: bool = False
    """Set when it changes rows of its own, which is to be undone."""
    table: Shape = field(init=False)

    def __post_init__(self) -> None:
        self.table = self.random.choice(list(self.sown.tables.values()))

    @property
    def row(self) -> Row:
        """A row of the victim's in the table."""
        return self.random.choice(self.victim.rows[self.table.name])

    def key(self) -> list[Any]:
        """The key of a row of the victim's."""
        row = self.row
        return [row[name] for name in self.table.key]

    def look(self, returned: object, allowed: Iterable[str] = ()) -> None:
        """Raise when there is anything of another user's in what came back."""
        for found in MARK.findall(str(returned)):
            if self.sown.owners.get(found, self.me.id) != self.me.id and found not in allowed:
                self.leak(f"got {found}: {returned}")

    def leak(self, said: object) -> NoReturn:
        """Say that this user got through."""
        raise LeakError(f"{self.me.mark}: {said}")

    def undo(self) -> NoReturn:
        """End the transaction by undoing it."""
        raise UndoError

    async def sees(self, query: str, *values: object) -> list[Any]:
        """Read what may be mine alone."""
        rows: list[Any] = await self.connection.fetch(query, *values)
        self.look(rows)
        return rows

    async def sees_its_own(self) -> None:
        """Read what has to be there."""
        if not await self.sees(f"SELECT * FROM {self.table.name} LIMIT 9"):
            self.leak(f"does not see its rows of {self.table.name}")

    async def sees_none(self, query: str, *values: object) -> None:
        """Read what may not be there at all."""
        rows = await self.sees(query, *values)
        if rows:
            self.leak(f"saw {rows} by {query}")

    async def changes_none(self, statement: str, *values: object) -> None:
        """Try to change another's rows."""
        status = await self.connection.execute(statement, *values)
        if not status.endswith(" 0"):
            self.leak(f"{status} by {statement}")

    async def touches_none(self, right: str, statement: str, *values: object) -> None:
        """Try to change another's rows, which takes a right that the table may not give at all."""
        if right in self.table.rights:
            await self.changes_none(statement, *values)
        else:
            await self.is_refused(DENIED, statement, *values)

    async def changes_none_or_fails(
        self, states: frozenset[str], statement: str, *values: object
    ) -> None:
        """Try what changes nothing, or ends in an error of one of these states."""
        try:
            await self.changes_none(statement, *values)
        except DeadlockDetectedError:
            raise
        except PostgresError as error:
            await self.accept(error, states, (statement, values))

    async def is_refused(self, states: frozenset[str], statement: str, *values: object) -> None:
        """Try what has to end in an error of one of these states."""
        try:
            returned = await self.connection.fetch(statement, *values)
        except DeadlockDetectedError:
            raise
        except PostgresError as error:
            await self.accept(error, states, (statement, values))
        else:
            self.leak(f"was not refused {statement}: {returned}")

    async def accept(self, error: PostgresError, states: frozenset[str], said: object) -> None:
        """Look for values in an error that were not said by the statement, and go on after it."""
        self.look((error, error.detail, error.hint), MARK.findall(str(said)))
        if error.sqlstate not in states:
            raise LeakError(f"{self.me.mark}: {said} ended in {error.sqlstate}, {error}") from error
        await self.go_back()

    async def go_back(self) -> None:
        """Undo what was done since the transaction's beginning."""
        await self.connection.execute("ROLLBACK TO SAVEPOINT beginning")


Kind = Callable[[Attack], Awaitable[None]]
End = Callable[[Attack], Awaitable[None]]


@dataclass
class Fuzz:
    """A run of attempts, and what came of it."""

    engine: AsyncEngine
    admin: AsyncEngine
    sown: Field
    attempts: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    served: defaultdict[int, set[UUID]] = field(default_factory=lambda: defaultdict(set))
    """Which users each connection had, by its process."""

    async def run(
        self, kinds: Mapping[str, Kind], ends: Mapping[str, End], seed: int, attempts: int
    ) -> None:
        """Make attempts in batches, and compare all rows after each with those before.

        Raises:
            LeakError: somebody got at what is another's.
        """
        before = await self._sums()
        for batch in range(BATCH, attempts + BATCH, BATCH):
            lanes = [
                self._lane(kinds, ends, Random(f"{seed} {batch} {lane}"), min(batch, attempts))
                for lane in range(LANES)
            ]
            for found in await asyncio.gather(*lanes, return_exceptions=True):
                if found is not None:
                    raise found
            after = await self._sums()
            if after != before:
                raise LeakError(f"changed: {sorted(set(before.items()) ^ set(after.items()))}")
        await self._find_strangers()

    async def _lane(
        self, kinds: Mapping[str, Kind], ends: Mapping[str, End], random: Random, until: int
    ) -> None:
        while self.attempts.total() < until:
            unit = asyncio.create_task(self._unit(kinds, ends, random))
            if random.random() < 0.05:
                for _ in range(random.choice((1, 1, 2, 3))):
                    await asyncio.sleep(random.random() * 0.005)
                    unit.cancel()
            await asyncio.wait({unit})
            if unit.cancelled():
                self.ends["cancelled"] += 1
            elif (error := unit.exception()) is not None:
                raise error

    async def _unit(
        self, kinds: Mapping[str, Kind], ends: Mapping[str, End], random: Random
    ) -> None:
        """Make some attempts as one user in one transaction, and end it in one of many ways."""
        me = random.choice(self.sown.tenants)
        try:
            async with transaction(self.engine, me.id) as session:
                connection = await raw_connection(session)
                self.served[connection.get_server_pid()].add(me.id)
                await self._try(kinds, ends, connection, me, random)
        except (UndoError, DivisionByZeroError):
            pass
        except UnavailableError as error:
            if not is_collision(error):
                raise
            self.ends["met another"] += 1

    async def _try(
        self,
        kinds: Mapping[str, Kind],
        ends: Mapping[str, End],
        connection: TenantConnection,
        me: Tenant,
        random: Random,
    ) -> None:
        await connection.execute("SAVEPOINT beginning")
        others = [each for each in self.sown.tenants if each is not me]
        for number in range(random.randint(1, 12)):
            attack = Attack(connection, me, random.choice(others), self.sown, random)
            name = random.choice(list(kinds))
            try:
                if number == 0:
                    await attack.sees_its_own()
                await kinds[name](attack)
            except DeadlockDetectedError:
                raise
            except PostgresError as error:
                raise LeakError(f"{me.mark} {name}: {error}") from error
            self.attempts[name] += 1
            if attack.spoils:
                raise UndoError
        name = random.choice(list(ends))
        self.ends[name] += 1
        await ends[name](attack)

    async def _sums(self) -> dict[tuple[str, UUID | None], tuple[int, str]]:
        """Sum up every user's rows in each table, but for those that attempts may add."""
        queries = (
            f"SELECT '{each.name}', {each.owner}, count(*),"
            " md5(string_agg(md5(it::text), '' ORDER BY md5(it::text)))"
            f" FROM {each.name} it WHERE {_OLD.get(each.name, 'true')} GROUP BY {each.owner}"
            for each in self.sown.tables.values()
        )
        async with AsyncSession(self.admin) as session:
            connection = await raw_connection(session)
            rows = await connection.fetch(" UNION ALL ".join(queries), self.sown.filled_at)
        return {(name, owner): (count, digest) for name, owner, count, digest in rows}

    async def _find_strangers(self) -> None:
        """Look at what was added, and at every foreign key: it has to stay with its user."""
        queries = [
            f"SELECT title FROM notifications JOIN users ON users.id = user_id WHERE"
            f" starts_with(title, '{FRESH}') AND title <> '{FRESH} ' || username",
            "SELECT operation FROM audit_logs WHERE actor_id <> user_id",
            *(
                f"SELECT '{each.name}' FROM {each.name} child JOIN {parent.table} parent ON"
                f" ({', '.join(f'child.{name}' for name in parent.columns)})"
                f" = ({', '.join(f'parent.{name}' for name in parent.referred)})"
                " WHERE child.user_id <> parent.user_id"
                for each in self.sown.tables.values()
                for parent in each.parents
            ),
        ]
        async with AsyncSession(self.admin) as session:
            connection = await raw_connection(session)
            for query in queries:
                if found := await connection.fetch(query):
                    raise LeakError(f"{query}: {found}")


_LISTS = {"tags", "notification_channels"}
_OLD = {"audit_logs": "time <= $1", "notifications": f"title NOT LIKE '{FRESH}%'"}


def _parents(table: Table, tenants: Iterable[Table]) -> Iterable[Parent]:
    for key in table.foreign_key_constraints:
        if key.referred_table.name != "users" and key.referred_table in tenants:
            pairs = [(each.parent.name, each.column.name) for each in key.elements]
            columns, referred = zip(*(pair for pair in pairs if pair[0] != "user_id"), strict=True)
            yield Parent(columns, key.referred_table.name, referred)


async def _shape(connection: TenantConnection, table: Table, tenants: list[Table]) -> Shape:
    owner = "id" if table.name == "users" else "user_id"
    columns = [each for each in table.columns if not each.computed and not each.identity]
    plain = [each.name for each in columns if not each.primary_key and each.name != owner]
    (may,) = await connection.fetch(
        "SELECT has_table_privilege('seawall_app', $1, 'DELETE') AS \"DELETE\","
        " has_column_privilege('seawall_app', $1, $2, 'UPDATE') AS \"GIVE\","
        " has_any_column_privilege('seawall_app', $1, 'UPDATE') AS \"UPDATE\"",
        table.name,
        owner,
    )
    settable = await connection.fetchval(
        "SELECT name FROM unnest($2::text[]) AS name"
        " ORDER BY has_column_privilege('seawall_app', $1, name, 'UPDATE') DESC LIMIT 1",
        table.name,
        plain,
    )
    return Shape(
        table.name,
        owner,
        tuple(each.name for each in table.primary_key),
        tuple(each.name for each in columns),
        tuple(_parents(table, tenants)),
        frozenset(right for right, held in may.items() if held),
        settable,
    )


async def _rows(connection: TenantConnection, shape: Shape, user: UUID) -> list[Row]:
    query = f"SELECT * FROM {shape.name} WHERE {shape.owner} = $1"
    # JSON is written as text, though it is read as what it holds.
    return [
        {
            name: json.dumps(value) if isinstance(value, dict) or name in _LISTS else value
            for name, value in row.items()
        }
        for row in await connection.fetch(query, user)
    ]


async def _survey(admin: AsyncEngine, tenants: list[tuple[UUID, str, bool, bool]]) -> Field:
    """Read, as a superuser, who has what."""
    tables = [each for each in Base.metadata.sorted_tables if each.info.get("tenant")]
    async with AsyncSession(admin) as session:
        connection = await raw_connection(session)
        shapes = {each.name: await _shape(connection, each, tables) for each in tables}
        views = await connection.fetch(
            "SELECT table_name FROM information_schema.columns JOIN pg_views"
            " ON viewname = table_name WHERE table_schema = 'public' AND column_name = 'user_id'"
        )
        found = []
        for id_, mark, is_public, shows in tenants:
            rows = {name: await _rows(connection, shape, id_) for name, shape in shapes.items()}
            found.append(Tenant(id_, mark, is_public, shows, rows))
        filled_at = await connection.fetchval("SELECT clock_timestamp()")
    owners: dict[str, UUID] = {}
    for tenant in found:
        for mark in MARK.findall(str(tenant.rows)):
            assert owners.setdefault(mark, tenant.id) == tenant.id
    return Field(tuple(found), shapes, tuple(row[0] for row in views), owners, filled_at)


async def _sow(fill_tenant: FillTenant, location: Location, users: int) -> Field:
    """Fill a database; every other portfolio is public, every other one of these in full."""
    engine = create_engine(location.url)
    tenants = [(uuid4(), f"mark{n:02}", n % 2 == 1, n % 4 == 3) for n in range(users)]
    for id_, mark, is_public, shows in tenants:
        await fill_tenant(engine, id_, mark, is_public=is_public, shows_quantities=shows)
    await engine.dispose()
    async with open_admin(location) as admin:
        async with AsyncSession(admin) as session:
            # What the planner knows of the rows is to be kept from others too.
            await (await raw_connection(session)).execute("ANALYZE")
            await session.commit()
        return await _survey(admin, tenants)


Sow = Callable[[Location, int], Awaitable[Field]]
OpenFuzz = Callable[[Location, Field], AbstractAsyncContextManager[Fuzz]]


@pytest.fixture(scope="session")
def sow(fill_tenant: FillTenant) -> Sow:
    """Fill a database with so many users."""
    return partial(_sow, fill_tenant)


@pytest.fixture(scope="session")
def open_fuzz() -> OpenFuzz:
    """Open a database that was filled for a run."""

    @asynccontextmanager
    async def open_it(location: Location, sown: Field) -> AsyncIterator[Fuzz]:
        engine = create_engine(location.url)
        async with open_admin(location) as admin:
            yield Fuzz(engine, admin, sown)
        await engine.dispose()

    return open_it
