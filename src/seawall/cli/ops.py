"""`seawall demo` and `seawall doctor`."""

from typing import TYPE_CHECKING

import typer

from seawall.cli.exits import UNAVAILABLE
from seawall.cli.output import Json, print_json, print_table, progress, table
from seawall.cli.session import open_engine, run, use_demo_database

if TYPE_CHECKING:
    from seawall.ops.demo import Demo


def demo(as_json: Json = False) -> None:
    """Fill a simulated sample, and print its portfolio's risk.

    Nothing in it is real: prices come from a seeded generator, on an exchange named
    `simulated`, in a database apart from yours. A second run changes nothing.
    """
    from seawall.cli.risk.figures import document, print_report

    use_demo_database()
    done = run(_demo())
    if as_json:
        print_json(
            {
                "simulated": True,
                "assets": done.assets,
                "candles_inserted": done.candles_inserted,
                "transactions_inserted": done.transactions_inserted,
                "report": document(done.report),
            }
        )
        return
    typer.echo(
        f"SIMULATED DATA: {done.assets} made-up assets, {done.candles_inserted:,} candles and"
        f" {done.transactions_inserted} transactions added.\n"
    )
    print_report(done.report)
    typer.echo("\nSee more: seawall --demo market coverage, seawall --demo portfolio show Demo")


async def _demo() -> "Demo":
    from seawall.core.settings import load_settings
    from seawall.db import database
    from seawall.ops.demo import build_demo

    await database.prepare(database.locate(load_settings()))
    async with open_engine() as engine:
        with progress() as bar:
            task = bar.add_task("Simulating", total=None)

            def advance(step: str, done: int, total: int) -> None:
                bar.update(task, description=step, completed=done, total=total)

            return await build_demo(engine, advance)


def doctor(as_json: Json = False) -> int:
    """Check versions, disk, database and cache.

    Says what to do about what is wrong, and then exits with 7.
    """
    from seawall.core.settings import load_settings
    from seawall.ops.doctor import examine

    checks = run(examine(load_settings()))
    healthy = all(check.ok for check in checks)
    if as_json:
        print_json({"healthy": healthy, "checks": checks})
    else:
        shown = table("", "Check", "~Found", "~What to do")
        for check in checks:
            shown.add_row("ok" if check.ok else "FAIL", check.name, check.found, check.advice)
        print_table(shown)
    return 0 if healthy else UNAVAILABLE
