"""The page of the command line."""

from typing import Any

import typer
from typer.core import TyperGroup

from scripts.reference.markdown import code, doc, page, table, uncapitalised
from seawall.cli.app import app
from seawall.cli.exits import BUG, EXIT_CODES, INTERRUPTED, UNREAD

TYPERS_OWN = frozenset({"help", "install_completion", "show_completion"})
OTHER_EXIT_CODES = {
    0: "done",
    BUG: "a bug in Seawall",
    2: "usage: the command line itself is wrong",
    INTERRUPTED: "interrupted; what was not finished was not kept",
    UNREAD: "whoever read the output went away, as `head` does",
}


def cli_page() -> str:
    """Describe every command."""
    root = typer.main.get_command(app)
    context = root.make_context("seawall", [], resilient_parsing=True)
    families = sorted((number, family) for family, number in EXIT_CODES.items())
    codes = OTHER_EXIT_CODES | {
        number: f"{uncapitalised(doc(family)).rstrip('.')} (`{family.__name__}`)"
        for number, family in families
    }
    return page(
        "Command line",
        "Results go to standard output, progress and errors to standard error. `--help` or `-h`"
        " after any command explains it.",
        "## Exit codes",
        table(("Code", "Meaning"), sorted(codes.items())),
        *_command(root, context),
    )


def _command(command: Any, context: Any) -> list[str]:
    """Describe a command, and those below it when it is a group; their types are typer's own."""
    parts = [f"## `{context.command_path}`", command.help or ""]
    rows: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and parameter.name not in TYPERS_OWN:
            rows[parameter.param_type_name].append((code(record[0]), record[1]))
    parts += [
        table((kind.capitalize(), "What it is"), found) for kind, found in rows.items() if found
    ]
    if isinstance(command, TyperGroup):
        for name in sorted(command.commands):
            below = command.commands[name]
            inner = below.make_context(name, [], parent=context, resilient_parsing=True)
            parts += _command(below, inner)
    return parts
