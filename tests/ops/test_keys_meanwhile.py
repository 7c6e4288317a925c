"""Changing the encryption key while others work with the database."""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import count
from uuid import UUID

import pytest
from pydantic import SecretStr

from seawall.core.errors import ConflictError
from seawall.core.keys import KeyStore, as_key
from seawall.core.settings import EncryptionSettings, Settings
from seawall.db.vault import Vault
from seawall.ops import keys

Admit = Callable[..., Awaitable[None]]
ReadAll = Callable[..., Awaitable[str]]
KeyIds = Callable[[], Awaitable[set[str]]]

ADA = UUID(int=101)


def _quietly(step: str, done: int, total: int) -> None:
    assert step
    assert 0 <= done <= total


async def _is_retired(settings: Settings, key_id: str) -> bool:
    (found,) = [key for key in (await keys.status(settings)).keys if key.id == key_id]
    return found.retired_at is not None


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
            await asyncio.sleep(0.05)
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
                assert await self._read(user, with_vault=own) == self.latest[user]
                self.reads += 1
                # As often as the others write: without a pause it has most of the processor's time.
                await asyncio.sleep(0.01)


async def test_others_read_and_write_meanwhile(
    settings: Settings,
    key_ids: KeyIds,
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

    newcomers = (UUID(int=number) for number in range(300, 330))
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
    assert await key_ids() == {done[-1].key_id}
    for user, secret in here.latest.items():
        assert await read_all(user) == secret


RAW = [hashlib.sha256(bytes([number])).digest() for number in range(2)]
IDS = [as_key(raw).id for raw in RAW]


def _given(settings: Settings, *numbers: int) -> Settings:
    """Give the keys by the environment, the current one first."""
    current, *former = (base64.b64encode(RAW[each]).decode() for each in numbers)
    encryption = EncryptionSettings(
        key=SecretStr(current), old_keys=SecretStr(",".join(former)) if former else None
    )
    return settings.model_copy(update={"encryption": encryption})


async def test_a_process_that_goes_on_with_the_former_key_is_noticed(
    settings: Settings, key_ids: KeyIds, admit: Admit, change_secrets: Admit
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
    assert not await _is_retired(settings, IDS[0])
    done = await keys.rotate(_given(settings, 1, 0), _quietly)
    assert done.retired == (IDS[0],)
    with pytest.raises(ConflictError, match=f"{IDS[0]} was retired in this database"):
        await change_secrets(ADA, "too late", with_vault=outdated)
    assert await key_ids() == {IDS[1]}


async def test_two_rotations_do_not_meet(settings: Settings, admit: Admit, key_ids: KeyIds) -> None:
    await admit(ADA, "secret")
    outcomes = await asyncio.gather(
        *(keys.rotate(settings, _quietly) for _ in range(3)), return_exceptions=True
    )
    done = [each for each in outcomes if isinstance(each, keys.Rotation)]
    refused = [each for each in outcomes if not isinstance(each, keys.Rotation)]
    assert done
    for each in refused:
        assert isinstance(each, ConflictError)
        assert "Another rotation" in each.message
    assert await key_ids() == {KeyStore(settings).read().current.id}
    assert len(KeyStore(settings).read().keys) == 2
