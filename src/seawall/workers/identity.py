"""The task of users: sending a mail that waits in the outbox."""

from uuid import UUID

from seawall.core.keys import KeyStore
from seawall.db.vault import Vault
from seawall.identity.mail import SEND, send
from seawall.jobs.crew import Given, Task


async def send_mail(given: Given, *, user: str, mail: str) -> None:
    """Send one mail of one user."""
    vault = Vault(KeyStore(given.settings))
    await send(given.engine, vault, given.settings.mail, UUID(user), UUID(mail))


TASKS = (Task(SEND, send_mail),)
