"""Write docs/reference from the code, or say which of its pages are out of date.

A page holds nothing that differs between machines or days: no dates, no paths, no versions.
"""

import argparse
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy import Column, ForeignKeyConstraint, Identity, Index, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import AddConstraint, Constraint, CreateColumn, CreateIndex
from typer.core import TyperGroup

import seawall
from seawall.cli.app import app
from seawall.cli.exits import BUG, EXIT_CODES, INTERRUPTED, UNREAD
from seawall.core.settings import Settings
from seawall.db.base import TENANT, Base
from seawall.db.series import SERIES
from seawall.market.formats import columnar, unpack
from seawall.market.formats.base import Format
from seawall.market.formats.names import EXCHANGES
from seawall.market.formats.records import EARLIEST, EARLIEST_INDEX
from seawall.market.formats.registry import FORMATS
from seawall.market.formats.spacing import STRAY, USUAL
from seawall.market.formats.times import show
from seawall.market.pairs import QUOTES
from seawall.quant.metrics.registry import REGISTRY

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "reference"
NOTICE = "<!-- Written by `make docs` from the code: change the code, not this page. -->"
MEND = "Mend it with `make docs`; a page that nothing writes is to be removed."

DEFAULTS = {"home": "the platform's user data folder, such as `~/.local/share/seawall` on Linux"}
"""Defaults that differ between machines, in words."""
TYPERS_OWN = frozenset({"help", "install_completion", "show_completion"})
OTHER_EXIT_CODES = {
    0: "done",
    BUG: "a bug in Seawall",
    2: "usage: the command line itself is wrong",
    INTERRUPTED: "interrupted; what was not finished was not kept",
    UNREAD: "whoever read the output went away, as `head` does",
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


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]


