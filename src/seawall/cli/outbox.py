"""`seawall outbox`: the mails that wait."""

from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli import output
from seawall.cli.output import Json, console, print_json
from seawall.cli.session import run

if TYPE_CHECKING:
    from seawall.identity.schemas import OutboxRecord


def outbox(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of each user.")] = 10,
    as_json: Json = False,
) -> None:
    """Show the newest mails.

    They wait here when no mail server is set. What they hold lets people in: show it to nobody
    else.
    """
    found = run(_outbox(limit))
    if as_json:
        print_json({"mails": [_document(each) for each in found]})
        return
    if not found:
        typer.echo("There are no mails.")
    for each in found:
        screen = console()
        screen.print(f"To {each.recipient}, {output.day(each.created_at)} UTC: {each.subject}")
        if each.body is None:
            screen.print(f"Sent {output.day(each.sent_at) if each.sent_at else '-'} UTC.\n")
        else:
            screen.print(each.body.get_secret_value(), soft_wrap=True)


def _document(mail: "OutboxRecord") -> dict[str, object]:
    return {
        "id": mail.id,
        "user_id": mail.user_id,
        "recipient": mail.recipient,
        "subject": mail.subject,
        "body": None if mail.body is None else mail.body.get_secret_value(),
        "created_at": mail.created_at,
        "sent_at": mail.sent_at,
    }


async def _outbox(limit: int) -> "list[OutboxRecord]":
    from seawall.core.keys import KeyStore
    from seawall.core.settings import load_settings
    from seawall.db.database import make_ready, open_worker
    from seawall.db.vault import Vault
    from seawall.identity.mail import list_outbox
    from seawall.identity.operators import list_tenants

    settings = load_settings()
    await make_ready(settings)
    vault = Vault(KeyStore(settings))
    async with open_worker(settings) as worker:
        found: list[OutboxRecord] = []
        # Who was deleted has a mail that tells how to come back.
        for user_id in await list_tenants(worker):
            found += await list_outbox(worker, vault, user_id, limit)
    return sorted(found, key=lambda mail: mail.created_at, reverse=True)
