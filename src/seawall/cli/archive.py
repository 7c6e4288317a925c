"""`seawall db retention` and `seawall db archive`: what leaves the database, and where it goes."""

from contextlib import asynccontextmanager
from datetime import time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from seawall.cli.output import Json, day, print_json, print_table, progress, table
from seawall.cli.session import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from seawall.ops.archive import ArchiveRecord
    from seawall.ops.expire import Expired
    from seawall.ops.retention import Profile

app = typer.Typer(help="Rows that left the database, in Parquet files.", no_args_is_help=True)

SHOWN_ROWS = 100
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="standard|lean",
        help="Which limits hold; else what SEAWALL_RETENTION__PROFILE says.",
    ),
]


@asynccontextmanager
async def _open() -> "AsyncIterator[tuple[AsyncEngine, Path]]":
    """Open the database as the tables' owner, and say where its archive lies."""
    from seawall.core.settings import load_settings
    from seawall.db import database
    from seawall.db.engine import OWNER_ROLE

    settings = load_settings()
    location = await database.make_ready(settings)
    folder = settings.archive.folder or settings.home / "archive"
    async with database.open_admin(location, OWNER_ROLE) as owner:
        yield owner, folder / location.name


def _profile(given: str | None) -> "Profile":
    from seawall.core.settings import load_settings
    from seawall.ops.retention import Profile

    if given is None:
        return Profile(load_settings().retention.profile)
    try:
        return Profile(given)
    except ValueError:
        raise typer.BadParameter(f"{given} is neither standard nor lean.") from None


