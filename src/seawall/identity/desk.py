"""What letting users in stands on: the database, the cache, the vault, hashing, and the clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.keys import KeyStore
from seawall.core.settings import Settings
from seawall.core.signing import SigningSecret, read_secret
from seawall.core.time import now
from seawall.db.cache import Cache
from seawall.db.vault import Vault
from seawall.identity.passwords import Passwords


@dataclass(frozen=True, slots=True)
class Desk:
    """One for each process. The engine acts as the application.

    Here a request is not one transaction: no connection waits while a password is hashed, and a
    login that is refused is noted all the same.
    """

    engine: AsyncEngine
    cache: Cache
    vault: Vault
    settings: Settings
    secret: SigningSecret = field(repr=False)
    passwords: Passwords
    clock: Callable[[], datetime] = now


def open_desk(engine: AsyncEngine, cache: Cache, settings: Settings) -> Desk:
    """Return the desk of an installation."""
    vault = Vault(KeyStore(settings))
    return Desk(engine, cache, vault, settings, read_secret(settings), Passwords())
