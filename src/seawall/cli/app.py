"""The command line: its groups, and how an error becomes a message and an exit code."""

import io
import os
import sys
import traceback
from typing import Annotated

import typer

from seawall import __version__
from seawall.cli import (
    audit,
    db,
    keys,
    logs,
    market,
    ops,
    outbox,
    portfolio,
    risk,
    serve,
    user,
    worker,
)
from seawall.cli.exits import BUG, INTERRUPTED, UNREAD, exit_code
from seawall.cli.output import print_error
from seawall.cli.session import use_demo_database
from seawall.core.errors import SeawallError

app = typer.Typer(
    name="seawall",
    help="Crypto holdings in one place, on your own machine, with their risk measured.",
    epilog="Exit codes: 0 done, 1 a bug, 2 usage, 3 not found, 4 invalid input, 5 conflict,"
    " 6 forbidden, 7 unavailable.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
app.add_typer(market.app, name="market")
app.add_typer(portfolio.app, name="portfolio")
app.add_typer(risk.app, name="risk")
app.add_typer(db.app, name="db")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(worker.app, name="worker")
app.add_typer(user.app, name="user")
app.command("outbox")(outbox.outbox)
app.command("logs")(logs.logs)
app.command("serve")(serve.serve)
app.command("demo")(ops.demo)
app.command("doctor")(ops.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"seawall {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    demo: Annotated[
        bool, typer.Option("--demo", help="Use the demo's database, which `seawall demo` fills.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""
    if demo:
        use_demo_database()


def main() -> None:
    """Run a command and exit with the code of what became of it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name can hold what the terminal's encoding cannot.
        sys.stdout.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command, print its errors, and return its exit code."""
    as_json = "--json" in arguments
    try:
        outcome = app(arguments, prog_name="seawall", standalone_mode=False)
        sys.stdout.flush()
        if outcome == INTERRUPTED:
            raise KeyboardInterrupt  # noqa: TRY301 - typer has turned it into a number
    except SeawallError as error:
        print_error(type(error).__name__, error.message, error.hint, error.details, as_json=as_json)
        return exit_code(error)
    except typer.TyperException as error:
        error.show()  # type: ignore[attr-defined]  # every one that typer raises has it
        if as_json:
            print_error("UsageError", error.format_message(), "", {}, as_json=True)
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        message = "Stopped; what was not finished was not kept."
        print_error("Interrupted", message, "", {}, as_json=as_json)
        return INTERRUPTED
    except (SystemExit, BrokenPipeError) as error:
        return _end(error)
    except Exception as error:  # noqa: BLE001 - the last resort: say that it is our bug
        traceback.print_exc()
        hint = "This is a bug in Seawall. Please report it with the lines above."
        print_error(type(error).__name__, f"{error}", hint, {}, as_json=as_json)
        return BUG
    return outcome if isinstance(outcome, int) else 0


def _end(error: SystemExit | BrokenPipeError) -> int:
    """Return the code of a command that typer ended, or whose reader has gone, like `head`."""
    if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
        return int(error.code or 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return UNREAD


if __name__ == "__main__":
    main()
