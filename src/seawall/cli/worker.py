"""`seawall worker`: run what works the queue off, and see how it stands."""

from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli import output
from seawall.cli.output import Json, console, print_json, print_table, table
from seawall.cli.session import run as run_work

if TYPE_CHECKING:
    from rich.table import Table

    from seawall.jobs.store import Failure, QueueState

app = typer.Typer(
    help="The worker: measures in the background what new prices change.", no_args_is_help=True
)
CREW = "seawall.workers.app"
"""The worker stands beside the command line, and is named as jobs are."""
SHOWN_FAILURES = 10


@app.command("run")
def run(
    once: Annotated[
        bool, typer.Option("--once", help="Do what is to be done now, then stop.")
    ] = False,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=64, help="How many jobs at once; else as set.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Work the queue off until stopped by Ctrl-C or SIGTERM.

    A job that runs then is ended, or put back for the next worker. Any number of workers may run,
    on any number of machines. With --once what waits is done, such as from a crontab.
    """
    from seawall.core.settings import load_settings
    from seawall.jobs.crew import load_crew
    from seawall.jobs.run import Pace, drain, work

    settings, crew = load_settings(), load_crew(CREW)
    pace = Pace.of(settings, concurrency)

    def say(what: str) -> None:
        typer.echo(what, err=as_json)

    if not once:
        run_work(work(settings, crew, pace, say))
        return
    done = run_work(drain(settings, crew, pace, say))
    if as_json:
        print_json({"done": done})
    else:
        typer.echo(f"Nothing is left to do; {done} jobs were done.")


@app.command("status")
def status(as_json: Json = False) -> None:
    """Show how many jobs wait and run, since when, and what failed."""
    state = run_work(_state())
    if as_json:
        print_json(state)
        return
    _print(state)


async def _state() -> "QueueState":
    from seawall.core.settings import load_settings
    from seawall.db.database import make_ready, open_worker
    from seawall.jobs import store
    from seawall.jobs.run import Pace

    settings = load_settings()
    await make_ready(settings)
    async with open_worker(settings) as engine:
        return await store.describe(engine, Pace.of(settings).silent, SHOWN_FAILURES)


def _print(state: "QueueState") -> None:
    screen = console()
    screen.print(f"{state.workers} worker{'' if state.workers == 1 else 's'} running.")
    if state.tasks:
        shown = table("Task", "State", ">Jobs", "Waiting since", "Last finished")
        for each in state.tasks:
            moments = (each.waiting_since, each.finished_at)
            written = ("-" if moment is None else output.day(moment) for moment in moments)
            shown.add_row(each.task, each.state, f"{each.jobs:,}", *written)
        print_table(shown)
    if state.failures:
        screen.print("\nFailures, the newest first:")
        print_table(_failures(state.failures))


def _failures(failures: "tuple[Failure, ...]") -> "Table":
    shown = table("When", "Task", ">Job", ">Attempt", "Then", "~Error")
    for each in failures:
        then = "tried again" if each.retried else "given up"
        shown.add_row(
            output.day(each.failed_at),
            each.task,
            str(each.job_id),
            str(each.attempt),
            then,
            each.error,
        )
    return shown
