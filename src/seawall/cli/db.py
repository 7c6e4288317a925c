"""`seawall db`: the embedded server, and the database's version."""

import os
from typing import Annotated

import typer

from seawall.cli import archive, seed
from seawall.cli.output import Json, print_facts, print_json
from seawall.cli.session import run
from seawall.core.errors import InvalidError

app = typer.Typer(help="The database: its server and its version.", no_args_is_help=True)
app.command("seed")(seed.seed)
app.command("retention")(archive.retention)
app.add_typer(archive.app, name="archive")

TITLES = {
    "postgresql": "PostgreSQL",
    "timescaledb": "TimescaleDB",
    "data_folder": "data folder",
    "size_bytes": "size",
    "socket_folder": "socket folder",
    "tcp_port": "TCP port",
    "needed_version": "needed version",
}


def _require_embedded() -> None:
    from seawall.core.settings import load_settings

    if load_settings().database.url is not None:
        raise InvalidError(
            "SEAWALL_DATABASE__URL names a server that Seawall does not run.",
            hint="Start and stop it where it runs, or unset the variable.",
        )


@app.command("up")
def up(as_json: Json = False) -> None:
    """Start the embedded server, and bring the database up to date."""
    from seawall.core.settings import load_settings
    from seawall.db import database

    _require_embedded()
    settings = load_settings()
    run(database.prepare(database.locate(settings)))
    status(as_json=as_json)


@app.command("down")
def down(as_json: Json = False) -> None:
    """Stop the embedded server."""
    from seawall.core.settings import load_settings
    from seawall.db.database import embedded_server

    _require_embedded()
    stopped = embedded_server(load_settings()).stop()
    if as_json:
        print_json({"stopped": stopped})
    else:
        typer.echo("Stopped." if stopped else "It was not running.")


@app.command("status")
def status(as_json: Json = False) -> None:
    """Show the server's state and files, and the database's version."""
    from seawall.ops.database import describe

    facts = run(describe())
    if as_json:
        print_json(facts)
        return
    print_facts({TITLES.get(name, name): _written(name, value) for name, value in facts.items()})


def _written(name: str, value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int() if name == "size_bytes":
            return f"{value / 2**20:,.1f} MiB"
        case _:
            return str(value)


@app.command("migrate")
def migrate(as_json: Json = False) -> None:
    """Bring the database to this version of Seawall."""
    from seawall.core.settings import load_settings
    from seawall.db import database

    found = run(database.prepare(database.locate(load_settings())))
    if as_json:
        print_json({"from": found.current, "to": found.needed})
    elif found.is_current:
        typer.echo(f"The database is at version {found.needed} already.")
    else:
        typer.echo(f"Migrated from version {found.current or 'none'} to {found.needed}.")


@app.command("downgrade")
def downgrade(
    revision: Annotated[str, typer.Argument(help="The version to go back to, such as 0005.")],
    lose_data: Annotated[
        bool, typer.Option("--lose-data", help="Go even when data is lost by it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take the database back to an earlier version.

    It is refused when data would be lost that the earlier version has no place for.
    """
    from seawall.core.settings import load_settings
    from seawall.db import database
    from seawall.db import migrate as versions

    async def go() -> versions.Version:
        async with database.open_admin(database.locate(load_settings())) as admin:
            return await versions.downgrade(admin, revision, lose_data=lose_data)

    found = run(go())
    if as_json:
        print_json({"from": found.current, "to": revision})
    else:
        typer.echo(f"Went back from version {found.current} to {revision}.")


@app.command("maintain")
def maintain(as_json: Json = False) -> None:
    """Make partitions ahead, sum up series, compress chunks.

    Run it every hour, where TimescaleDB does not do it by itself.
    """
    from seawall.core.settings import load_settings
    from seawall.db import database
    from seawall.db.engine import OWNER_ROLE
    from seawall.db.upkeep import maintain

    async def go() -> None:
        location = await database.make_ready(load_settings())
        async with database.open_admin(location, OWNER_ROLE) as owner:
            await maintain(owner)

    run(go())
    if as_json:
        print_json({"maintained": True})
    else:
        typer.echo("Every series is kept.")


@app.command("convert")
def convert(as_json: Json = False) -> None:
    """Move native series onto TimescaleDB.

    Interrupted, it goes on where it was when it is run again; until then nothing changes.
    """
    from seawall.cli.output import progress
    from seawall.core.settings import load_settings
    from seawall.db import database
    from seawall.db.convert import Converted
    from seawall.db.convert import convert as steps
    from seawall.db.engine import OWNER_ROLE

    settings = load_settings()
    if not settings.database.timescaledb:
        raise InvalidError(
            "SEAWALL_DATABASE__TIMESCALEDB is off: the series are to stay native.",
            hint="Unset it to move them onto TimescaleDB.",
        )

    async def go() -> list[Converted]:
        location = await database.make_ready(settings)
        task = bar.add_task("Looking", total=None)
        found = []
        async with (
            database.open_admin(location) as admin,
            database.open_admin(location, OWNER_ROLE) as owner,
        ):
            async for each in steps(admin, owner):
                found.append(each)
                bar.update(task, description=f"{each.partition}: {each.rows:,} rows")
        return found

    with progress() as bar:
        found = run(go())
    rows = sum(each.rows for each in found)
    series = len({each.series for each in found})
    if as_json:
        print_json({"series": series, "partitions": len(found), "rows": rows})
    elif found:
        typer.echo(f"Moved {series} series with {rows:,} rows onto TimescaleDB.")
    else:
        typer.echo("Every series that TimescaleDB can hold is on it already.")


@app.command("psql", context_settings={"ignore_unknown_options": True})
def psql(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Arguments for psql, after --.", metavar="ARGS")
    ] = None,
    as_json: Json = False,
) -> None:
    """Open psql on the database, as the application's role.

    What belongs to the installation's owner can be read and changed, tables cannot.
    """
    from seawall.core.settings import load_settings
    from seawall.db.database import embedded_server, make_ready

    settings = load_settings()
    location = run(make_ready(settings))
    program = str(embedded_server(settings).psql())
    if as_json:
        print_json({"program": program, "arguments": arguments or []})
        return
    # The address holds the password, so it goes by the environment, which others cannot read.
    environment = os.environ | _psql_environment(location.url)
    os.execve(program, [program, *(arguments or [])], environment)  # noqa: S606 - it is psql


def _psql_environment(url: str) -> dict[str, str]:
    from sqlalchemy import make_url

    from seawall.db.engine import APP_ROLE, libpq_url
    from seawall.identity.owner import OWNER_ID

    parsed = make_url(libpq_url(url))
    query = dict(parsed.query)
    found = {
        "PGHOST": parsed.host or query.get("host"),
        "PGPORT": str(parsed.port or query.get("port") or "") or None,
        "PGUSER": parsed.username,
        "PGPASSWORD": parsed.password,
        "PGDATABASE": parsed.database,
        "PGSSLMODE": query.get("sslmode"),
        "PGOPTIONS": f"-c role={APP_ROLE} -c app.user_id={OWNER_ID}",
    }
    return {name: str(value) for name, value in found.items() if value}


@app.command("url")
def url(
    admin: Annotated[
        bool, typer.Option("--admin", help="The address with which tables can be changed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the database's address; it holds the password."""
    from seawall.core.settings import load_settings
    from seawall.db.database import make_ready
    from seawall.db.engine import libpq_url

    location = run(make_ready(load_settings()))
    found = libpq_url(location.admin_url if admin else location.url)
    if as_json:
        print_json({"url": found})
    else:
        typer.echo(found)
