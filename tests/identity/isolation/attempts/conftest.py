"""Attempts of users to get at what is another's, many at once on few connections.

An attempt is what a unit of work could do that is bound to its user: any statement on any table,
by the application's role, on connections that others had before. Where the boundary lies: the
application binds, so code that binds another user is past it, and SQL that somebody smuggles in.
So are the doors to log in by (`test_doors`), which open to an exact key. What everybody may learn
of others is that a name or an email is taken (`test_tenancy`); how many rows there are of all
together, by the planner's estimates and the server's counters; and of whom and which ids the
statements and announcements are that pass by, of which the server shows a role its own.

Ten users make 4,500 attempts in each of twelve runs, four of each module here: 54,000.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, NoReturn
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import UnavailableError
from seawall.db.database import open_admin
from seawall.db.engine import TenantConnection, create_engine
from seawall.db.faults import is_collision
from seawall.db.session import raw_connection, transaction

# ruff: noqa: S608 - names of tables and columns are the metadata's
# ruff: noqa: S311 - a seeded run is to be the same again

RUNS, ATTEMPTS, BATCH = range(4), 4_500, 500
ENOUGH = 10_000
"""In so many attempts a fault is found."""
LANES = 3
"""How many transactions are open at a time, and so how many connections there are."""
DENIED = frozenset({"42501"})
# What the conftest above makes, which this one cannot import.
Sown = Any
Tenant = Any
Shape = Any
Row = Mapping[str, Any]


class LeakError(AssertionError):
    """Somebody got at what is another's, or was not refused."""


class UndoError(Exception):
    """Ends a transaction by undoing it."""


@dataclass
class Attack:
    """One attempt of `me` to get at a row of `victim`, in a transaction that is bound to me.

    Set `spoils` when it changes rows of its own, which is to be undone.
    """

    connection: TenantConnection
    me: Tenant
    victim: Tenant
    sown: Sown
    random: Random
    table: Shape
    spoils: bool = False

    @property
    def row(self) -> Row:
        """A row of the victim's in the table."""
        rows: Sequence[Row] = self.victim.rows[self.table.name]
        return self.random.choice(rows)

    def key(self) -> list[Any]:
        """The key of a row of the victim's."""
        row = self.row
        return [row[name] for name in self.table.key]

    def look(self, returned: object, allowed: Iterable[str] = ()) -> None:
        """Raise when there is anything of another user's in what came back."""
        if found := self.sown.marks_of_others(self.me.id, returned) - set(allowed):
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
            await self.is_refused(statement, *values)

    async def is_refused(
        self, statement: str, *values: object, states: frozenset[str] = DENIED
    ) -> None:
        """Try what has to end in an error of one of these states."""
        try:
            returned = await self.connection.fetch(statement, *values)
        except asyncpg.PostgresError as error:
            await self.accept(error, states, (statement, values))
        else:
            self.leak(f"was not refused {statement}: {returned}")

    async def accept(
        self, error: asyncpg.PostgresError, states: frozenset[str], said: object = ""
    ) -> None:
        """Look for what was not said by the statement in an error of it, and go on after it."""
        allowed = self.sown.marks_of_others(self.me.id, said)
        self.look((error, error.detail, error.hint), allowed)
        if error.sqlstate not in states:
            raise error
        await self.go_back()

    async def go_back(self) -> None:
        """Undo what was done since the transaction's beginning."""
        await self.connection.execute("ROLLBACK TO SAVEPOINT beginning")


async def commits(it: Attack) -> None:
    """Leave it to the unit of work."""


async def is_undone(it: Attack) -> None:
    """Have the unit of work undo it."""
    it.undo()


async def fails(it: Attack) -> None:
    """End in an error."""
    await it.connection.fetch("SELECT 1 / 0")


async def ends_by_itself(it: Attack) -> None:
    """End the transaction past the unit of work: bound to nobody, or by its own SET to itself."""
    ends = ["COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN"]
    await it.connection.execute(it.random.choice(ends))
    with suppress(asyncpg.UndefinedObjectError, asyncpg.InvalidTextRepresentationError):
        await it.sees(f"SELECT * FROM {it.table.name} LIMIT 50")
    it.undo()


Kind = Callable[[Attack], Awaitable[None]]
ENDS: Sequence[Kind] = (commits, is_undone, fails, ends_by_itself)
CANCELLED = "cancelled"


