"""What a rotation does to rows that others are changing."""

from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.crypto import Place, rewrap
from seawall.core.errors import ConflictError, UnavailableError
from seawall.core.keys import KeyStore
from seawall.core.settings import Settings
from seawall.db import rotation
from seawall.db.base import Base
from seawall.db.faults import is_collision
from seawall.db.session import transaction
from seawall.db.vault import Vault
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.identity.tables import User

NOBODY = UUID(int=0)
USERS = Base.metadata.tables["users"]


def _place(column: str) -> Place:
    return Place("users", column, OWNER_ID, OWNER_ID)


@pytest.fixture
async def vault(engine: AsyncEngine, tmp_path: Path) -> Vault:
    """The vault that has sealed two names of the owner."""
    made = Vault(KeyStore(Settings(home=tmp_path)))
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        names = {
            column: await made.seal(session, SecretStr("before"), _place(column))
            for column in ("first_name", "last_name")
        }
        await session.execute(update(User).values(**names))
    return made


async def _names(engine: AsyncEngine, vault: Vault) -> list[str]:
    async with transaction(engine, OWNER_ID) as session:
        row = (await session.execute(select(User.first_name, User.last_name))).one()
    return [
        vault.open(sealed, _place(column)).get_secret_value()
        for column, sealed in row._mapping.items()
    ]


@pytest.mark.parametrize("changed", ["first_name", "last_name"])
async def test_what_others_wrote_meanwhile_is_kept(
    engine: AsyncEngine, vault: Vault, changed: str
) -> None:
    ring = vault.store.renew()
    async with transaction(engine, OWNER_ID) as session:
        (row,) = await rotation.rows_to_wrap(session, USERS, ring.current.id, NOBODY)
        assert (row.row_id, row.tenant) == (OWNER_ID, OWNER_ID)
        wrapped = {name: rewrap(ring, old, row.place(name)) for name, old in row.values.items()}
        async with transaction(engine, OWNER_ID) as other:
            sealed = await vault.seal(other, SecretStr("after"), _place(changed))
            await other.execute(update(User).values({changed: sealed}))
        assert not await rotation.replace(session, row, wrapped)
        assert await rotation.has_rows_to_wrap(session, USERS, ring.current.id)
    assert sorted(await _names(engine, vault)) == ["after", "before"]
    async with transaction(engine, OWNER_ID) as session:
        (row,) = await rotation.rows_to_wrap(session, USERS, ring.current.id, NOBODY)
        wrapped = {name: rewrap(ring, old, row.place(name)) for name, old in row.values.items()}
        assert changed not in wrapped
        assert await rotation.replace(session, row, wrapped)
        assert not await rotation.has_rows_to_wrap(session, USERS, ring.current.id)
    assert sorted(await _names(engine, vault)) == ["after", "before"]


async def test_a_row_that_others_hold_is_given_way_to(engine: AsyncEngine, vault: Vault) -> None:
    ring = vault.store.renew()

    async def wrap() -> None:
        async with transaction(engine, OWNER_ID) as session:
            await rotation.wait_briefly(session)
            (row,) = await rotation.rows_to_wrap(session, USERS, ring.current.id, NOBODY)
            await rotation.replace(session, row, row.values)

    async with transaction(engine, OWNER_ID) as other:
        await other.execute(text("SELECT FROM users FOR UPDATE"))
        with pytest.raises(UnavailableError, match="Two changes met") as caught:
            await wrap()
    assert is_collision(caught.value)
    await wrap()


async def test_one_rotation_at_a_time_is_let_in(engine: AsyncEngine) -> None:
    async def enter() -> None:
        async with rotation.exclusive(engine):
            pass

    async with rotation.exclusive(engine):
        with pytest.raises(ConflictError, match="Another rotation"):
            await enter()
    await enter()
