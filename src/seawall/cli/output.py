"""What commands print: one JSON document, or text and tables for people."""

import dataclasses
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import typer

from seawall.core.money import plain
from seawall.core.time import iso

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from seawall.market.schemas import Rejected

PIPED_WIDTH, UNBOUND = 160, 10_000
SHOWN_REJECTED = 20

Json = Annotated[
    bool, typer.Option("--json", help="Print exactly one JSON document to standard output.")
]


def to_document(value: object) -> object:
    """Return a value as JSON has it: decimals as strings, undefined numbers as null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: to_document(getattr(value, field.name)) for field in fields}
    if isinstance(value, Mapping):
        return {str(key): to_document(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_document(each) for each in value]
    return _scalar(value)


def _scalar(value: object) -> object:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return plain(value)
        case datetime():
            return iso(value)
        case timedelta():
            return value.total_seconds()
        case str() | UUID() | Path() | date():
            # A file's name can hold bytes that are no text.
            return str(value).encode(errors="replace").decode()
        case None | bool() | int():
            return value
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def print_json(value: object) -> None:
    """Print one JSON document."""
    import orjson

    text = orjson.dumps(to_document(value), option=orjson.OPT_INDENT_2)
    sys.stdout.write(text.decode() + "\n")


def print_error(
    family: str, message: str, hint: str, details: Mapping[str, object], *, as_json: bool
) -> None:
    """Say what went wrong: in a document on standard output, or in words on standard error."""
    if as_json:
        known = {str(key): _safe(value) for key, value in details.items()}
        error = {"type": family, "message": message, "hint": hint, "details": known}
        print_json({"error": error})
    else:
        sys.stderr.write(f"Error: {message}\n" + (f"{hint}\n" if hint else ""))


def _safe(value: object) -> object:
    try:
        return to_document(value)
    except TypeError:
        return str(value)


def console() -> "Console":
    """Return the console for results; what it prints is taken literally, and wide when piped."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(highlight=False, markup=False, emoji=False, width=width)


def table(*columns: str) -> "Table":
    """Begin a table; > before a column's name is for numbers, ~ for prose that may be wrapped."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.startswith(">") else "left"
        made.add_column(column.lstrip(">~"), justify=justify, no_wrap=not column.startswith("~"))
    return made


def print_table(shown: "Table") -> None:
    """Print a table; on a screen that is too narrow its lines are wrapped, and nothing is cut."""
    from rich.cells import cell_len
    from rich.measure import Measurement

    for column in shown.columns:
        if column.no_wrap:
            column.min_width = max(cell_len(str(each)) for each in (column.header, *column.cells))
    screen = console()
    room = screen.options.update(width=UNBOUND)
    screen.width = max(screen.width, Measurement.get(screen, room, shown).minimum)
    screen.print(shown)


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and what is known of each."""
    width = max(map(len, facts))
    for name, value in facts.items():
        console().print(f"{name:<{width}}   {value}", soft_wrap=True)


@contextmanager
def progress() -> "Iterator[Progress]":
    """Show progress on standard error while long work runs, when that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
    screen = Console(stderr=True)
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        yield bar


def print_rejected(rows: "Sequence[Rejected]") -> None:
    """Name rejected rows with line and reason on standard error, up to a screenful."""
    for row in rows[:SHOWN_REJECTED]:
        typer.echo(f"  line {row.line} rejected: {row.reason}", err=True)
    if len(rows) > SHOWN_REJECTED:
        rest = len(rows) - SHOWN_REJECTED
        typer.echo(f"  and {rest:,} more rejected; --json lists them all", err=True)


def print_notes(screen: "Console", notes: Iterable[str]) -> None:
    """Print what a reader has to know about the figures above."""
    for note in notes:
        screen.print(f"Note: {note}", style="dim", soft_wrap=True)


def money(value: Decimal | None, *, signed: bool = False) -> str:
    """Write an amount of USD with cents and thousands."""
    if value is None:
        return "-"
    return f"{value:+,.2f}" if signed else f"{value:,.2f}"


def price(value: float | Decimal | None) -> str:
    """Write a price with thousands, and with more digits the smaller it is."""
    if value is None:
        return "-"
    return f"{value:,.2f}" if value >= 1 else plain(Decimal(f"{value:.6g}"))


def number(value: float | None, digits: int = 4) -> str:
    """Write a plain number."""
    return "-" if value is None else f"{value:,.{digits}f}"


def percent(value: float | Decimal | None, digits: int = 2) -> str:
    """Write a fraction as a percentage."""
    return "-" if value is None else f"{float(value):.{digits}%}"


def quantity(value: Decimal) -> str:
    """Write a quantity with all its digits and thousands."""
    return f"{Decimal(plain(value)):,f}"


def day(moment: datetime) -> str:
    """Write an instant for a table: its date, and as much of its time as is not zero."""
    if moment.time() == moment.min.time():
        return f"{moment:%Y-%m-%d}"
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment.second else f"{moment:%Y-%m-%d %H:%M}"


def age(seconds: float | None) -> str:
    """Write how old something is, in the unit that fits."""
    if seconds is None:
        return "-"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"
