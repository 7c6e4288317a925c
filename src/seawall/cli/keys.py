"""`seawall keys`: the keys that seal secrets."""

from typing import TYPE_CHECKING

import typer

from seawall.cli.output import Json, day, print_json, print_table, progress, table
from seawall.cli.session import run

if TYPE_CHECKING:
    from seawall.ops.keys import KeyStatus, Rotation

app = typer.Typer(help="The encryption keys: which there are, and new ones.", no_args_is_help=True)


@app.command("status")
def status(as_json: Json = False) -> None:
    """Show the keys, where they are kept, and whether one is missing.

    A key itself is never shown, only its id.
    """
    from seawall.core.settings import load_settings
    from seawall.ops import keys

    found = run(keys.status(load_settings()))
    if as_json:
        print_json(found)
        return
    typer.echo(f"Kept in {found.origin}")
    if not found.keys:
        typer.echo("There are none: the first is made when the first secret is sealed.")
        return
    shown = table("Key", "State", "First used here", "Retired")
    for key in found.keys:
        dates = [day(moment) if moment else "-" for moment in (key.first_used_at, key.retired_at)]
        shown.add_row(key.id, _state(key), *dates)
    print_table(shown)


def _state(key: "KeyStatus") -> str:
    if key.is_missing:
        return "DOES NOT OPEN" if key.on_ring else "MISSING"
    if key.is_current:
        return "current"
    if key.retired_at is not None:
        return "retired" if key.on_ring else "retired, and gone"
    return "not used here" if key.first_used_at is None else "former, still in use"


@app.command("rotate")
def rotate(as_json: Json = False) -> None:
    """Seal every secret with a new key, while others read and write.

    A rotation that was interrupted is finished first. When the key is set in the environment, set
    the new one there before, and add the former to the old ones.
    """
    done = run(_rotate())
    if as_json:
        print_json(done)
    elif done.key_id is None:
        typer.echo("Nothing was ever sealed here: there is no key to replace.")
    else:
        count = sum(done.wrapped.values())
        typer.echo(f"{count:,} secrets of {done.users:,} users are wrapped with key {done.key_id}.")
        for column, number in sorted(done.wrapped.items()):
            typer.echo(f"  {column}: {number:,}")
        for key_id in done.retired:
            typer.echo(f"Key {key_id} is retired. Keep it: it opens older backups.")


async def _rotate() -> "Rotation":
    from seawall.core.settings import load_settings
    from seawall.ops import keys

    with progress() as bar:
        task = bar.add_task("Rotating", total=None)

        def advance(step: str, done: int, total: int) -> None:
            bar.update(task, description=step, completed=done, total=total)

        return await keys.rotate(load_settings(), advance)
