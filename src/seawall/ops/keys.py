"""The encryption keys of an installation: what is known of them, and changing them.

A rotation makes a new key the current one, wraps every sealed secret anew while others read and
write, and retires the former key once nothing is left under it. The key is written to its file
before anything is sealed with it, and each step can be repeated: one that was interrupted is
finished by the next.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from importlib import import_module
from pkgutil import walk_packages
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import seawall
from seawall.core.crypto import rewrap
from seawall.core.errors import ConflictError, SeawallError, UnavailableError, name_some
from seawall.core.keys import KeyRing, KeyStore
from seawall.core.settings import Settings
from seawall.db import database, rotation
from seawall.db.faults import is_collision
from seawall.db.session import transaction
from seawall.db.tables import EncryptionKey
from seawall.db.vault import Vault, opens

NOBODY = UUID(int=0)
PATIENCE = 60.0
"""Seconds to wait for a transaction of others that holds a row."""
_ATTEMPTS = 5

T = TypeVar("T")

Advance = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """One key, on the ring or known to the database; what is not known is None."""

    id: str
    is_current: bool
    on_ring: bool
    first_used_at: datetime | None
    retired_at: datetime | None
    opens: bool | None
    """Whether it opens the text that the database had sealed with it."""
    is_missing: bool
    """Whether secrets of the database cannot be opened for want of it."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Where the keys are kept, and each of them: the ring's first, in its order."""

    origin: str
    keys: tuple[KeyStatus, ...]


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did: `wrapped` counts values by column; no key is None."""

    key_id: str | None
    retired: tuple[str, ...] = ()
    users: int = 0
    wrapped: dict[str, int] = field(default_factory=dict)


async def status(settings: Settings) -> Keys:
    """Tell of every key; a missing one is told, not refused."""
    ring = KeyStore(settings).read()
    async with database.open_database(settings, require_keys=False) as engine:
        return await _status_of(engine, ring)


async def _status_of(engine: AsyncEngine, ring: KeyRing) -> Keys:
    async with transaction(engine, NOBODY) as session:
        known = {key.id: key for key in await rotation.list_keys(session)}
    key_ids = dict.fromkeys([*(key.id for key in ring.keys), *known])
    return Keys(ring.origin, tuple(_status(each, ring, known.get(each)) for each in key_ids))


def _status(key_id: str, ring: KeyRing, known: EncryptionKey | None) -> KeyStatus:
    on_ring = [key.id for key in ring.keys]
    opening = opens(ring, key_id, known.check_value) if known else None
    return KeyStatus(
        id=key_id,
        is_current=on_ring[:1] == [key_id],
        on_ring=key_id in on_ring,
        first_used_at=known.created_at if known else None,
        retired_at=known.retired_at if known else None,
        opens=opening,
        is_missing=known is not None and known.retired_at is None and not opening,
    )


async def rotate(settings: Settings, advance: Advance) -> Rotation:
    """Seal everything with a new key; finish a rotation that was interrupted instead, if one was.

    Raises:
        ConflictError: another is under way, a value cannot be opened, or others go on sealing with
            the former key. Nothing is lost, and the former key stays in use.
        InvalidError: the keys are in the environment, and no new one is there.
    """
    _import_tables()
    async with database.open_database(settings) as engine, transaction(engine, NOBODY) as session:
        in_use = [key.id for key in await rotation.list_keys(session) if key.retired_at is None]
    store = KeyStore(settings)
    if not in_use and not store.read().keys:
        return Rotation(None)
    async with database.open_worker(settings) as worker, rotation.exclusive(worker):
        ring = store.renew() if in_use == [store.read().current.id] else store.read()
        return await _Rotator(worker, Vault(store), ring, advance).run()


def _import_tables() -> None:
    """Have every table of every domain known: a sealed column must not be missed."""
    for module in walk_packages(seawall.__path__, "seawall."):
        if module.name.endswith(".tables"):
            import_module(module.name)


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Repeat a transaction that gave way to others, until it meets nobody."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await work()
        except UnavailableError as error:
            if not is_collision(error) or time.monotonic() > deadline:
                raise
            await asyncio.sleep(random.uniform(0.01, 0.1))  # noqa: S311 - nothing secret in it


class _Changed(Exception):  # noqa: N818 - it undoes a transaction and says nothing
    """There is something under a former key again."""


class _Rotator:
    """One rotation to the current key of a ring."""

    def __init__(self, worker: AsyncEngine, vault: Vault, ring: KeyRing, advance: Advance) -> None:
        self._worker = worker
        self._vault = vault
        self._ring = ring
        self._advance = advance
        self._tables = rotation.sealed_tables()
        self._wrapped: Counter[str] = Counter()
        self._stuck: dict[str, str] = {}

    async def run(self) -> Rotation:
        for _ in range(_ATTEMPTS):
            users = await self._wrap_all()
            if self._stuck:
                raise self._refusal()
            try:
                retired = await _patiently(self._retire)
            except _Changed:
                continue
            return Rotation(self._ring.current.id, retired, users, dict(self._wrapped))
        raise ConflictError(
            "Others go on sealing with the former key, which therefore stays in use.",
            hint=f"Give every process that uses this database the keys in {self._ring.origin}, then"
            " run this again.",
        )

    async def _wrap_all(self) -> int:
        async with transaction(self._worker, NOBODY) as session:
            tenants = await rotation.list_tenants(session)
        for tenant in self._counted("Wrapping anew", tenants):
            for table in self._tables:
                after: UUID | None = NOBODY
                while after is not None:
                    after = await _patiently(partial(self._wrap_batch, tenant, table, after))
        return len(tenants)

    def _counted(self, step: str, tenants: Sequence[UUID]) -> Iterator[UUID]:
        for done, tenant in enumerate(tenants):
            self._advance(step, done, len(tenants))
            yield tenant
        self._advance(step, len(tenants), len(tenants))

    async def _wrap_batch(self, tenant: UUID, table: Table, after: UUID) -> UUID | None:
        """Wrap a user's next rows in one transaction; return where to go on, None at the end."""
        wrapped: Counter[str] = Counter()
        async with transaction(self._worker, tenant) as session:
            await rotation.wait_briefly(session)
            rows = await rotation.rows_to_wrap(session, table, self._ring.current.id, after)
            if rows:
                await self._hold(session)
            for row in rows:
                values = self._wrap(row)
                # What was changed meanwhile is looked at again before the former key is retired.
                if values and await rotation.replace(session, row, values):
                    wrapped.update(f"{table.name}.{column}" for column in values)
        self._wrapped += wrapped
        return rows[-1].row_id if len(rows) == rotation.BATCH else None

    async def _hold(self, session: AsyncSession) -> None:
        if (await self._vault.hold(session)).current != self._ring.current:
            raise ConflictError(
                "The current key was changed meanwhile, by a rotation of another database.",
                hint="Run this again: it goes on from where it stopped.",
            )

    def _wrap(self, row: rotation.SealedRow) -> dict[str, bytes]:
        wrapped = {}
        for column, sealed in row.values.items():
            place = row.place(column)
            try:
                wrapped[column] = rewrap(self._ring, sealed, place)
            except SeawallError as error:
                self._stuck[str(place)] = error.message
        return wrapped

    async def _retire(self) -> tuple[str, ...]:
        """Retire the former keys in one transaction with the proof that nothing is under them."""
        current = self._ring.current.id
        async with transaction(self._worker, NOBODY) as session:
            await rotation.wait_briefly(session)
            keys = await rotation.list_keys(session)
            former = [key.id for key in keys if key.retired_at is None and key.id != current]
            await rotation.retire(session, former)
            tenants = await rotation.list_tenants(session)
            for tenant in self._counted("Verifying", tenants):
                await rotation.bind(session, tenant)
                for table in self._tables:
                    if await rotation.has_rows_to_wrap(session, table, current):
                        raise _Changed
        return tuple(former)

    def _refusal(self) -> ConflictError:
        return ConflictError(
            f"What is sealed here cannot be opened: {name_some(list(self._stuck))}. All else is"
            " wrapped anew, and the former key stays in use.",
            hint="Enter these secrets anew or bring the rows back from a backup, then run this"
            " again.",
            details=self._stuck,
        )
