"""Mail is sent through a real server, or waits sealed in the outbox."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from email import message_from_bytes
from email.message import Message
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from pydantic import SecretStr
from sqlalchemy import select, text

from seawall.core.errors import InvalidError, SeawallError, UnavailableError
from seawall.core.settings import MailSettings, Settings
from seawall.db.database import Location, open_admin
from seawall.db.session import transaction
from seawall.identity import mail
from seawall.identity.schemas import Mail
from seawall.identity.tables import OutboxMail

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
Premises = Any  # what the fixture is
ADA = "ada@example.com"
QUEUED = "SELECT task_name FROM queue.procrastinate_jobs"
LETTER = Mail(ADA, "Grüße", SecretStr("The token is canary-1234.\n"))


class Mailbox:
    """What a server does with mail: it keeps it, or gives the answer that it is told to."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.answer = "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        del server, session
        assert isinstance(envelope.content, bytes)
        if self.answer.startswith("250"):
            self.taken.append(message_from_bytes(envelope.content))
        return self.answer


def _authenticate(*given: Any) -> AuthResult:
    auth = given[-1]
    known = (auth.login, auth.password) == (b"seawall", b"mail password")
    return AuthResult(success=known, handled=False)


@pytest.fixture
async def mailbox() -> AsyncIterator[tuple[Mailbox, MailSettings]]:
    """A running server on this machine, which wants a login."""
    box = Mailbox()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(box, authenticator=_authenticate, auth_required=True, auth_require_tls=False),
        "127.0.0.1",
        0,
    )
    settings = MailSettings(
        host="127.0.0.1",
        port=server.sockets[0].getsockname()[1],
        security="none",
        username="seawall",
        password=SecretStr("mail password"),
        sender="Seawall <no-reply@example.com>",
    )
    yield box, settings
    server.close()


async def _post(premises: Premises) -> tuple[UUID, UUID]:
    user = await premises.user(ADA)
    async with transaction(premises.desk.engine, user.id) as session:
        await mail.post(premises.desk, session, user.id, LETTER)
        id_ = await session.scalar(select(OutboxMail.id))
    assert id_ is not None
    return user.id, id_


async def _send(premises: Premises, settings: MailSettings, *ids: UUID) -> bool:
    return await mail.send(premises.desk.engine, premises.desk.vault, settings, *ids)


async def test_a_mail_is_sent_once_and_its_body_forgotten(
    premises: Premises, mailbox: tuple[Mailbox, MailSettings]
) -> None:
    box, settings = mailbox
    ids = await _post(premises)
    assert await _send(premises, settings, *ids)
    assert not await _send(premises, settings, *ids)
    (sent,) = box.taken
    assert (sent["To"], sent["From"]) == (ADA, "Seawall <no-reply@example.com>")
    assert sent["Message-ID"] == f"<{ids[1]}@example.com>"
    payload = sent.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.replace(b"\r\n", b"\n") == b"The token is canary-1234.\n"
    (kept,) = await premises.mails(ADA)
    assert kept.body is None
    assert kept.sent_at is not None


@pytest.mark.parametrize(
    ("answer", "error"),
    [("550 no such mailbox", InvalidError), ("451 later", UnavailableError)],
)
async def test_a_refused_mail_stays(
    premises: Premises,
    mailbox: tuple[Mailbox, MailSettings],
    answer: str,
    error: type[SeawallError],
) -> None:
    box, settings = mailbox
    ids = await _post(premises)
    box.answer = answer
    with pytest.raises(error, match=f"code {answer[:3]}"):
        await _send(premises, settings, *ids)
    (kept,) = await premises.mails(ADA)
    assert kept.body == LETTER.body
    box.answer = "250 OK"
    assert await _send(premises, settings, *ids)


async def test_without_the_server_or_its_password_the_mail_waits(
    premises: Premises, mailbox: tuple[Mailbox, MailSettings]
) -> None:
    _, settings = mailbox
    ids = await _post(premises)
    wrong = {"password": SecretStr("wrong mail password")}
    for changed, error in (
        (wrong, InvalidError),
        ({"port": 1}, UnavailableError),
        ({"security": "starttls"}, UnavailableError),
        ({"host": None}, InvalidError),
    ):
        with pytest.raises(error) as caught:
            await _send(premises, settings.model_copy(update=changed), *ids)
        assert "password" not in str(caught.value)
    assert await _send(premises, settings, *ids)


async def test_what_waits_is_sealed_and_its_sending_queued(
    premises: Premises, location: Location
) -> None:
    ids = await _post(premises)
    async with transaction(premises.desk.engine, ids[0]) as session:
        held = str((await session.scalars(text("SELECT to_jsonb(o) FROM outbox o"))).all())
    assert "canary" not in held
    settings = Settings(home=premises.desk.settings.home, mail=MailSettings(host="mail.invalid"))
    premises.desk = replace(premises.desk, settings=settings)
    async with transaction(premises.desk.engine, ids[0]) as session:
        await mail.post(premises.desk, session, ids[0], LETTER)
    async with open_admin(location, None) as admin, admin.connect() as connection:
        found = await connection.execute(text(QUEUED))
        assert [task for (task,) in found] == ["identity.send_mail"]
