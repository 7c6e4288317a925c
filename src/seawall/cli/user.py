"""`seawall user` and `seawall outbox`: who may log in, and the mails that wait."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli import output
from seawall.cli.output import Json, console, print_json, print_table, table
from seawall.cli.session import open_engine, run

if TYPE_CHECKING:
    from pydantic import SecretStr

    from seawall.identity.desk import Desk
    from seawall.identity.operators import NewUser
    from seawall.identity.schemas import OutboxRecord, UserRecord, UserStatus

app = typer.Typer(help="Users: who may log in to the API.", no_args_is_help=True)
TIERS = ("free", "plus", "pro", "power-trader")

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The user's e-mail address.")]


@asynccontextmanager
async def _open_desk() -> "AsyncIterator[Desk]":
    from seawall.core.settings import load_settings
    from seawall.db.cache import open_cache
    from seawall.identity.desk import open_desk

    settings = load_settings()
    async with open_engine() as engine, open_cache(settings, engine) as cache:
        yield open_desk(engine, cache, settings)


@app.command("create")
def create(
    email: Email,
    username: Annotated[str | None, typer.Option(help="A name; else one is made up.")] = None,
    tier: Annotated[str, typer.Option(metavar="|".join(TIERS), help="What they may use.")] = "free",
    invite: Annotated[
        bool, typer.Option("--invite", help="Mail a link to choose a password, instead of asking.")
    ] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    owner: Annotated[
        bool,
        typer.Option(
            "--owner", help="Let this installation's owner, whom commands act as, log in."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a user, whose address counts as confirmed."""
    from seawall.identity.operators import NewUser

    if tier not in TIERS:
        raise typer.BadParameter(f"{tier!r} is not one of {', '.join(TIERS)}", param_hint="--tier")
    password = None if invite else _ask(from_stdin=password_stdin)
    made = run(_create(NewUser(email, username, password, tier, is_owner=owner)))
    if as_json:
        print_json(made)
    elif invite:
        typer.echo(f"Made the user {made.username}. The invitation is on its way to {made.email}.")
    else:
        typer.echo(f"Made the user {made.username}, who can log in as {made.email}.")


def _ask(*, from_stdin: bool) -> "SecretStr":
    from pydantic import SecretStr

    if from_stdin:
        return SecretStr(sys.stdin.readline().rstrip("\r\n"))
    return SecretStr(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


async def _create(new: "NewUser") -> "UserRecord":
    from seawall.identity.operators import create_user

    async with _open_desk() as desk:
        return await create_user(desk, new)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the users."""
    found = run(_list())
    if as_json:
        print_json({"users": found})
        return
    shown = table("Name", "E-mail", "Confirmed", "Tier", "Status", "2nd factor", "Last login (UTC)")
    for each in found:
        shown.add_row(
            each.username,
            each.email or "-",
            "yes" if each.email_verified else "no",
            each.tier,
            each.status.value,
            "on" if each.two_factor_enabled else "off",
            output.day(each.last_login_at) if each.last_login_at else "-",
        )
    print_table(shown)


async def _list() -> "Sequence[UserRecord]":
    from seawall.core.settings import load_settings
    from seawall.db.database import make_ready, open_worker
    from seawall.identity.operators import list_users

    settings = load_settings()
    await make_ready(settings)
    async with open_worker(settings) as worker:
        return await list_users(worker)


def _say(text: str, document: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        typer.echo(text)


@app.command("suspend")
def suspend(email: Email, as_json: Json = False) -> None:
    """Close an account.

    Its sessions end, and its API keys are good no more until it is opened again.
    """
    from seawall.identity.schemas import UserStatus

    run(_set_status(email, UserStatus.SUSPENDED))
    _say(
        f"{email} can use Seawall no more.",
        {"email": email, "status": "suspended"},
        as_json=as_json,
    )


@app.command("activate")
def activate(email: Email, as_json: Json = False) -> None:
    """Open an account again."""
    from seawall.identity.schemas import UserStatus

    run(_set_status(email, UserStatus.ACTIVE))
    _say(
        f"{email} can log in again.",
        {"email": email, "status": "active"},
        as_json=as_json,
    )


async def _set_status(email: str, status: "UserStatus") -> None:
    from seawall.identity.operators import set_status

    async with _open_desk() as desk:
        await set_status(desk, email, status)


@app.command("logout")
def log_out(email: Email, as_json: Json = False) -> None:
    """End all sessions of a user.

    API keys stay good.
    """
    ended = run(_log_out(email))
    _say(
        f"{ended} sessions of {email} ended.",
        {"email": email, "ended": ended},
        as_json=as_json,
    )


async def _log_out(email: str) -> int:
    from seawall.identity.operators import log_out_user

    async with _open_desk() as desk:
        return await log_out_user(desk, email)


@app.command("reset")
def reset_password(email: Email, as_json: Json = False) -> None:
    """Mail a user a link to choose a new password."""
    run(_reset(email))
    _say(
        f"The mail to {email} is on its way; `seawall outbox` shows mails that wait.",
        {"email": email, "subject": "Choose a new password"},
        as_json=as_json,
    )


async def _reset(email: str) -> None:
    from seawall.identity.operators import mail_reset

    async with _open_desk() as desk:
        await mail_reset(desk, email)


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
    from seawall.identity.operators import list_users

    settings = load_settings()
    await make_ready(settings)
    vault = Vault(KeyStore(settings))
    async with open_worker(settings) as worker:
        found: list[OutboxRecord] = []
        for user in await list_users(worker):
            found += await list_outbox(worker, vault, user.id, limit)
    return sorted(found, key=lambda mail: mail.created_at, reverse=True)
