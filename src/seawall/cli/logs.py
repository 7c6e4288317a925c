"""`seawall logs`: what servers and workers warned of."""

from typing import Annotated, Any, Literal

import typer

from seawall.cli.output import Json, print_json
from seawall.cli.session import run


def logs(
    level: Annotated[
        Literal["warning", "error", "critical"], typer.Option(help="The least that is shown.")
    ] = "warning",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 50,
    as_json: Json = False,
) -> None:
    """Show what servers and workers last warned of."""
    found = run(_logs(level, limit))
    if as_json:
        print_json({"logs": found})
        return
    if not found:
        typer.echo("There are no warnings.")
    for each in reversed(found):
        details = each["metadata"]
        request = f" [{details['request_id']}]" if details.get("request_id") else ""
        error = f" ({details['error']})" if details.get("error") else ""
        when = f"{each['time']:%Y-%m-%d %H:%M:%S} UTC"
        typer.echo(f"{when} {each['level']} {each['component']}{request}: {each['message']}{error}")


async def _logs(level: str, limit: int) -> list[dict[str, Any]]:
    from seawall.core.settings import load_settings
    from seawall.db.database import open_database
    from seawall.db.journal import newest

    async with open_database(load_settings(), require_keys=False) as engine:
        return await newest(engine, level, limit)
