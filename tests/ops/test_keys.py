"""Changing the encryption key: complete, while others work, and whatever interrupts it."""

import base64
import hashlib
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

import seawall
from seawall.core.crypto import Place, seal
from seawall.core.errors import ConflictError, ForbiddenError, InvalidError, UnavailableError
from seawall.core.keys import KeyStore, as_key
from seawall.core.settings import EncryptionSettings, Settings
from seawall.db import rotation
from seawall.db.database import open_database
from seawall.db.session import transaction
from seawall.db.vault import Vault
from seawall.ops import keys
from seawall.portfolios.tables import ExchangeConnection

Admit = Callable[..., Awaitable[None]]
ReadAll = Callable[..., Awaitable[str]]
KeyIds = Callable[[], Awaitable[set[str]]]

ADA, BOB, EVE = (UUID(int=number) for number in (101, 102, 103))
USERS = (ADA, BOB, EVE)
COLUMNS = {
    *(f"users.{name}" for name in ("first_name", "last_name", "full_name", "two_factor_secret")),
    *(f"exchange_connections.{name}_encrypted" for name in ("api_key", "api_secret", "passphrase")),
    "outbox.body",
}


def _quietly(step: str, done: int, total: int) -> None:
    assert step
    assert 0 <= done <= total


async def _is_retired(settings: Settings, key_id: str) -> bool:
    (found,) = [key for key in (await keys.status(settings)).keys if key.id == key_id]
    return found.retired_at is not None


@pytest.fixture
async def people(admit: Admit, admin: AsyncEngine) -> tuple[UUID, ...]:
    """Three users with secrets; one of them is deleted."""
    for user in USERS:
        await admit(user, f"secret of {user.int}")
    async with admin.begin() as connection:
        deleted = text("UPDATE users SET deleted_at = now() WHERE id = :id")
        await connection.execute(deleted, {"id": BOB})
    return USERS


async def test_everything_is_sealed_with_the_new_key_and_the_former_is_retired(
    settings: Settings, people: tuple[UUID, ...], key_ids: KeyIds, read_all: ReadAll
) -> None:
    former = KeyStore(settings).read()
    assert await read_all(ADA) == f"secret of {ADA.int}"
    done = await keys.rotate(settings, _quietly)
    present = KeyStore(settings).read()
    assert done.key_id == present.current.id
    assert done.retired == (former.current.id,)
    assert done.users == len(people)
    assert done.wrapped == dict.fromkeys(COLUMNS, len(people))
    assert present.keys == (present.current, *former.keys)
    assert await key_ids() == {present.current.id}
    for user in people:
        # By a process that has known only the former key so far.
        assert await read_all(user) == f"secret of {user.int}"
    found = await keys.status(settings)
    assert found.origin == str(KeyStore(settings).path)
    newer, older = found.keys
    assert (newer.id, newer.is_current, newer.retired_at) == (done.key_id, True, None)
    assert (older.id, older.is_current, older.on_ring) == (former.current.id, False, True)
    assert older.retired_at is not None
    assert newer.opens
    assert older.opens
    async with open_database(settings):
        pass


@pytest.mark.parametrize("batch", [1, 2, 3, 6])
async def test_many_rows_of_a_user_are_taken_in_batches(
    settings: Settings,
    people: tuple[UUID, ...],
    engine: AsyncEngine,
    key_ids: KeyIds,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
) -> None:
    store = KeyStore(settings)
    async with transaction(engine, ADA) as session:
        first = (await session.execute(select(ExchangeConnection))).scalar_one()
        for number in range(5):
            row = UUID(int=900 + number)
            place = Place("exchange_connections", "api_key_encrypted", ADA, row)
            session.add(
                ExchangeConnection(
                    id=row,
                    exchange_id=first.exchange_id,
                    name="another",
                    api_key_last_four=f"{number:04}",
                    api_key_encrypted=seal(store.read(), SecretStr("key"), place),
                )
            )
    monkeypatch.setattr(rotation, "BATCH", batch)
    done = await keys.rotate(settings, _quietly)
    assert done.wrapped["exchange_connections.api_key_encrypted"] == len(people) + 5
    assert done.wrapped["exchange_connections.passphrase_encrypted"] == len(people)
    assert await key_ids() == {done.key_id}


async def test_a_second_rotation_makes_a_third_key(
    settings: Settings, people: tuple[UUID, ...], key_ids: KeyIds
) -> None:
    first = await keys.rotate(settings, _quietly)
    second = await keys.rotate(settings, _quietly)
    assert second.retired == (first.key_id,)
    assert await key_ids() == {second.key_id}
    assert len(KeyStore(settings).read().keys) == len(people)