def settings_page() -> str:
    """List every environment variable."""
    return page(
        "Settings",
        "Each is an environment variable; there is no configuration file.",
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
        number: f"{_uncapitalised(doc(family)).rstrip('.')} (`{family.__name__}`)"
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


def metrics_page() -> str:
    """Describe every metric of the registry."""
    parts = []
    for metric in sorted(REGISTRY.values(), key=lambda each: each.slug):
        facts = {
            "Unit": metric.unit,
            "Direction": metric.direction,
            "Formula": code(metric.formula),
            "Least observations": metric.min_observations,
            "Also undefined with": metric.undefined or "nothing else",
            "Source": metric.source,
        }
        parts += [f"## `{metric.slug}`: {metric.name}", table(("", ""), facts.items())]
    return page(
        "Metrics",
        "In formulas `r` are daily returns, `b` the benchmark's, `w` weights and `n` the number of"
        " observations. [Risk figures](../risk-figures.md) tells which returns these are.",
        *parts,
    )


def formats_page() -> str:
    """Describe every file format, and the limits on files."""
    forms = [(code(form.name), form.container, form.title) for form in FORMATS]
    modules: dict[ModuleType, list[Format]] = {}
    for form in FORMATS:
        modules.setdefault(sys.modules[form.recognise.__module__], []).append(form)
    described = [_formats_of(module, known) for module, known in modules.items()]
    return page(
        "File formats",
        "A file is taken for the first of these that its content fits, gzip and zip being unpacked"
        " first; [importing](../importing.md) tells the rest.",
        table(("Format", "Container", "What it is"), forms),
        *described,
        "## Limits",
        table(("Limit", "Value"), _limits()),
        "## Names that are known",
        f"Timeframes that the spacing of candles proves by itself: {_codes(map(str, USUAL))}.",
        f"What the name of a pair may end with: {_codes(sorted(QUOTES))}.",
        f"Exchanges in the names of files: {_codes(sorted(EXCHANGES))}.",
    )


def _formats_of(module: ModuleType, forms: Sequence[Format]) -> str:
    heading = ", ".join(code(form.name) for form in forms)
    how = doc(forms[0].recognise).partition("\n")[0].removeprefix("Return the layout by ")
    return f"### {heading}\n\n{doc(module)}\n\nRecognised by {how}"


def _limits() -> list[tuple[str, object]]:
    return [
        ("Bytes of one file, packed and unpacked", f"{unpack.LIMIT >> 30} GiB"),
        ("Unpacked for each packed byte", unpack.RATIO),
        ("Unpacked bytes that are allowed whatever that ratio", f"{unpack.FREE >> 20} MiB"),
        ("Wrappings inside one another", unpack.DEPTH),
        ("Files in one zip", f"{unpack.MEMBERS:,}"),
        ("Rows of one Arrow or Parquet file", f"{columnar.MAX_ROWS:,}"),
        ("Candles off the timeframe's grid that are left out one by one", f"{STRAY:.0%}"),
        ("Earliest time of a coin's price", show(EARLIEST)),
        ("Earliest time of an index' close", show(EARLIEST_INDEX)),
    ]


def _codes(names: Iterable[str]) -> str:
    return ", ".join(map(code, names))


def tables_page() -> str:
    """Describe every table of the database, domain by domain."""
    parts = []
    for domain, classes in sorted(_domains().items()):
        tables = [_table_of(each) for each in classes]
        parts += [f"## {domain}", _diagram(tables)]
        parts += [part for each in classes for part in _describe(each)]
    return page(
        "Tables",
        "`tenant` tables are under row security: a transaction sees and writes the rows of the one"
        " user that it is bound to. A `series` is cut into chunks by time: a TimescaleDB hypertable"
        " where the extension is there, native partitions elsewhere; a tenant's is always native."
        " Beside these the migrations keep `series`, which lists the chunked tables, and"
        " `alembic_version`. [Architecture](../architecture.md) says why.",
        *parts,
    )


def _domains() -> dict[str, list[type[Base]]]:
    """Return each package's table classes, by the name of their tables."""
    found: dict[str, list[type[Base]]] = {}
    for file in sorted(Path(seawall.__file__).parent.glob("*/tables.py")):
        module = importlib.import_module(f"seawall.{file.parent.name}.tables")
        classes = [
            each
            for each in vars(module).values()
            if isinstance(each, type) and issubclass(each, Base) and each is not Base
        ]
        found[file.parent.name] = sorted(classes, key=lambda each: each.__tablename__)
    return found


def _table_of(each: type[Base]) -> Table:
    found = each.__table__
    assert isinstance(found, Table)  # noqa: S101 - every class here is mapped to one
    return found


def _describe(each: type[Base]) -> list[str]:
    found = _table_of(each)
    columns = [
        (code(column.name), _type(column), "yes" if column.nullable else "", _given(column))
        for column in found.columns
    ]
    rules = [*map(_constraint, found.constraints), *map(_index, found.indexes)]
    return [
        f"### `{found.name}`",
        doc(each),
        f"Class: {', '.join(_kinds(found)) or 'shared reference data'}.",
        table(("Column", "Type", "Null", "Default"), columns),
        "\n".join(f"- {code(rule)}" for rule in sorted(rules)),
    ]


def _kinds(found: Table) -> Iterator[str]:
    if found.info == TENANT:
        yield "tenant"
    for series in SERIES:
        if series.table == found.name:
            yield f"series by {series.chunk}"


def _type(column: Column[object]) -> str:
    name = column.type.compile(_DIALECT).lower()
    return SHORT_TYPES.get(name, name)


def _given(column: Column[object]) -> str:
    default = column.server_default
    if default is None:
        return ""
    if isinstance(default, Identity):
        return "identity"
    written = CreateColumn(column).compile(dialect=_DIALECT).string
    return code(written.partition("DEFAULT ")[2].removesuffix(" NOT NULL"))


def _constraint(constraint: Constraint) -> str:
    added = AddConstraint(constraint, isolate_from_table=False)
    return str(added.compile(dialect=_DIALECT)).partition(" ADD CONSTRAINT ")[2]


def _index(index: Index) -> str:
    return str(CreateIndex(index).compile(dialect=_DIALECT))


def _diagram(tables: Sequence[Table]) -> str:
    """Draw a domain's tables; those of other domains that they point to have no columns."""
    lines = ["```mermaid", "erDiagram"]
    for found in tables:
        lines.append(f"    {found.name} {{")
        lines += [f"        {_attribute(column)}" for column in found.columns]
        lines.append("    }")
    links = {_link(key) for found in tables for key in found.foreign_key_constraints}
    return "\n".join([*lines, *sorted(links), "```"])


def _attribute(column: Column[object]) -> str:
    kind = _type(column).partition("(")[0].replace(" ", "_")
    keys = [
        name for name, is_one in (("PK", column.primary_key), ("FK", column.foreign_keys)) if is_one
    ]
    return f"{kind} {column.name} {', '.join(keys)}".rstrip()


def _link(key: ForeignKeyConstraint) -> str:
    end = "|o" if any(column.nullable for column in key.columns) else "||"
    label = ", ".join(key.column_keys)
    return f'    {key.referred_table.name} {end}--o{{ {key.table.name} : "{label}"'


WRITERS: dict[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "formats.md": formats_page,
    "metrics.md": metrics_page,
    "settings.md": settings_page,
    "tables.md": tables_page,
}


def find_drift(folder: Path) -> list[str]:
    """Name the pages that differ from the code, and those that nothing writes."""
    drifted = []
    for name, write in WRITERS.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != write():
            drifted.append(name)
    return drifted + sorted(path.name for path in folder.glob("*.md") if path.name not in WRITERS)


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 on a difference"
    )
    parser.add_argument("--folder", type=Path, default=PAGES, help="where the pages are")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    if arguments.check:
        drifted = find_drift(folder)
        for name in drifted:
            print(f"{folder / name} differs from the code.", file=sys.stderr)
        if drifted:
            print(MEND, file=sys.stderr)
        return 1 if drifted else 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in WRITERS.items():
        (folder / name).write_text(write(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
