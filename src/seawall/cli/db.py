"""`seawall db`: the embedded server, and the database's version."""

import os
from typing import Annotated

import typer

from seawall.cli.output import Json, console, print_json, table
from seawall.cli.session import run
from seawall.core.errors import InvalidError

app = typer.Typer(help="The database: its server and its version.", no_args_is_help=True)


def _require_embedded() -> None:
    from seawall.core.settings import Settings

    if Settings().database.url is not None:
        raise InvalidError(
            "SEAWALL_DATABASE__URL names a server that Seawall does not run.",
            hint="Start and stop it where it runs, or unset the variable.",
        )


@app.command("up")
def up(as_json: Json = False) -> None:
    """Start the embedded PostgreSQL, make the database, and bring it up to date."""
    from seawall.core.settings import Settings
    from seawall.db import database

    _require_embedded()
    settings = Settings()
    run(database.prepare(database.locate(settings)))
    status(as_json=as_json)


@app.command("down")
def down(as_json: Json = False) -> None:
    """Stop the embedded PostgreSQL."""
    from seawall.core.settings import Settings
    from seawall.db.database import embedded_server

    _require_embedded()
    stopped = embedded_server(Settings()).stop()
    if as_json:
        print_json({"stopped": stopped})
    else:
        typer.echo("Stopped." if stopped else "It was not running.")


@app.command("status")
def status(as_json: Json = False) -> None:
    """Show the server's state, where its files are, and the database's version."""
    from seawall.ops.database import describe

    facts = run(describe())
    if as_json:
        print_json(facts)
        return
    shown = table("", "")
    for name, value in facts.items():
        shown.add_row(name.replace("_", " "), _written(name, value))
    console().print(shown)


def _written(name: str, value: object) -> str:
    if name == "size_bytes" and isinstance(value, int):
        return f"{value / 2**20:,.1f} MiB"
    return "-" if value is None else str(value)


@app.command("migrate")
def migrate(as_json: Json = False) -> None:
    """Bring the database to this version of Seawall."""
    from seawall.core.settings import Settings
    from seawall.db import database

    found = run(database.prepare(database.locate(Settings())))
    if as_json:
        print_json({"from": found.current, "to": found.needed})
    elif found.is_current:
        typer.echo(f"The database is at version {found.needed} already.")
    else:
        typer.echo(f"Migrated from version {found.current or 'none'} to {found.needed}.")


@app.command("psql", context_settings={"ignore_unknown_options": True})
def psql(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Arguments for psql, after --.", metavar="ARGS")
    ] = None,
    as_json: Json = False,
) -> None:
    """Open psql on the database, as the application's role."""
    from seawall.core.settings import Settings
    from seawall.db.database import embedded_server, locate

    settings = Settings()
    location = locate(settings)
    program = str(embedded_server(settings).psql())
    if as_json:
        print_json({"program": program, "arguments": arguments or []})
        return
    # The address holds the password, so it goes by the environment, which others cannot read.
    environment = os.environ | _psql_environment(location.url)
    os.execve(program, [program, *(arguments or [])], environment)  # noqa: S606 - it is psql


def _psql_environment(url: str) -> dict[str, str]:
    from sqlalchemy import make_url

    parsed = make_url(url)
    query = dict(parsed.query)
    found = {
        "PGHOST": parsed.host or query.get("host"),
        "PGPORT": str(parsed.port or query.get("port") or "") or None,
        "PGUSER": parsed.username,
        "PGPASSWORD": parsed.password,
        "PGDATABASE": parsed.database,
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
    from seawall.core.settings import Settings
    from seawall.db.database import locate

    location = locate(Settings())
    found = location.admin_url if admin else location.url
    if as_json:
        print_json({"url": found})
    else:
        typer.echo(found)
