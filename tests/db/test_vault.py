"""The vault: what it seals, what the database then knows, and how keys come and go meanwhile."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.crypto import Place, key_id_of
from seawall.core.errors import ConflictError, ForbiddenError, SeawallError, UnavailableError
from seawall.core.keys import KeyStore
from seawall.core.settings import EncryptionSettings, Settings
from seawall.db import rotation
from seawall.db.session import transaction
from seawall.db.vault import Vault, opens, require_keys
from seawall.identity.owner import OWNER_ID
from seawall.identity.tables import User

NAME = Place("users", "first_name", OWNER_ID, OWNER_ID)
SECRET = SecretStr("Ada")


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    """Keys in a file that is not there yet."""
    return KeyStore(Settings(home=tmp_path))


@pytest.fixture
def vault(store: KeyStore) -> Vault:
    """The vault of one process."""
    return Vault(store)


async def _save(session: AsyncSession, vault: Vault, secret: SecretStr = SECRET) -> bytes:
    sealed = await vault.seal(session, secret, NAME)
    await session.execute(update(User).values(first_name=sealed))
    return sealed


async def _recorded(session: AsyncSession) -> list[str]:
    return [key.id for key in await rotation.list_keys(session)]


async def test_what_a_row_holds_opens_and_the_database_knows_the_key(
    session: AsyncSession, vault: Vault, store: KeyStore
) -> None:
    assert await _recorded(session) == []
    await _save(session, vault)
    stored = await session.scalar(select(User.first_name))
    assert stored is not None
    assert vault.open(stored, NAME).get_secret_value() == "Ada"
    assert Vault(store).open(stored, NAME) == SECRET
    assert await _recorded(session) == [store.read().current.id] == [key_id_of(stored)]
    await _save(session, vault, SecretStr("Grace"))
    assert len(await _recorded(session)) == 1


async def test_a_key_is_recorded_with_what_it_sealed_or_not_at_all(
    engine: AsyncEngine, vault: Vault
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await _save(session, vault)
        assert len(await _recorded(session)) == 1
        await session.rollback()
    async with transaction(engine, OWNER_ID) as session:
        assert await _recorded(session) == []


async def test_first_users_at_the_same_time_share_one_key(
    engine: AsyncEngine, store: KeyStore
) -> None:
    async def use() -> str:
        async with transaction(engine, OWNER_ID) as session:
            return key_id_of(await Vault(store).seal(session, SECRET, NAME))

    assert len(set(await asyncio.gather(*(use() for _ in range(5))))) == 1


async def test_another_process_s_new_key_is_found_when_it_is_met(
    session: AsyncSession, vault: Vault, store: KeyStore
) -> None:
    before = await _save(session, vault)
    assert vault.open(before, NAME) == SECRET
    newer = store.renew()
    after = await Vault(store).seal(session, SECRET, NAME)
    assert key_id_of(after) == newer.current.id
    assert vault.open(after, NAME) == vault.open(before, NAME) == SECRET
    assert key_id_of(await vault.seal(session, SECRET, NAME)) == newer.current.id
    assert set(await _recorded(session)) == {key.id for key in newer.keys}


async def test_a_key_that_is_gone_is_not_replaced_by_a_new_one(
    session: AsyncSession, vault: Vault, store: KeyStore
) -> None:
    sealed = await _save(session, vault)
    (key_id,) = await _recorded(session)
    store.path.unlink()
    with pytest.raises(UnavailableError, match=f"{key_id}, missing in {store.path}"):
        await vault.seal(session, SECRET, NAME)
    with pytest.raises(UnavailableError, match=key_id):
        Vault(store).open(sealed, NAME)
    assert not store.path.exists()


async def test_nothing_is_sealed_with_a_retired_key(
    session: AsyncSession, vault: Vault, store: KeyStore
) -> None:
    await _save(session, vault)
    await rotation.retire(session, await _recorded(session))
    with pytest.raises(ConflictError, match="was retired in this database") as caught:
        await vault.seal(session, SECRET, NAME)
    assert str(store.path) in caught.value.hint
    store.renew()
    assert await vault.seal(session, SECRET, NAME)


async def test_retiring_waits_for_those_who_seal_and_holds_off_the_next(
    engine: AsyncEngine, vault: Vault, store: KeyStore
) -> None:
    steps: list[str] = []
    sealed_first, retired = asyncio.Event(), asyncio.Event()

    async def seal_slowly() -> None:
        async with transaction(engine, OWNER_ID) as session:
            await vault.seal(session, SECRET, NAME)
            sealed_first.set()
            await _until_waiting(engine)
            steps.append("sealed")

    async def retire() -> None:
        await sealed_first.wait()
        former = store.read().current.id
        store.renew()
        async with transaction(engine, OWNER_ID) as session:
            await rotation.retire(session, [former])
            steps.append("retired")
            retired.set()
            await _until_waiting(engine)

    async def seal_with_what_was_read_before() -> str:
        stale = Vault(store)
        former = store.read()
        await retired.wait()
        reads = iter([former])
        stale.store = _Stale(reads, store)  # type: ignore[assignment]  # a late reader of the file
        async with transaction(engine, OWNER_ID) as session:
            return key_id_of(await stale.seal(session, SECRET, NAME))

    async with transaction(engine, OWNER_ID) as session:
        await vault.hold(session)
    *_, used = await asyncio.gather(seal_slowly(), retire(), seal_with_what_was_read_before())
    assert steps == ["sealed", "retired"]
    assert used == store.read().current.id


class _Stale:
    """Keys as a process finds them that has read the file just before it was changed."""

    def __init__(self, first: object, then: KeyStore) -> None:
        self._first, self._then = first, then

    def read(self) -> object:
        return next(self._first, None) or self._then.read()  # type: ignore[call-overload]


async def _until_waiting(engine: AsyncEngine) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(20), engine.connect() as connection:
        watcher = await connection.execution_options(isolation_level="AUTOCOMMIT")
        while not await watcher.scalar(waiting):  # noqa: ASYNC110 - asks another process
            await asyncio.sleep(0.01)


async def test_a_check_value_proves_its_own_key_alone(
    session: AsyncSession, vault: Vault, store: KeyStore
) -> None:
    await _save(session, vault)
    first = store.read()
    second = store.renew()
    await _save(session, vault)
    known = {key.id: key.check_value for key in await rotation.list_keys(session)}
    newer, older = second.current.id, first.current.id
    require_keys(second, known.items())
    require_keys(first, [(older, known[older])])
    assert opens(second, newer, known[newer])
    for ring, key_id, value in (
        (first, newer, known[newer]),
        (second, newer, known[older]),
        (second, newer, known[newer][:-1]),
        (second, newer, b"nothing"),
    ):
        assert not opens(ring, key_id, value)
    with pytest.raises(UnavailableError, match=f"key {newer}, missing in"):
        require_keys(first, known.items())
    with pytest.raises(ForbiddenError, match=f"key {newer} does not open"):
        require_keys(second, [(newer, known[older])])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE encryption_keys SET check_value = check_value",
        "UPDATE encryption_keys SET id = id",
        "DELETE FROM encryption_keys",
        "TRUNCATE encryption_keys",
        "SELECT list_tenants()",
    ],
)
async def test_the_application_may_neither_forge_keys_nor_list_tenants(
    engine: AsyncEngine, statement: str
) -> None:
    with pytest.raises(ForbiddenError, match="permission denied"):
        async with transaction(engine, OWNER_ID) as session:
            await session.execute(text(statement))


@pytest.mark.parametrize(
    ("key_id", "size", "retired_at", "constraint"),
    [
        ("0123456789abcde", 120, None, "id_hexadecimal"),
        ("0123456789ABCDEF", 120, None, "id_hexadecimal"),
        ("0123456789abcdef", 99, None, "check_value_size"),
        ("0123456789abcdef", 1001, None, "check_value_size"),
        ("0123456789abcdef", 120, "2001-01-01", "retired_after_created"),
    ],
)
async def test_the_table_of_keys_takes_keys_alone(
    engine: AsyncEngine, key_id: str, size: int, retired_at: str | None, constraint: str
) -> None:
    row = text(
        "INSERT INTO encryption_keys (id, check_value, retired_at)"
        " VALUES (:id, decode(repeat('00', :size), 'hex'), CAST(CAST(:at AS text) AS timestamptz))"
    )
    with pytest.raises(Exception, match=f"ck_encryption_keys_{constraint}"):
        async with transaction(engine, OWNER_ID) as session:
            await session.execute(row, {"id": key_id, "size": size, "at": retired_at})


@pytest.mark.parametrize("origin", ["environment", "file"])
async def test_the_keys_of_one_place_do_not_open_what_another_sealed(
    session: AsyncSession, vault: Vault, tmp_path: Path, origin: str
) -> None:
    sealed = await _save(session, vault)
    given = (
        EncryptionSettings(key=SecretStr("A" * 43 + "="))
        if origin == "environment"
        else EncryptionSettings(key_file=tmp_path / "another")
    )
    other = Vault(KeyStore(Settings(home=tmp_path, encryption=given)))
    with pytest.raises(SeawallError, match=f"key {key_id_of(sealed)}, missing in") as caught:
        other.open(sealed, NAME)
    named = "SEAWALL_ENCRYPTION__OLD_KEYS" if origin == "environment" else str(tmp_path / "another")
    assert named in f"{caught.value}"


async def test_a_row_of_another_user_does_not_open(session: AsyncSession, vault: Vault) -> None:
    sealed = await _save(session, vault)
    other = UUID(int=5)
    with pytest.raises(ForbiddenError, match="sealed for another place"):
        vault.open(sealed, Place("users", "first_name", other, other))