async def test_where_nothing_was_sealed_there_is_no_key_to_make(settings: Settings) -> None:
    assert await keys.rotate(settings, _quietly) == keys.Rotation(None)
    found = await keys.status(settings)
    assert found.keys == ()
    assert not KeyStore(settings).path.exists()


def test_no_sealed_column_is_missed() -> None:
    for module in walk_packages(seawall.__path__, "seawall."):
        if module.name.endswith(".tables"):
            import_module(module.name)
    found = set()
    for table in rotation.sealed_tables():
        assert table.info["tenant"]
        for column in rotation.sealed_columns(table):
            found.add(f"{table.name}.{column.name}")
            assert "unaudited" in table.info or column.name in table.info["audit"].redacted
    assert found == COLUMNS


class Interruption(BaseException):
    """As a signal that ends the program."""


@pytest.mark.parametrize("steps", range(9))
async def test_an_interrupted_rotation_is_finished_by_the_next(
    settings: Settings,
    people: tuple[UUID, ...],
    key_ids: KeyIds,
    read_all: ReadAll,
    steps: int,
) -> None:
    former = KeyStore(settings).read().current.id
    left = iter(range(steps))

    def interrupt(_step: str, _done: int, _total: int) -> None:
        if next(left, None) is None:
            raise Interruption

    # Each pass tells of every user and of its end: 4 steps to wrap, 4 to verify.
    if steps < 8:
        with pytest.raises(Interruption):
            await keys.rotate(settings, interrupt)
        assert not await _is_retired(settings, former)
    else:
        await keys.rotate(settings, interrupt)
        assert await _is_retired(settings, former)
    new = KeyStore(settings).read().current.id
    for user in people:
        assert await read_all(user) == f"secret of {user.int}"
    if steps < 8:
        done = await keys.rotate(settings, _quietly)
        assert (done.key_id, done.retired) == (new, (former,))
        assert sum(done.wrapped.values()) == len(COLUMNS) * (3 - min(steps, 3))
    assert await key_ids() == {new}
    assert len(KeyStore(settings).read().keys) == 2


async def test_what_cannot_be_opened_keeps_the_former_key_in_use(
    settings: Settings,
    people: tuple[UUID, ...],
    admin: AsyncEngine,
    key_ids: KeyIds,
    read_all: ReadAll,
) -> None:
    former = KeyStore(settings).read().current.id
    async with admin.begin() as connection:
        copied = "UPDATE users SET last_name = (SELECT last_name FROM users WHERE id = :from)"
        await connection.execute(text(f"{copied} WHERE id = :to"), {"from": ADA, "to": EVE})
    with pytest.raises(ConflictError, match="What is sealed here cannot be opened") as caught:
        await keys.rotate(settings, _quietly)
    assert f"users.last_name of the row {EVE}" in caught.value.message
    assert not await _is_retired(settings, former)
    new = KeyStore(settings).read().current.id
    assert await key_ids() == {former, new}
    assert await read_all(ADA) == f"secret of {ADA.int}"
    async with admin.begin() as connection:
        mended = text("UPDATE users SET last_name = NULL WHERE id = :id")
        await connection.execute(mended, {"id": EVE})
    done = await keys.rotate(settings, _quietly)
    assert (done.key_id, done.retired, done.wrapped) == (new, (former,), {})
    assert len(people) == done.users


RAW = [hashlib.sha256(bytes([number])).digest() for number in range(3)]
ENCODED = [base64.b64encode(raw).decode() for raw in RAW]
IDS = [as_key(raw).id for raw in RAW]


def _given(settings: Settings, key: int, *old: int) -> Settings:
    """Give the keys by the environment."""
    former = ",".join(ENCODED[each] for each in old)
    encryption = EncryptionSettings(
        key=SecretStr(ENCODED[key]), old_keys=SecretStr(former) if old else None
    )
    return settings.model_copy(update={"encryption": encryption})


async def test_keys_of_the_environment_are_changed_there(
    settings: Settings, key_ids: KeyIds, admit: Admit, read_all: ReadAll
) -> None:
    first, both = _given(settings, 0), _given(settings, 1, 0)
    await admit(ADA, "secret of 101", with_vault=Vault(KeyStore(first)))
    with pytest.raises(InvalidError, match="sealed with it already") as caught:
        await keys.rotate(first, _quietly)
    assert "SEAWALL_ENCRYPTION__OLD_KEYS" in caught.value.hint
    with pytest.raises(UnavailableError, match=f"key {IDS[0]}, missing in"):
        await keys.rotate(_given(settings, 1), _quietly)
    done = await keys.rotate(both, _quietly)
    assert (done.key_id, done.retired) == (IDS[1], (IDS[0],))
    assert await key_ids() == {IDS[1]}
    alone = _given(settings, 1)
    assert await read_all(ADA, with_vault=Vault(KeyStore(alone))) == f"secret of {ADA.int}"
    async with open_database(alone):
        pass
    (current, former) = (await keys.status(alone)).keys
    assert (current.id, former.id, former.on_ring, former.is_missing) == (*IDS[1::-1], False, False)
    # Back into a file, for which the key of the environment is the former one.
    store = KeyStore(settings)
    store.read_or_make()
    with pytest.raises(UnavailableError, match=f"key {IDS[1]}, missing in {store.path}"):
        await keys.rotate(settings, _quietly)


