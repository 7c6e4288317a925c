"""The tasks of users: sending a mail that waits, and removing for good who has left."""

from uuid import UUID

from seawall.core.keys import KeyStore
from seawall.db.vault import Vault
from seawall.identity.leaving import purge_due
from seawall.identity.mail import SEND, send
from seawall.jobs.crew import Given, Task

PURGE = "identity.purge"


async def send_mail(given: Given, *, user: str, mail: str) -> None:
    """Send one mail of one user."""
    vault = Vault(KeyStore(given.settings))
    await send(given.engine, vault, given.settings.mail, UUID(user), UUID(mail))


async def purge(given: Given) -> None:
    """Remove everybody who was deleted 30 days ago."""
    await purge_due(given.engine)


TASKS = (Task(SEND, send_mail), Task(PURGE, purge))
