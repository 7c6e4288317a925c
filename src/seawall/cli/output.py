"""What commands print: one JSON document, or text and tables for people."""

import dataclasses
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from seawall.core.money import plain
from seawall.core.time import iso

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

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
        case str() | UUID() | Path():
            return str(value)
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
    """Return the console for results; it keeps its width when piped."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else 120)


def table(*columns: str) -> "Table":
    """Begin a table; a column whose name starts with > holds numbers and is right-aligned."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        if column.startswith(">"):
            made.add_column(column[1:], justify="right", no_wrap=True)
        else:
            made.add_column(column)
    return made


@contextmanager
def progress() -> "Iterator[Progress]":
    """Show progress on standard error while long work runs, when that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        yield bar


def print_notes(screen: "Console", notes: Iterable[str]) -> None:
    """Print what a reader has to know about the figures above."""
    for note in notes:
        screen.print(f"Note: {note}", style="dim")


def money(value: Decimal | None, *, signed: bool = False) -> str:
    """Write an amount of USD with cents and thousands."""
    if value is None:
        return "-"
    return f"{value:+,.2f}" if signed else f"{value:,.2f}"


def price(value: float | Decimal | None) -> str:
    """Write a price with thousands, and with more digits the smaller it is."""
    if value is None:
        return "-"
    return f"{value:,.2f}" if value >= 1 else f"{value:.6g}"


def number(value: float | None, digits: int = 4) -> str:
    """Write a plain number."""
    return "-" if value is None else f"{value:,.{digits}f}"


def percent(value: float | Decimal | None, digits: int = 2) -> str:
    """Write a fraction as a percentage."""
    return "-" if value is None else f"{float(value):.{digits}%}"


def quantity(value: Decimal) -> str:
    """Write a quantity with all its digits and thousands."""
    whole, point, rest = plain(value).partition(".")
    return f"{int(whole):,}{point}{rest}"


def day(moment: datetime) -> str:
    """Write an instant for a table: its date, with the time when it is not midnight."""
    return (
        f"{moment:%Y-%m-%d}" if moment.time() == moment.min.time() else f"{moment:%Y-%m-%d %H:%M}"
    )


def age(seconds: float | None) -> str:
    """Write how old something is, in the unit that fits."""
    if seconds is None:
        return "-"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"
