"""Mail: put into the outbox in the transaction that causes it, and sent by a worker's job.

Without a server in the settings it stays there, for `seawall outbox` to show.
"""

import asyncio
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate
from uuid import UUID, uuid4

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.crypto import Place
from seawall.core.errors import InvalidError, UnavailableError
from seawall.core.settings import MailSettings
from seawall.db.session import transaction
from seawall.db.vault import Vault
from seawall.identity.desk import Desk
from seawall.identity.schemas import Mail, OutboxRecord
from seawall.identity.store import outbox
from seawall.jobs.defer import defer

SEND = "identity.send_mail"
TIMEOUT = 20.0
FOR_GOOD = 500
"""From this code on a refusal will stay one: RFC 5321, section 4.2.1."""


def _place(user_id: UUID, id_: UUID) -> Place:
    return Place("outbox", "body", user_id, id_)


async def post(desk: Desk, session: AsyncSession, user_id: UUID, mail: Mail) -> None:
    """Put a mail to the bound user into the outbox, and queue its sending where there is a way."""
    id_ = uuid4()
    body = await desk.vault.seal(session, mail.body, _place(user_id, id_))
    await outbox.add_mail(
        session, id=id_, recipient=mail.recipient, subject=mail.subject, body=body
    )
    if desk.settings.mail.host is not None:
        await defer(session, SEND, key=str(id_), user=user_id, mail=id_)


async def send(
    engine: AsyncEngine, vault: Vault, settings: MailSettings, user_id: UUID, id_: UUID
) -> bool:
    """Send a mail of the outbox; False when it was sent before, or is there no more.

    A mail that the server took may be sent again when noting that fails; none is lost.

    Raises:
        UnavailableError: the server cannot be reached, or refuses the mail for now.
        InvalidError: it refuses the mail for good, or no server is set.
    """
    async with transaction(engine, user_id) as session:
        row = await outbox.take_mail(session, id_)
        if row is None:
            return False
        found = _record(vault, row)
        assert found.body is not None  # noqa: S101 - it is not sent yet
        message = _compose(settings.sender, Mail(found.recipient, found.subject, found.body), id_)
        await asyncio.to_thread(_deliver, settings, message)
        await outbox.mark_sent(session, id_)
    return True


async def list_outbox(
    engine: AsyncEngine, vault: Vault, user_id: UUID, limit: int
) -> Sequence[OutboxRecord]:
    """Return a user's newest mails, the newest first."""
    async with transaction(engine, user_id) as session:
        rows = await outbox.list_mail(session, limit)
    return [_record(vault, row) for row in rows]


def _record(vault: Vault, row: RowMapping) -> OutboxRecord:
    sealed = row["body"]
    body = None if sealed is None else vault.open(sealed, _place(row["user_id"], row["id"]))
    return OutboxRecord(**{**row, "body": body})


def _compose(sender: str, mail: Mail, id_: UUID) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = mail.recipient
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    # The same each time, so that a mailbox can tell a mail that comes twice.
    domain = sender.rpartition("@")[2].strip(">") or "localhost"
    message["Message-ID"] = f"<{id_}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.body.get_secret_value())
    return message


def _deliver(settings: MailSettings, message: EmailMessage) -> None:
    if settings.host is None:
        raise InvalidError("No mail server is set.", hint="Set SEAWALL_MAIL__HOST.")
    try:
        with _connect(settings, settings.host) as server:
            if settings.username is not None and settings.password is not None:
                server.login(settings.username, settings.password.get_secret_value())
            server.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise _refusal(settings, max(codes)) from None
    except smtplib.SMTPResponseException as error:
        raise _refusal(settings, error.smtp_code) from None
    except (smtplib.SMTPException, OSError) as error:
        raise UnavailableError(
            f"The mail server {settings.host}:{settings.port} cannot be used:"
            f" {str(error).rstrip('.') or type(error).__name__}.",
            hint="See that it runs, and SEAWALL_MAIL__HOST, __PORT and __SECURITY.",
        ) from None


def _connect(settings: MailSettings, host: str) -> smtplib.SMTP:
    if settings.security == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(host, settings.port, timeout=TIMEOUT, context=context)
    server = smtplib.SMTP(host, settings.port, timeout=TIMEOUT)
    if settings.security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server


def _refusal(settings: MailSettings, code: int) -> InvalidError | UnavailableError:
    # What the server says of it may repeat the mail, so only the code is told.
    said = f"The mail server {settings.host}:{settings.port} refused the mail (code {code})."
    if code >= FOR_GOOD:
        return InvalidError(said)
    return UnavailableError(said)
