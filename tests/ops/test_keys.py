"""Changing the encryption key: complete, while others work, and whatever interrupts it."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from importlib import import_module
from itertools import count
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
from seawall.db.database import Location, open_database
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.db.vault import Vault
from seawall.ops import keys
from seawall.portfolios.tables import ExchangeConnection

Admit = Callable[..., Awaitable[None]]
ReadAll = Callable[..., Awaitable[dict[str, str]]]

ADA, BOB, EVE = (UUID(int=number) for number in (101, 102, 103))
USERS = (ADA, BOB, EVE)
COLUMNS = {
    *(f"users.{name}" for name in ("first_name", "last_name", "full_name", "two_factor_secret")),
    *(f"exchange_connections.{name}_encrypted" for name in ("api_key", "api_secret", "passphrase")),
}


def _quietly(step: str, done: int, total: int) -> None:
    assert step
    assert 0 <= done <= total


@pytest.fixture
async def admin(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine that sees every user's rows."""
    made = create_engine(location.admin_url, role=None, pooled=False)
    yield made
    await made.dispose()


@pytest.fixture
async def people(admit: Admit, admin: AsyncEngine) -> tuple[UUID, ...]:
    """Three users with secrets; one of them is deleted."""
    for user in USERS:
        await admit(user, f"secret of {user.int}")
    async with admin.begin() as connection:
        deleted = text("UPDATE users SET deleted_at = now() WHERE id = :id")
        await connection.execute(deleted, {"id": BOB})
    return USERS


async def _key_ids(admin: AsyncEngine) -> set[str]:
    """Return the ids of the keys that anything is sealed with, as the rows themselves tell."""
    found: set[str] = set()
    async with admin.connect() as connection:
        for column in COLUMNS:
            table, _, name = column.partition(".")
            key_id = f"SELECT DISTINCT encode(substr({name}, 5, 8), 'hex') FROM {table}"  # noqa: S608
            found |= set(await connection.scalars(text(f"{key_id} WHERE {name} IS NOT NULL")))
    return found


def _expected(user: UUID, secret: str | None = None) -> dict[str, str]:
    said = secret or f"secret of {user.int}"
    return {column: f"{said} {column.partition('.')[2]}" for column in COLUMNS}


async def test_everything_is_sealed_with_the_new_key_and_the_former_is_retired(
    settings: Settings, people: tuple[UUID, ...], admin: AsyncEngine, read_all: ReadAll
) -> None:
    former = KeyStore(settings).read()
    assert await read_all(ADA) == _expected(ADA)
    done = await keys.rotate(settings, _quietly)
    present = KeyStore(settings).read()
    assert done.key_id == present.current.id
    assert done.retired == (former.current.id,)
    assert done.users == len(people)
    assert done.wrapped == dict.fromkeys(COLUMNS, len(people))
    assert present.keys == (present.current, *former.keys)
    assert await _key_ids(admin) == {present.current.id}
    for user in people:
        # By a process that has known only the former key so far.
        assert await read_all(user) == _expected(user)
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
    admin: AsyncEngine,
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
    assert await _key_ids(admin) == {done.key_id}


async def test_a_second_rotation_makes_a_third_key(
    settings: Settings, people: tuple[UUID, ...], admin: AsyncEngine
) -> None:
    first = await keys.rotate(settings, _quietly)
    second = await keys.rotate(settings, _quietly)
    assert second.retired == (first.key_id,)
    assert await _key_ids(admin) == {second.key_id}
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
            assert column.name in table.info["audit"].redacted
    assert found == COLUMNS


class Interruption(BaseException):
    """As a signal that ends the program."""