@dataclass
class Run:
    """Attempts of some kinds, and what came of them: how often each was made and each end met.

    `served` are the users that each connection had, by its process.
    """

    engine: AsyncEngine
    admin: AsyncEngine
    sown: Sown
    kinds: Mapping[str, Kind]
    attempts: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    served: defaultdict[int, set[UUID]] = field(default_factory=lambda: defaultdict(set))

    async def make(self, seed: int, attempts: int) -> None:
        """Make attempts in batches, and compare all rows after each with those before.

        Raises:
            LeakError: somebody got at what is another's.
        """
        before = await self._sums()
        for until in range(BATCH, attempts + 1, BATCH):
            lanes = [self._lane(Random(f"{seed} {until} {lane}"), until) for lane in range(LANES)]
            for found in await asyncio.gather(*lanes, return_exceptions=True):
                if found is not None:
                    raise found
            after = await self._sums()
            if after != before:
                raise LeakError(f"changed: {sorted(set(before.items()) ^ set(after.items()))}")
        await self._find_strangers()

    async def _lane(self, random: Random, until: int) -> None:
        """Open one transaction after the other, and cancel some at any moment."""
        while self.attempts.total() < until:
            unit = asyncio.create_task(self._unit(random))
            if random.random() < 0.05:
                for _ in range(random.choice((1, 1, 2, 3))):
                    await asyncio.sleep(random.random() * 0.005)
                    unit.cancel()
            await asyncio.wait({unit})
            if unit.cancelled():
                self.ends[CANCELLED] += 1
            elif (error := unit.exception()) is not None:
                raise error

    async def _unit(self, random: Random) -> None:
        """Make some attempts as one user in one transaction, and end it in one of the ways."""
        me = random.choice(self.sown.tenants)
        with suppress(UndoError, asyncpg.DivisionByZeroError):
            try:
                async with transaction(self.engine, me.id) as session:
                    connection = await raw_connection(session)
                    self.served[connection.get_server_pid()].add(me.id)
                    await connection.execute("SAVEPOINT beginning")
                    await self._try(connection, me, random)
            except UnavailableError as error:
                if not is_collision(error):
                    raise

    async def _try(self, connection: TenantConnection, me: Tenant, random: Random) -> None:
        others = [each for each in self.sown.tenants if each is not me]
        for number in range(random.randint(1, 12)):
            victim, table = random.choice(others), random.choice(self.sown.tables)
            attack = Attack(connection, me, victim, self.sown, random, table)
            name = random.choice(list(self.kinds))
            try:
                if number == 0:
                    await attack.sees_its_own()
                await self.kinds[name](attack)
            except asyncpg.DeadlockDetectedError:
                raise
            except asyncpg.PostgresError as error:
                raise LeakError(f"{me.mark} {name}: {error}") from error
            self.attempts[name] += 1
            if attack.spoils:
                raise UndoError
        end = random.choice(ENDS)
        self.ends[end.__name__] += 1
        await end(attack)

    async def _sums(self) -> dict[tuple[str, UUID | None], tuple[int, str]]:
        """Sum up every user's rows in each table, but for those that attempts may add."""
        kept = {"audit_logs": "time <= $1", "notifications": "NOT starts_with(title, 'fresh')"}
        queries = (
            f"SELECT '{each.name}', {each.owner}, count(*),"
            " md5(string_agg(md5(it::text), '' ORDER BY md5(it::text)))"
            f" FROM {each.name} it WHERE {kept.get(each.name, 'true')} GROUP BY {each.owner}"
            for each in self.sown.tables
        )
        async with AsyncSession(self.admin) as session:
            connection = await raw_connection(session)
            rows = await connection.fetch(" UNION ALL ".join(queries), self.sown.filled_at)
        return {(name, owner): (count, digest) for name, owner, count, digest in rows}

    async def _find_strangers(self) -> None:
        """Look at what was added, and at every foreign key: it has to stay with its user."""
        queries = [
            f"SELECT '{each.name}' FROM {each.name} child JOIN {parent.table} parent ON"
            f" ({', '.join(f'child.{name}' for name in parent.columns)})"
            f" = ({', '.join(f'parent.{name}' for name in parent.referred)})"
            " WHERE child.user_id <> parent.user_id"
            for each in self.sown.tables
            for parent in each.parents
        ]
        queries.append("SELECT operation FROM audit_logs WHERE actor_id <> user_id")
        queries.append(
            "SELECT title FROM notifications JOIN users ON users.id = user_id"
            " WHERE starts_with(title, 'fresh') AND title <> 'fresh ' || username"
        )
        async with AsyncSession(self.admin) as session:
            connection = await raw_connection(session)
            for query in queries:
                if found := await connection.fetch(query):
                    raise LeakError(f"{query}: {found}")


@asynccontextmanager
async def _open(sown: Sown, kinds: Mapping[str, Kind]) -> AsyncIterator[Run]:
    engine = create_engine(sown.location.url)
    async with open_admin(sown.location) as admin:
        yield Run(engine, admin, sown, kinds)
    await engine.dispose()


@pytest.fixture(params=RUNS)
def attempts(request: pytest.FixtureRequest, sown: Sown) -> Callable[..., Awaitable[None]]:
    """Make a run of attempts of some kinds: each many times, in each way to end, by each user."""

    async def make(kinds: Mapping[str, Kind]) -> None:
        async with _open(sown, kinds) as run:
            await run.make(request.param, ATTEMPTS)
        assert run.attempts.total() >= ATTEMPTS
        assert min(run.attempts[name] for name in kinds) > ATTEMPTS / len(kinds) / 2
        assert set(run.ends) == {CANCELLED, *(end.__name__ for end in ENDS)}
        assert max(map(len, run.served.values())) == len(sown.tenants)

    return make


@pytest.fixture
def found() -> Callable[[Sown, Mapping[str, Kind]], Awaitable[str]]:
    """Make attempts until somebody gets through, and return what is said of it."""

    async def find(sown: Sown, kinds: Mapping[str, Kind]) -> str:
        async with _open(sown, kinds) as run:
            with pytest.raises(AssertionError) as error:
                await run.make(0, ENOUGH)
        return str(error.value)

    return find
