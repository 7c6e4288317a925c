"""Users with secrets, sealed as the application seals them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.crypto import Place, seal
from seawall.core.keys import KeyStore
from seawall.core.settings import Settings, load_settings
from seawall.db.base import Base
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.db.vault import Vault
from seawall.identity.tables import OutboxMail, User
from seawall.portfolios.tables import ExchangeConnection

OWNERS: dict[str, type[Base]] = {
    "users": User,
    "exchange_connections": ExchangeConnection,
    "outbox": OutboxMail,
}
SEALED = {
    "users": ("first_name", "last_name", "full_name", "two_factor_secret"),
    "exchange_connections": ("api_key_encrypted", "api_secret_encrypted", "passphrase_encrypted"),
    "outbox": ("body",),
}
Admit = Callable[..., Awaitable[None]]
ReadAll = Callable[..., Awaitable[str]]
KeyIds = Callable[[], Awaitable[set[str]]]


@pytest.fixture
def settings(installation: Location) -> Settings:
    """The settings of a command on the test's database."""
    assert installation.name
    return load_settings()


@pytest.fixture
def vault(settings: Settings) -> Vault:
    """The vault of a process that runs beside the test's commands."""
    return Vault(KeyStore(settings))


async def _sealed(
    session: AsyncSession, vault: Vault, table: str, user: UUID, secret: str
) -> dict[str, bytes]:
    ring = await vault.hold(session)
    return {
        column: seal(ring, SecretStr(f"{secret} {column}"), Place(table, column, user, user))
        for column in SEALED[table]
    }


@pytest.fixture
def admit(engine: AsyncEngine, vault: Vault) -> Admit:
    """Add a user, one exchange connection and one mail, with every secret that they can have."""

    async def add(user: UUID, secret: str, *, with_vault: Vault = vault) -> None:
        async with transaction(engine, user) as session:
            named = await _sealed(session, with_vault, "users", user, secret)
            await session.execute(
                insert(User).values(id=user, username=f"user-{user.int}", **named)
            )
            exchange = await session.scalar(
                text(
                    "INSERT INTO exchanges (code) VALUES ('any') ON CONFLICT DO NOTHING"
                    " RETURNING id"
                )
            ) or await session.scalar(text("SELECT id FROM exchanges WHERE code = 'any'"))
            await session.execute(
                insert(ExchangeConnection).values(
                    id=user,
                    exchange_id=exchange,
                    name="mine",
                    api_key_last_four="last",
                    **await _sealed(session, with_vault, "exchange_connections", user, secret),
                )
            )
            await session.execute(
                insert(OutboxMail).values(
                    id=user,
                    recipient="a@example.com",
                    subject="Hello",
                    **await _sealed(session, with_vault, "outbox", user, secret),
                )
            )

    return add


@pytest.fixture
def change_secrets(engine: AsyncEngine, vault: Vault) -> Admit:
    """Replace every secret of a user."""

    async def change(user: UUID, secret: str, *, with_vault: Vault = vault) -> None:
        async with transaction(engine, user) as session:
            for name in SEALED:
                sealed = await _sealed(session, with_vault, name, user, secret)
                await session.execute(update(OWNERS[name]).values(**sealed))

    return change


@pytest.fixture
def read_all(engine: AsyncEngine, vault: Vault) -> ReadAll:
    """Open every secret of a user, and return what they have in common."""

    async def read(user: UUID, *, with_vault: Vault = vault) -> str:
        found = set()
        async with transaction(engine, user) as session:
            for name, columns in SEALED.items():
                wanted = (getattr(OWNERS[name], column) for column in columns)
                row = (await session.execute(select(*wanted))).one()
                for column, sealed in zip(columns, row, strict=True):
                    opened = with_vault.open(sealed, Place(name, column, user, user))
                    found.add(opened.get_secret_value().removesuffix(f" {column}"))
        (secret,) = found
        return secret

    return read


@pytest.fixture
async def admin(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine that sees every user's rows."""
    made = create_engine(location.admin_url, role=None, pooled=False)
    yield made
    await made.dispose()


@pytest.fixture
def key_ids(admin: AsyncEngine) -> KeyIds:
    """Return the ids of the keys that anything is sealed with, as the rows themselves tell."""

    async def read() -> set[str]:
        found: set[str] = set()
        async with admin.connect() as connection:
            for name, columns in SEALED.items():
                for column in columns:
                    key_id = func.encode(func.substr(getattr(OWNERS[name], column), 5, 8), "hex")
                    found |= set(await connection.scalars(select(key_id)))
        return found - {None}

    return read