@pytest.mark.parametrize("steps", range(9))
async def test_an_interrupted_rotation_is_finished_by_the_next(
    settings: Settings,
    people: tuple[UUID, ...],
    admin: AsyncEngine,
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
        assert not await _retired(admin, former)
    else:
        await keys.rotate(settings, interrupt)
        assert await _retired(admin, former)
    new = KeyStore(settings).read().current.id
    for user in people:
        assert await read_all(user) == _expected(user)
    if steps < 8:
        done = await keys.rotate(settings, _quietly)
        assert (done.key_id, done.retired) == (new, (former,))
        assert sum(done.wrapped.values()) == len(COLUMNS) * (3 - min(steps, 3))
    assert await _key_ids(admin) == {new}
    assert len(KeyStore(settings).read().keys) == 2


async def _retired(admin: AsyncEngine, key_id: str) -> bool:
    async with admin.connect() as connection:
        question = text("SELECT retired_at IS NOT NULL FROM encryption_keys WHERE id = :id")
        return bool(await connection.scalar(question, {"id": key_id}))


class Application:
    """Processes that go on reading and writing until they are told to stop."""

    def __init__(self, settings: Settings, admit: Admit, change: Admit, read: ReadAll) -> None:
        self._settings, self._admit, self._change, self._read = settings, admit, change, read
        self.latest: dict[UUID, str] = {}
        self.reads = 0
        self.stopped = False

    async def admit(self, users: Iterable[UUID]) -> None:
        for user in users:
            await self._admit(user, f"secret of {user.int}")
            self.latest[user] = f"secret of {user.int}"
            await asyncio.sleep(0.01)
            if self.stopped:
                return

    async def write(self, users: Sequence[UUID]) -> None:
        own = Vault(KeyStore(self._settings))
        for number in count():
            user = users[number % len(users)]
            await self._change(user, f"change {number}", with_vault=own)
            self.latest[user] = f"change {number}"
            await asyncio.sleep(0.01)
            if self.stopped:
                return

    async def read(self, users: Sequence[UUID]) -> None:
        own = Vault(KeyStore(self._settings))
        while not self.stopped:
            for user in users:
                assert await self._read(user, with_vault=own) == _expected(user, self.latest[user])
                self.reads += 1


async def test_others_read_and_write_meanwhile(
    settings: Settings,
    admin: AsyncEngine,
    admit: Admit,
    change_secrets: Admit,
    read_all: ReadAll,
) -> None:
    here = Application(settings, admit, change_secrets, read_all)
    first = [UUID(int=number) for number in range(200, 212)]
    await here.admit(first)

    async def rotate() -> list[keys.Rotation]:
        try:
            return [await keys.rotate(settings, _quietly) for _ in range(3)]
        finally:
            here.stopped = True

    newcomers = (UUID(int=number) for number in range(300, 400))
    done, *_ = await asyncio.gather(
        rotate(),
        here.admit(newcomers),
        here.write(first[:4]),
        here.write(first[4:8]),
        here.read(first[8:]),
    )
    assert here.reads > 0
    assert len(here.latest) > len(first)
    assert any(secret.startswith("change") for secret in here.latest.values())
    assert await _key_ids(admin) == {done[-1].key_id}
    for user, secret in here.latest.items():
        assert await read_all(user) == _expected(user, secret)


async def test_what_cannot_be_opened_keeps_the_former_key_in_use(
    settings: Settings, people: tuple[UUID, ...], admin: AsyncEngine, read_all: ReadAll
) -> None:
    former = KeyStore(settings).read().current.id
    async with admin.begin() as connection:
        copied = "UPDATE users SET last_name = (SELECT last_name FROM users WHERE id = :from)"
        await connection.execute(text(f"{copied} WHERE id = :to"), {"from": ADA, "to": EVE})
    with pytest.raises(ConflictError, match="1 sealed values cannot be opened") as caught:
        await keys.rotate(settings, _quietly)
    assert f"users.last_name of the row {EVE}" in caught.value.message
    assert not await _retired(admin, former)
    new = KeyStore(settings).read().current.id
    assert await _key_ids(admin) == {former, new}
    assert await read_all(ADA) == _expected(ADA)
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
    settings: Settings, admin: AsyncEngine, admit: Admit, read_all: ReadAll
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
    assert await _key_ids(admin) == {IDS[1]}
    alone = _given(settings, 1)
    assert await read_all(ADA, with_vault=Vault(KeyStore(alone))) == _expected(ADA)
    async with open_database(alone):
        pass
    (current, former) = (await keys.status(alone)).keys
    assert (current.id, former.id, former.on_ring, former.is_missing) == (*IDS[1::-1], False, False)
    # Back into a file, for which the key of the environment is the former one.
    store = KeyStore(settings)
    store.read_or_make()
    with pytest.raises(UnavailableError, match=f"key {IDS[1]}, missing in {store.path}"):
        await keys.rotate(settings, _quietly)


async def test_a_process_that_goes_on_with_the_former_key_is_noticed(
    settings: Settings, admin: AsyncEngine, admit: Admit, change_secrets: Admit
) -> None:
    outdated = Vault(KeyStore(_given(settings, 0)))
    await admit(ADA, "first", with_vault=outdated)
    for number in range(200, 220):
        await admit(UUID(int=number), "others", with_vault=outdated)
    ended = asyncio.Event()

    async def go_on() -> None:
        while not ended.is_set():
            await change_secrets(ADA, "again", with_vault=outdated)

    async def rotate() -> None:
        try:
            await keys.rotate(_given(settings, 1, 0), _quietly)
        finally:
            ended.set()

    going_on = asyncio.create_task(go_on())
    with pytest.raises(ConflictError, match="Others go on sealing") as caught:
        await rotate()
    await going_on
    assert "SEAWALL_ENCRYPTION__KEY" in caught.value.hint
    assert not await _retired(admin, IDS[0])
    done = await keys.rotate(_given(settings, 1, 0), _quietly)
    assert done.retired == (IDS[0],)
    with pytest.raises(ConflictError, match=f"{IDS[0]} was retired in this database"):
        await change_secrets(ADA, "too late", with_vault=outdated)
    assert await _key_ids(admin) == {IDS[1]}


async def test_two_rotations_do_not_meet(
    settings: Settings, people: tuple[UUID, ...], admin: AsyncEngine
) -> None:
    outcomes = await asyncio.gather(
        *(keys.rotate(settings, _quietly) for _ in range(3)), return_exceptions=True
    )
    done = [each for each in outcomes if isinstance(each, keys.Rotation)]
    refused = [each for each in outcomes if not isinstance(each, keys.Rotation)]
    assert done
    for each in refused:
        assert isinstance(each, ConflictError)
        assert "Another rotation" in each.message
    assert await _key_ids(admin) == {KeyStore(settings).read().current.id}
    assert len(KeyStore(settings).read().keys) == 2
    assert len(people) == done[0].users


async def test_who_may_not_act_for_every_user_is_told(
    settings: Settings, people: tuple[UUID, ...], admin: AsyncEngine
) -> None:
    former = KeyStore(settings).read()
    lesser = settings.database.model_copy(update={"admin_url": settings.database.url})
    with pytest.raises(ForbiddenError, match="seawall_worker") as caught:
        await keys.rotate(settings.model_copy(update={"database": lesser}), _quietly)
    assert "SEAWALL_DATABASE__ADMIN_URL" in caught.value.hint
    assert KeyStore(settings).read() == former
    assert await _key_ids(admin) == {former.current.id}
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
    admin: AsyncEngine,
    read_all: ReadAll,
) -> None:
    """The file is the newer one; the database knows only the key of before."""
    former = KeyStore(settings).read().current.id
    KeyStore(settings).renew()
    newest = KeyStore(settings).renew().current.id
    async with open_database(settings):
        assert await read_all(EVE) == _expected(EVE)
    done = await keys.rotate(settings, _quietly)
    assert (done.key_id, done.retired) == (newest, (former,))
    assert await _key_ids(admin) == {newest}
    assert people
