"""Write docs/reference from the code, or say which of its pages are out of date.

A page holds nothing that differs between machines or days: no dates, no paths, no versions.
"""

import argparse
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy import Column, ForeignKeyConstraint, Identity, Index, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import Constraint, CreateIndex
from typer.core import TyperGroup

import seawall
from seawall.cli.app import BUG, EXIT_CODES, INTERRUPTED, app
from seawall.core.settings import Settings
from seawall.db.base import TENANT, Base
from seawall.db.series import SERIES
from seawall.market.catalog_names import QUOTES
from seawall.market.formats import columnar, unpack
from seawall.market.formats.names import EXCHANGES
from seawall.market.formats.registry import known_formats
from seawall.market.formats.spacing import USUAL
from seawall.quant.metrics.registry import REGISTRY

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "reference"
NOTICE = "<!-- Written by `make docs` from the code: change the code, not this page. -->"
MEND = "Run `make docs`, and commit what it writes."

DEFAULTS = {"home": "the platform's user data folder, such as `~/.local/share/seawall` on Linux"}
"""Defaults that differ between machines, in words."""
TYPERS_OWN = frozenset({"help", "install_completion", "show_completion"})
OTHER_EXIT_CODES = {
    0: "done",
    BUG: "a bug in Seawall",
    2: "usage: the command line itself is wrong",
    INTERRUPTED: "interrupted; what was not finished was not kept",
}
SHORT_TYPES = {"timestamp with time zone": "timestamptz"}
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a Markdown table."""
    cells = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in cells)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def code(text: object) -> str:
    """Write code in a line; nothing stays nothing."""
    return f"`{text}`" if str(text) else ""


def page(title: str, *parts: str) -> str:
    """Put a page together."""
    return "\n\n".join([NOTICE, f"# {title}", *parts]) + "\n"


def doc(thing: object) -> str:
    """Return a docstring without its indentation."""
    return inspect.getdoc(thing) or ""


def settings_page() -> str:
    """List every environment variable."""
    return page(
        "Settings",
        "Each is an environment variable; nothing else configures Seawall.",
        table(("Variable", "Default", "What it sets"), _settings(Settings, "SEAWALL_")),
    )


def _settings(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        nested = field.annotation
        variable = prefix + name.upper()
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            yield from _settings(nested, f"{variable}__")
        else:
            yield code(variable), _default(name, field), field.description or ""


def _default(name: str, field: FieldInfo) -> str:
    if field.default_factory is not None:
        return DEFAULTS[name]
    return "not set" if field.default is None else code(field.default)


def cli_page() -> str:
    """Describe every command."""
    root = typer.main.get_command(app)
    context = root.make_context("seawall", [], resilient_parsing=True)
    families = sorted((number, family) for family, number in EXIT_CODES.items())
    codes = OTHER_EXIT_CODES | {
        number: f"{doc(family).rstrip('.').lower()} (`{family.__name__}`)"
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


def _command(command: typer.core.TyperCommand | TyperGroup, context: typer.Context) -> list[str]:
    """Describe a command, and those below it when it is a group."""
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


def metrics_page() -> str:
    """Describe every metric of the registry."""
    parts = [
        "In formulas `r` are daily returns, `b` the benchmark's, `w` weights and `n` the number of"
        " observations. [Risk figures](../risk-figures.md) tells which returns these are."
    ]
    for metric in sorted(REGISTRY.values(), key=lambda each: each.slug):
        facts = {
            "Unit": metric.unit,
            "Direction": metric.direction,
            "Formula": code(metric.formula),
            "Least observations": metric.min_observations,
            "Otherwise undefined with": metric.undefined or "never",
            "Source": metric.source,
        }
        parts += [f"## `{metric.slug}`: {metric.name}", table(("", ""), facts.items())]
    return page("Metrics", *parts)


def formats_page() -> str:
    """Describe every file format, and the limits on files."""
    parts = [
        "A file is taken for the first of these that its content fits;"
        " [importing](../importing.md) tells the rest.",
        table(
            ("Format", "Container", "What it is"),
            [(code(form.name), form.container, form.title) for form in known_formats()],
        ),
    ]
    for form in known_formats():
        module = inspect.getmodule(form.recognise)
        recognised = doc(form.recognise).partition("\n")[0]
        parts += [f"## `{form.name}`", doc(module), f"Recognised by: `{recognised}`"]
    return page(
        "File formats",
        *_formats(),
        "## Limits",
        table(
            ("Limit", "Value"),
            [
                ("Size of one file, and of all that it unpacks to", f"{unpack.LIMIT >> 30} GiB"),
                ("Unpacked to packed, beyond the first MiB below", f"{unpack.RATIO} to 1"),
                ("Unpacked size up to which that ratio is free", f"{unpack.FREE >> 20} MiB"),
                ("Wrappings inside one another", unpack.DEPTH),
                ("Files in one zip", f"{unpack.MEMBERS:,}"),
                ("Rows of one Arrow or Parquet file", f"{columnar.MAX_ROWS:,}"),
            ],
        ),
        "## Names that are known",
        f"Timeframes that spacing alone proves: {_codes(map(str, USUAL))}.",
        f"Currencies that a pair's name may end with: {_codes(sorted(QUOTES))}.",
        f"Exchanges in file names: {_codes(sorted(EXCHANGES))}.",
    )
