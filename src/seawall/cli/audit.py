"""`seawall audit`: read the audit log, verify it, anchor it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli import output
from seawall.cli.exits import CONFLICT
from seawall.cli.output import Json, console, print_json
from seawall.cli.session import run

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from seawall.audit.schemas import Anchored, Entry, Question, Verification

app = typer.Typer(help="The audit log: who changed what, and its proof.", no_args_is_help=True)

SHOWN_VALUE = 40


@app.command("verify")
def verify(as_json: Json = False) -> int:
    """Verify every entry of the log, and anchor it.

    Exits with 5 when an entry was edited, deleted, reordered or inserted, or when what was anchored
    is not there; otherwise a new anchor is written.
    """
    done = run(_verify())
    if as_json:
        print_json(_document(done))
    else:
        _print_verification(done)
    return 0 if done.is_intact else CONFLICT


@app.command("anchor")
def anchor(
    anew: Annotated[
        bool,
        typer.Option(
            "--anew", help="Begin a new file of anchors, as after restoring an older backup."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Note outside the database where the log ends now.

    Quicker than `verify`: only what was anchored before is looked at. Keep the printed hash
    elsewhere, and even the file of anchors cannot be replaced unseen.
    """
    done, path = run(_anchor(anew))
    if as_json:
        print_json({"time": done.time, "anchor": done.hash, "chains": done.chains, "file": path})
    else:
        typer.echo(f"Anchored {done.chains:,} chains in {path}, as {done.hash}.")


@app.command("log")
def log(
    table: Annotated[
        str | None, typer.Option("--table", metavar="TABLE", help="Only changes of this table.")
    ] = None,
    record: Annotated[
        str | None, typer.Option(metavar="ID", help="Only changes of this record.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only what happened since (UTC).")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many entries at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List the latest entries of the log, of every user."""
    from seawall.audit.schemas import Question

    found = run(_log(Question(limit, table, record, _time(since))))
    if as_json:
        print_json({"entries": [_entry_document(each) for each in found]})
    elif found:
        _print_entries(found)
    else:
        typer.echo("There is no such entry.")


def _time(text: str | None) -> datetime | None:
    from seawall.core.errors import InvalidError
    from seawall.core.time import parse_time

    try:
        return None if text is None else parse_time(text)
    except InvalidError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error


@asynccontextmanager
async def _opened() -> "AsyncIterator[tuple[AsyncEngine, Path, str]]":
    """Open the database as its owner; with it the file of anchors and the database's name."""
    from seawall.audit.anchor import anchor_path
    from seawall.core.settings import load_settings
    from seawall.db.database import make_ready, open_admin
    from seawall.db.engine import OWNER_ROLE

    settings = load_settings()
    location = await make_ready(settings)
    async with open_admin(location, OWNER_ROLE) as engine:
        yield engine, anchor_path(settings), location.name


async def _verify() -> "Verification":
    from seawall.audit.verify import verify

    async with _opened() as (engine, path, name):
        return await verify(engine, path, name)


async def _anchor(anew: bool) -> "tuple[Anchored, Path]":
    from seawall.audit.verify import write_anchor

    async with _opened() as (engine, path, name):
        return await write_anchor(engine, path, name, anew=anew), path


async def _log(question: "Question") -> "list[Entry]":
    from seawall.audit import store

    async with _opened() as (engine, _, _), store.snapshot(engine) as connection:
        return await store.list_entries(connection, question)


def _document(done: "Verification") -> dict[str, object]:
    from seawall.audit.schemas import chain_name

    return {
        "intact": done.is_intact,
        "entries": done.entries,
        "chains": done.chains,
        "found": done.found,
        "findings": [
            {
                "fault": each.fault,
                "chain": None if each.sequence is None else chain_name(each.chain),
                "sequence": each.sequence,
                "message": str(each),
            }
            for each in done.findings
        ],
        "anchor": done.anchored.hash if done.anchored else None,
        "notes": done.notes,
    }


def _print_verification(done: "Verification") -> None:
    screen = console()
    counted = f"{done.entries:,} entries in {done.chains:,} chains"
    if done.anchored is None:
        screen.print(f"Of {counted}, not all is as it was logged: {done.found:,} faults.\n")
        for each in done.findings:
            screen.print(str(each), soft_wrap=True)
        if done.found > len(done.findings):
            screen.print(f"And {done.found - len(done.findings):,} more like these.")
    else:
        screen.print(f"All {counted} are as they were logged.")
        screen.print(f"Anchored as {done.anchored.hash}.", soft_wrap=True)
    output.print_notes(screen, done.notes)


def _entry_document(entry: "Entry") -> dict[str, object]:
    from seawall.audit.schemas import chain_name

    return {
        "time": entry.time,
        "chain": chain_name(entry.user_id),
        "sequence": entry.sequence,
        "table": entry.table_name,
        "operation": entry.operation,
        "record": entry.record_id,
        "old": entry.old_data,
        "new": entry.new_data,
        "actor": entry.actor_id,
        "role": entry.actor_role,
    }


def _print_entries(entries: "list[Entry]") -> None:
    from seawall.audit.schemas import chain_name

    screen = console()
    for each in entries:
        what = _shown(f"{each.operation} {each.table_name} {each.record_id or ''}").rstrip()
        actor = f"{each.actor_id or 'nobody'} as {each.actor_role}"
        place = f"chain {chain_name(each.user_id)}, entry {each.sequence}, by {actor}"
        screen.print(f"{each.time:%Y-%m-%d %H:%M:%S}  {what}", soft_wrap=True)
        screen.print(f"  {place}", style="dim", soft_wrap=True)
        for name, (old, new) in each.changes.items():
            screen.print(f"  {_shown(name)}: {_value(old)} → {_value(new)}", soft_wrap=True)


def _value(value: object) -> str:
    text = "-" if value is None else _shown(str(value))
    return text if len(text) <= SHOWN_VALUE else f"{text[: SHOWN_VALUE - 1]}…"


def _shown(text: str) -> str:
    """Return a text of users without what would command the terminal."""
    return "".join(each if each.isprintable() else "?" for each in text)