def retention(
    profile: ProfileOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what has expired, and change nothing.")
    ] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Archive and delete what has expired.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show how long rows are kept, or take out what expired.

    With --dry-run it counts what would go, with --apply it goes.
    """
    chosen = _profile(profile)
    if dry_run and apply:
        raise typer.BadParameter("--dry-run and --apply exclude each other.")
    if not dry_run and not apply:
        _show_policy(chosen, as_json=as_json)
        return
    found = run(_apply(chosen) if apply else _find(chosen))
    if as_json:
        print_json({"profile": chosen.value, "applied": apply, "expired": _documents(found)})
    elif found:
        _show_expired(found)
        total = sum(each.rows for each in found)
        typer.echo(f"{total:,} rows {'have left' if apply else 'would leave'} the database.")
    else:
        typer.echo("Nothing has expired.")


async def _find(profile: "Profile") -> "list[Expired]":
    from seawall.core.time import now
    from seawall.ops.expire import find_expired

    async with _open() as (owner, _):
        return await find_expired(owner, profile, now())


async def _apply(profile: "Profile") -> "list[Expired]":
    from seawall.core.time import now
    from seawall.ops.expire import expire

    found = []
    with progress() as bar:
        task = bar.add_task("Looking", total=None)
        async with _open() as (owner, folder):
            async for each in expire(owner, profile, now(), folder):
                bar.update(task, description=f"{each.rule.name}, {each.month:%Y-%m}")
                found.append(each)
    return found


def _documents(found: "list[Expired]") -> list[dict[str, object]]:
    return [
        {
            "rule": each.rule.name,
            "table": each.rule.table,
            "before": each.cutoff,
            "month": f"{each.month:%Y-%m}",
            "rows": each.rows,
            "archived": each.rule.archived,
        }
        for each in found
    ]


def _show_expired(found: "list[Expired]") -> None:
    rules: dict[str, list[Expired]] = {}
    for each in found:
        rules.setdefault(each.rule.name, []).append(each)
    shown = table("rule", "before", "months", ">rows", "goes to")
    for name, months in rules.items():
        first, last = f"{months[0].month:%Y-%m}", f"{months[-1].month:%Y-%m}"
        shown.add_row(
            name,
            day(months[0].cutoff.replace(microsecond=0)),
            first if first == last else f"{first} to {last}",
            f"{sum(each.rows for each in months):,}",
            "the archive" if months[0].rule.archived else "-",
        )
    print_table(shown)


def _show_policy(profile: "Profile", *, as_json: bool) -> None:
    from seawall.ops.retention import POLICY, in_words
    from seawall.ops.retention import Profile as Profiles

    if as_json:
        rules = [
            {
                "rule": rule.name,
                "table": rule.table,
                "time": rule.time,
                "condition": rule.condition,
                "keep_days": {each.value: _in_days(rule.keep(each)) for each in Profiles},
                "archived": rule.archived,
            }
            for rule in POLICY
        ]
        print_json({"profile": profile.value, "rules": rules})
        return
    shown = table("rows", *(f">{each.value}" for each in Profiles), "then")
    for rule in POLICY:
        limits = [in_words(rule.keep(each)) for each in Profiles]
        shown.add_row(rule.name, *limits, rule.then)
    print_table(shown)
    typer.echo(f"The profile is {profile.value}. Nothing leaves before `--apply` is given.")


def _in_days(keep: timedelta | None) -> int | None:
    return None if keep is None else keep.days


@app.command("list")
def list_(
    of: Annotated[str | None, typer.Option("--table", help="Of this table alone.")] = None,
    as_json: Json = False,
) -> None:
    """List what was archived, and whether its files are there."""

    async def go() -> "list[ArchiveRecord]":
        from seawall.ops.archive import list_archives

        async with _open() as (owner, folder):
            return await list_archives(owner, folder, of)

    found = run(go())
    if as_json:
        print_json({"archives": found})
        return
    if not found:
        typer.echo("Nothing was archived yet.")
        return
    shown = table("archive", "rows of", "month", ">rows", ">size", "archived", "restored", "file")
    for each in found:
        shown.add_row(
            str(each.id),
            each.rule,
            f"{each.month:%Y-%m}",
            f"{each.rows:,}",
            f"{each.size_bytes / 1024:,.0f} KiB",
            day(each.created_at),
            "-" if each.restored_at is None else day(each.restored_at),
            "there" if each.is_there else "missing",
        )
    print_table(shown)


@app.command("restore")
def restore(
    archive: Annotated[UUID, typer.Argument(help="The archive, as `list` names it.")],
    as_json: Json = False,
) -> None:
    """Put an archive's rows back into their table; the file stays.

    They have expired still: the next `seawall db retention --apply` takes them out again.
    """

    async def go() -> int:
        from seawall.core.time import now
        from seawall.ops.restore import restore

        async with _open() as (owner, folder):
            return await restore(owner, folder, archive, now())

    rows = run(go())
    if as_json:
        print_json({"archive": archive, "rows": rows})
    else:
        typer.echo(f"Put {rows:,} rows back.")


@app.command("query")
def query(
    sql: Annotated[str, typer.Argument(help="A SELECT; each archived table has its own name.")],
    as_json: Json = False,
) -> None:
    """Ask the archived rows in SQL, without restoring them."""

    async def go() -> "list[dict[str, object]]":
        from seawall.ops.ask import query

        async with _open() as (owner, folder):
            return await query(owner, folder, sql)

    rows = [{name: _plain(value) for name, value in row.items()} for row in run(go())]
    if as_json:
        print_json({"rows": rows})
        return
    if rows:
        shown = table(*rows[0])
        for row in rows[:SHOWN_ROWS]:
            shown.add_row(*("-" if value is None else str(value) for value in row.values()))
        print_table(shown)
    hidden = len(rows) - SHOWN_ROWS
    typer.echo(f"{len(rows):,} rows{f', {hidden:,} not shown' if hidden > 0 else ''}.")


def _plain(value: object) -> object:
    """Return a value as text when it is of a type that JSON lacks and tables cannot show."""
    match value:
        case bytes():
            return value.hex()
        case time():
            return value.isoformat()
        case _:
            return value
