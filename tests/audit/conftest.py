"""What the tests of the audit log share: two users with some history, and who may attack it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.audit import verify
from seawall.audit.schemas import Verification
from seawall.audit.tables import AuditLog
from seawall.db.database import Location, open_admin
from seawall.db.engine import OWNER_ROLE
from seawall.db.session import transaction
from seawall.identity.tables import User
from seawall.portfolios.tables import Portfolio

Attack = Callable[..., Awaitable[None]]
Verify = Callable[[], Awaitable[Verification]]
Written = Callable[[Mapping[str, Any]], bytes]
Rows = Callable[[UUID | None], Awaitable[list[dict[str, Any]]]]


@pytest.fixture
async def owner(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine as the owner of the tables."""
    async with open_admin(location, OWNER_ROLE) as engine:
        yield engine


@pytest.fixture
async def admin(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine as a superuser."""
    async with open_admin(location) as engine:
        yield engine


async def _make(engine: AsyncEngine, user: UUID, name: str, renames: int) -> None:
    async with transaction(engine, user) as session:
        await session.execute(insert(User).values(id=user, username=name))
        portfolio = Portfolio(user_id=user, name="0")
        session.add(portfolio)
        await session.flush()
        for number in range(renames):
            portfolio.name = f"{number + 1}"
            await session.flush()
        await session.execute(insert(AuditLog).values(table_name="users", operation="LOGIN"))


@pytest.fixture
async def alice(engine: AsyncEngine) -> UUID:
    """A user with six entries: herself, her portfolio, three renames of it, a login."""
    user = uuid4()
    await _make(engine, user, "alice", renames=3)
    return user


@pytest.fixture
async def bob(engine: AsyncEngine) -> UUID:
    """A user with three entries."""
    user = uuid4()
    await _make(engine, user, "bob", renames=0)
    return user


@pytest.fixture
def attack(admin: AsyncEngine) -> Attack:
    """Do as a superuser what the log's triggers would refuse, and leave them as they were."""

    async def run(*statements: str, **values: object) -> None:
        async with admin.begin() as connection:
            await connection.execute(text("ALTER TABLE audit_logs DISABLE TRIGGER USER"))
            for statement in statements:
                await connection.execute(text(statement), values)
            await connection.execute(text("ALTER TABLE audit_logs ENABLE TRIGGER USER"))

    return run


def _written(entry: Mapping[str, Any]) -> bytes:
    """Return an entry's hash, computed as docs/audit.md says."""
    previous = entry["previous_hash"]
    moment = entry["time"].replace(tzinfo=None).isoformat()
    fields = [
        str(entry["id"]),
        None if entry["user_id"] is None else str(entry["user_id"]),
        entry["sequence"],
        moment.rstrip("0") if "." in moment else moment,
        entry["table_name"],
        entry["operation"],
        entry["record_id"],
        entry["old_data"],
        entry["new_data"],
        None if entry["actor_id"] is None else str(entry["actor_id"]),
        entry["actor_role"],
        None if previous is None else previous.hex(),
    ]
    return sha256(json.dumps(fields, ensure_ascii=False).encode()).digest()


async def _rows(engine: AsyncEngine, chain: UUID | None) -> list[dict[str, Any]]:
    columns = [each for each in AuditLog.__table__.c if each.name not in {"old_data", "new_data"}]
    data = [text("old_data::text AS old_data"), text("new_data::text AS new_data")]
    query = select(*columns, *data).where(AuditLog.user_id.is_not_distinct_from(chain))
    async with engine.connect() as connection:
        rows = (await connection.execute(query.order_by(AuditLog.sequence))).mappings()
        return [dict(row) for row in rows]


@pytest.fixture
def written() -> Written:
    """Compute an entry's hash without the database."""
    return _written


@pytest.fixture
def rows(admin: AsyncEngine) -> Rows:
    """Read a chain."""

    async def run(chain: UUID | None) -> list[dict[str, Any]]:
        return await _rows(admin, chain)

    return run


@pytest.fixture
async def rewrite(admin: AsyncEngine, attack: Attack) -> Callable[..., Awaitable[None]]:
    """Edit an entry and compute the hashes of it and of all after it anew, as its chain's own."""

    async def run(chain: UUID | None, sequence: int, **changes: object) -> None:
        rows = await _rows(admin, chain)
        previous = None
        for row in rows:
            if row["sequence"] == sequence:
                row.update(changes)
            row["previous_hash"] = previous
            row["hash"] = previous = _written(row)
        for row in (each for each in rows if each["sequence"] >= sequence):
            values = ", ".join(f"{name} = :{name}" for name in (*changes, "previous_hash", "hash"))
            await attack(f"UPDATE audit_logs SET {values} WHERE id = :id", **row)  # noqa: S608 - ours

    return run


@pytest.fixture
def anchors(tmp_path: Path) -> Path:
    """The file of anchors."""
    return tmp_path / "anchors.jsonl"


@pytest.fixture
def verified(owner: AsyncEngine, anchors: Path) -> Verify:
    """Verify the log, as `seawall audit verify` does."""

    async def run() -> Verification:
        return await verify.verify(owner, anchors, "seawall")

    return run