async def test_who_may_not_act_for_every_user_is_told(
    settings: Settings, people: tuple[UUID, ...], key_ids: KeyIds
) -> None:
    former = KeyStore(settings).read()
    lesser = settings.database.model_copy(update={"admin_url": settings.database.url})
    with pytest.raises(ForbiddenError, match="seawall_worker") as caught:
        await keys.rotate(settings.model_copy(update={"database": lesser}), _quietly)
    assert "SEAWALL_DATABASE__ADMIN_URL" in caught.value.hint
    assert KeyStore(settings).read() == former
    assert await key_ids() == {former.current.id}
    assert people


async def test_a_missing_key_is_told_in_the_status_and_refused_elsewhere(
    settings: Settings, people: tuple[UUID, ...], tmp_path: Path
) -> None:
    store = KeyStore(settings)
    key_id = store.read().current.id
    store.path.rename(tmp_path / "taken away")
    (found,) = (await keys.status(settings)).keys
    assert (found.id, found.is_missing, found.on_ring) == (key_id, True, False)
    with pytest.raises(UnavailableError, match=key_id):
        await keys.rotate(settings, _quietly)
    store.read_or_make()
    newer, missing = (await keys.status(settings)).keys
    assert (newer.is_missing, newer.first_used_at) == (False, None)
    assert (missing.id, missing.is_missing) == (key_id, True)
    assert people


async def test_what_a_rotation_did_is_in_the_audit_log(
    settings: Settings, people: tuple[UUID, ...], engine: AsyncEngine, admin: AsyncEngine
) -> None:
    done = await keys.rotate(settings, _quietly)
    changes = text(
        "SELECT old_data ->> 'first_name', new_data ->> 'first_name' FROM audit_logs"
        " WHERE table_name = 'users' AND operation = 'UPDATE' ORDER BY sequence"
    )
    async with transaction(engine, ADA) as session:
        assert (await session.execute(changes)).all() == [("[redacted]", "[redacted: changed]")]
    known = text(
        "SELECT operation, record_id, new_data ->> 'check_value' FROM audit_logs"
        " WHERE table_name = 'encryption_keys' ORDER BY sequence"
    )
    async with admin.connect() as connection:
        assert (await connection.execute(known)).all() == [
            ("INSERT", done.retired[0], "[redacted]"),
            ("INSERT", done.key_id, "[redacted]"),
            ("UPDATE", done.retired[0], "[redacted]"),
        ]
    assert people


async def test_a_restored_backup_of_before_a_rotation_opens_and_is_rotated_to_the_same_key(
    settings: Settings,
    people: tuple[UUID, ...],
    key_ids: KeyIds,
    read_all: ReadAll,
) -> None:
    """The file is the newer one; the database knows only the key of before."""
    former = KeyStore(settings).read().current.id
    KeyStore(settings).renew()
    newest = KeyStore(settings).renew().current.id
    async with open_database(settings):
        assert await read_all(EVE) == f"secret of {EVE.int}"
    done = await keys.rotate(settings, _quietly)
    assert (done.key_id, done.retired) == (newest, (former,))
    assert await key_ids() == {newest}
    assert people


async def test_a_lost_key_can_be_left_behind_as_the_manual_says(
    settings: Settings, people: tuple[UUID, ...], admin: AsyncEngine, key_ids: KeyIds, admit: Admit
) -> None:
    manual = Path(__file__).parents[2] / "docs" / "encryption.md"
    block = manual.read_text(encoding="utf-8").partition("```sql\n")[2].partition("```")[0]
    statements = [each.strip() for each in block.split(";") if each.strip()]
    assert (statements[0], statements[-1]) == ("BEGIN", "COMMIT")
    store = KeyStore(settings)
    store.path.unlink()
    async with admin.begin() as connection:
        for statement in statements[1:-1]:
            await connection.execute(text(statement))
    async with open_database(settings):
        pass
    assert await key_ids() == set()
    assert people
    await admit(UUID(int=1), "a new start")
    assert await key_ids() == {store.read().current.id}
