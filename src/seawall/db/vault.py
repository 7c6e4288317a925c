"""The vault: secrets are sealed and opened for their place, and the database knows with which keys.

A transaction that seals holds a share of its key's row in `encryption_keys` until it ends. Retiring
a key takes that row alone, so it waits for them, and afterwards nothing new is sealed with the key.
"""

from collections.abc import Iterable
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.crypto import Place, key_id_of, open_sealed, seal
from seawall.core.errors import ConflictError, ForbiddenError, SeawallError
from seawall.core.keys import KeyRing, KeyStore
from seawall.db.tables import EncryptionKey

CHECK_TEXT = "seawall"
_CHECK_PLACE = Place("encryption_keys", "check_value", UUID(int=0), UUID(int=0))
_ATTEMPTS = 4
"""A key that was retired while its row was waited for is replaced, and its successor recorded."""


class Vault:
    """Seals and opens secrets with the keys of one installation."""

    def __init__(self, store: KeyStore) -> None:
        self.store = store
        self._ring: KeyRing | None = None

    async def seal(self, session: AsyncSession, secret: SecretStr, place: Place) -> bytes:
        """Seal a secret that this transaction stores in its place.

        Raises:
            UnavailableError: the keys cannot be reached, or one that was in use here is gone.
            ConflictError: the current key was retired in this database.
        """
        return seal(await self.hold(session), secret, place)

    def open(self, sealed: bytes, place: Place) -> SecretStr:
        """Open what is sealed in a place; a key that is new is looked for where keys are kept.

        Raises:
            SeawallError: it cannot or must not be opened; see `core.crypto.open_sealed`.
        """
        wanted = key_id_of(sealed)
        if self._ring is None or all(key.id != wanted for key in self._ring.keys):
            self._ring = self.store.read()
        return open_sealed(self._ring, sealed, place)

    async def hold(self, session: AsyncSession) -> KeyRing:
        """Return the ring, with a current key that is not retired before this transaction ends."""
        for _ in range(_ATTEMPTS):
            ring = await self._present_ring(session)
            retired_at = select(EncryptionKey.retired_at).where(EncryptionKey.id == ring.current.id)
            held = (await session.execute(retired_at.with_for_update(read=True))).one_or_none()
            if held is None:
                await _record(session, ring)
            elif held.retired_at is None:
                return ring
        raise ConflictError(
            f"The current encryption key {ring.current.id} was retired in this database.",
            hint=f"Give this process the newer key, and look in {ring.origin} for why it is not"
            " the first.",
        )

    async def _present_ring(self, session: AsyncSession) -> KeyRing:
        ring = self.store.read()
        if not ring.keys:
            # A new key would hide that the one in use is gone.
            in_use = select(EncryptionKey.id).where(EncryptionKey.retired_at.is_(None))
            ring.require(await session.scalars(in_use))
            ring = self.store.read_or_make()
        self._ring = ring
        return ring


async def _record(session: AsyncSession, ring: KeyRing) -> None:
    check_value = seal(ring, SecretStr(CHECK_TEXT), _CHECK_PLACE)
    row = insert(EncryptionKey).values(id=ring.current.id, check_value=check_value)
    await session.execute(row.on_conflict_do_nothing())


def opens(ring: KeyRing, key_id: str, check_value: bytes) -> bool:
    """Tell whether a key on the ring opens what the database had sealed with it."""
    try:
        found = open_sealed(ring, check_value, _CHECK_PLACE)
        return key_id_of(check_value) == key_id and found.get_secret_value() == CHECK_TEXT
    except SeawallError:
        return False


def require_keys(ring: KeyRing, in_use: Iterable[tuple[str, bytes]]) -> None:
    """Check that the ring has every key that the database's secrets are sealed with.

    Args:
        ring: the keys at hand.
        in_use: the id and the check value of each.

    Raises:
        UnavailableError: a key is missing.
        ForbiddenError: a key does not open its check value.
    """
    known = list(in_use)
    ring.require(key_id for key_id, _ in known)
    for key_id, check_value in known:
        if not opens(ring, key_id, check_value):
            raise ForbiddenError(
                f"Encryption key {key_id} does not open the text that the database had sealed with"
                " it: somebody changed the table encryption_keys.",
                hint="Bring the table back from a backup. Nothing was touched.",
            )
