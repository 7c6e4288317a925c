"""`seawall user`: who may log in, what they may use, and their leaving."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli import output
from seawall.cli.output import Json, print_json, print_table, table
from seawall.cli.session import open_engine, run

if TYPE_CHECKING:
    from pydantic import SecretStr
    from sqlalchemy.ext.asyncio import AsyncEngine

    from seawall.identity.desk import Desk
    from seawall.identity.export import Export
    from seawall.identity.leaving import Left
    from seawall.identity.operators import NewUser
    from seawall.identity.schemas import LeftRecord, UserRecord, UserStatus

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
    made = run(_create(NewUser(email, username, password, is_owner=owner), tier))
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


async def _create(new: "NewUser", tier: str) -> "UserRecord":
    from dataclasses import replace

    from seawall.identity.operators import create_user, set_tier

    async with _open_desk() as desk:
        made = await create_user(desk, new)
        if tier == made.tier:
            return made
        async with _open_worker() as worker:
            await set_tier(worker, made.id, tier)
        return replace(made, tier=tier)


@asynccontextmanager
async def _open_worker() -> "AsyncIterator[AsyncEngine]":
    from seawall.core.settings import load_settings
    from seawall.db.database import make_ready, open_worker

    settings = load_settings()
    await make_ready(settings)
    async with open_worker(settings) as worker:
        yield worker


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
    from seawall.identity.operators import list_users

    async with _open_worker() as worker:
        return await list_users(worker)


@app.command("tier")
def tier(
    email: Email,
    to: Annotated[str, typer.Argument(metavar="|".join(TIERS), help="What they may use.")],
    as_json: Json = False,
) -> None:
    """Say what a user may use.

    It matters where billing is on; a subscription's next change says it anew.
    """
    if to not in TIERS:
        raise typer.BadParameter(f"{to!r} is not one of {', '.join(TIERS)}", param_hint="TIER")
    run(_set_tier(email, to))
    _say(f"{email} has the tier {to}.", {"email": email, "tier": to}, as_json=as_json)


async def _set_tier(email: str, tier: str) -> None:
    from seawall.identity.operators import get_user, set_tier

    async with _open_desk() as desk, _open_worker() as worker:
        await set_tier(worker, (await get_user(desk, email)).id, tier)


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


@app.command("delete")
def delete(
    email: Email,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete an account, for good after 30 days.

    Until then `restore` brings it back, and so does its user, by the token that is mailed.
    """
    if not yes:
        typer.confirm(f"Delete the account of {email}?", abort=True, err=True)
    left = run(_delete(email))
    _say(
        f"{email} is deleted, and will be removed for good after"
        f" {output.day(left.purged_after)} UTC.",
        {"email": email, "deleted_at": left.deleted_at, "purged_after": left.purged_after},
        as_json=as_json,
    )


async def _delete(email: str) -> "Left":
    from seawall.identity.operators import delete_user

    async with _open_desk() as desk:
        return await delete_user(desk, email)


@app.command("export")
def export(
    email: Email,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The ZIP to write.")],
    as_json: Json = False,
) -> None:
    """Write all that is a user's own into a ZIP.

    It has a CSV file for each table, and a manifest; no hashes, keys or other secrets.
    """
    rows = run(_export(email, to))
    _say(
        f"{to} has {rows} rows of {email}.",
        {"email": email, "file": str(to), "rows": rows},
        as_json=as_json,
    )


async def _export(email: str, to: Path) -> int:
    from seawall.identity.export import export_account
    from seawall.identity.operators import get_user
    from seawall.identity.schemas import Client

    async with _open_desk() as desk:
        user = await get_user(desk, email)
        made = await export_account(desk, user.id, Client())
    _save(made, to)
    return made.rows


def _save(made: "Export", to: Path) -> None:
    import os

    from seawall.core.errors import InvalidError

    try:
        written = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(written, "wb") as file:
            file.writelines(made.pieces())
    except OSError as error:
        raise InvalidError(f"{to} cannot be written: {error.strerror}.") from error


@app.command("restore")
def restore(
    wanted: Annotated[str, typer.Argument(metavar="EMAIL|NAME", help="Whose account it was.")],
    as_json: Json = False,
) -> None:
    """Bring a deleted account back."""
    found = run(_restore(wanted))
    _say(
        f"{found.username} can log in again; API keys have to be made anew.",
        {"username": found.username, "email": found.email},
        as_json=as_json,
    )


async def _restore(wanted: str) -> "LeftRecord":
    from seawall.identity.operators import restore_user

    async with _open_desk() as desk, _open_worker() as worker:
        return await restore_user(desk, worker, wanted)


@app.command("purge")
def purge(as_json: Json = False) -> None:
    """Remove who was deleted 30 days ago.

    They are gone for good; a worker does it every night.
    """
    purged = run(_purge())
    _say(f"Removed {purged} users for good.", {"purged": purged}, as_json=as_json)


async def _purge() -> int:
    from seawall.identity.leaving import purge_due

    async with _open_worker() as worker:
        return await purge_due(worker)
