"""`seawall market`: import price files, and see what is held."""

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli import output
from seawall.cli.exits import INVALID, UNAVAILABLE, exit_code
from seawall.cli.output import (
    Json,
    console,
    print_json,
    print_rejected,
    print_table,
    progress,
    table,
)
from seawall.cli.session import open_engine, open_session, owner_session, run
from seawall.core.errors import SeawallError, UnavailableError

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy.ext.asyncio import AsyncEngine

    from seawall.market.coverage import Coverage
    from seawall.market.formats.base import ParseHints
    from seawall.market.schemas import ImportResult

app = typer.Typer(help="Prices: import files, see what is held.", no_args_is_help=True)

SHOWN_GAPS = 3
REGULAR = frozenset({"candles", "prices"})
"""The kinds of series in which something can be said to be missing."""


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Files to import.")],
    symbol: Annotated[
        str | None, typer.Option(help="What is priced, like BTC/USDT; else the file says.")
    ] = None,
    exchange: Annotated[str | None, typer.Option(help="Where; else the file says.")] = None,
    timeframe: Annotated[
        str | None, typer.Option(help="Length of a candle, like 1m, 4h, 1d; else the file says.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="Which format; else it is recognised.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Import candles, quotes, trades and prices.

    Each file is one transaction: when it fails, nothing of it is kept, and the others are imported.
    Formats are recognised by content: Binance klines, Yahoo Finance, Bitstamp-style CSV, index
    closes, LEAN zips, feather, Parquet and generic OHLCV CSV; gzip and zip of any.
    Rows that are wrong are left out and named, with exit code 4. Importing again changes nothing.
    """
    hints = _hints(symbol, exchange, timeframe, format_)
    results, failures = run(_import(paths, hints, dry_run))
    if as_json:
        failed = _failure_documents(failures)
        print_json({"dry_run": dry_run, "files": results, "failed": failed})
    else:
        _print_results(results, failures)
        if dry_run:
            typer.echo("A dry run: nothing was changed.")
    if failures:
        codes = [exit_code(error) for _, error in failures]
        return UNAVAILABLE if UNAVAILABLE in codes else codes[0]
    return INVALID if any(result.rejected for result in results) else 0


def _hints(
    symbol: str | None, exchange: str | None, timeframe: str | None, format_: str | None
) -> "ParseHints":
    from seawall.core.errors import InvalidError
    from seawall.core.time import now
    from seawall.market.formats.base import ParseHints
    from seawall.market.formats.registry import FORMATS
    from seawall.market.schemas import Timeframe

    formats = [each.name for each in FORMATS]
    if format_ is not None and format_ not in formats:
        message = f"{format_!r} is not one of {', '.join(formats)}"
        raise typer.BadParameter(message, param_hint="--format")
    try:
        length = None if timeframe is None else Timeframe.parse(timeframe)
    except InvalidError as error:
        raise typer.BadParameter(str(error), param_hint="--timeframe") from error
    return ParseHints(now=now(), symbol=symbol, exchange=exchange, timeframe=length, format=format_)


async def _import(
    paths: list[Path], hints: "ParseHints", dry_run: bool
) -> "tuple[list[ImportResult], list[tuple[Path, SeawallError]]]":
    """Import each file by itself; one that is wrong does not keep the others out."""
    results: list[ImportResult] = []
    failures: list[tuple[Path, SeawallError]] = []
    async with open_engine() as engine:
        hints = await _with_known_bases(engine, hints)
        with progress() as bar:
            task = bar.add_task("Importing", total=len(paths))
            for done, path in enumerate(paths, 1):
                bar.update(task, description=f"Importing {path.name}")
                try:
                    results += await _import_file(engine, path, hints, dry_run)
                except SeawallError as error:
                    failures.append((path, error))
                    if isinstance(error, UnavailableError):
                        # What is in stays; the files after it would fail alike.
                        untried = UnavailableError(f"Not tried, after {path.name} failed.")
                        failures += [(each, untried) for each in paths[done:]]
                        break
                bar.advance(task)
    return results, failures


async def _with_known_bases(engine: "AsyncEngine", hints: "ParseHints") -> "ParseHints":
    """Let the assets of the catalogue settle how the name of a pair splits."""
    from seawall.market.store import list_assets

    async with owner_session(engine) as session:
        known = await list_assets(session)
    return replace(hints, known_bases=frozenset(asset.symbol for asset in known))


async def _import_file(
    engine: "AsyncEngine", path: Path, hints: "ParseHints", dry_run: bool
) -> "list[ImportResult]":
    from seawall.market.formats.parse import parse_file
    from seawall.market.ingest import ingest

    parsed = parse_file(path, hints=hints)
    async with owner_session(engine) as session:
        results = [await ingest(session, part, str(path)) for part in parsed]
        if dry_run:
            await session.rollback()
    return results


def _failure_documents(failures: "list[tuple[Path, SeawallError]]") -> list[dict[str, object]]:
    return [
        {"path": path, "type": type(error).__name__, "message": error.message, "hint": error.hint}
        for path, error in failures
    ]


def _print_results(
    results: "list[ImportResult]", failures: "list[tuple[Path, SeawallError]]"
) -> None:
    screen = console()
    for result in results:
        _print_result(screen, result)
    for path, error in failures:
        typer.echo(f"{path}: not imported\n  {error}", err=True)
    if len(results) + len(failures) > 1:
        rows = sum(result.inserted + result.updated for result in results)
        refused = sum(len(result.rejected) for result in results)
        plural = "" if len(results) == 1 else "s"
        screen.print(
            f"{len(results)} file{plural} taken, {len(failures)} failed;"
            f" {rows:,} rows written, {refused:,} rejected"
        )


def _print_result(screen: "Console", result: "ImportResult") -> None:
    series = " ".join(filter(None, (result.exchange, result.symbol, result.timeframe, result.kind)))
    screen.print(f"{Path(result.path).name}: {series}, format {result.format}", soft_wrap=True)
    screen.print(
        f"  {result.rows_read:,} rows read: {result.inserted:,} inserted,"
        f" {result.updated:,} updated, {result.unchanged:,} unchanged,"
        f" {len(result.rejected):,} rejected",
        soft_wrap=True,
    )
    if result.first_time and result.last_time:
        first, last = output.day(result.first_time), output.day(result.last_time)
        screen.print(f"  {first} to {last}{_gaps(result)}", soft_wrap=True)
    for gap in result.gaps[:SHOWN_GAPS]:
        start, end = output.day(gap.start), output.day(gap.end)
        screen.print(f"  gap: {gap.missing:,} missing from {start} until {end}", soft_wrap=True)
    for note in result.notes:
        screen.print(f"  note: {note}", soft_wrap=True)
    print_rejected(result.rejected)


def _gaps(result: "ImportResult") -> str:
    if result.kind not in REGULAR:
        return ""
    if not result.gap_count:
        return ", no gaps"
    plural = "" if result.gap_count == 1 else "s"
    return f", {result.gap_count:,} gap{plural} with {result.missing:,} missing"


@app.command("coverage")
def coverage(
    symbol: Annotated[
        str | None, typer.Argument(help="Only this asset or pair, like BTC or BTC/USDT.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what is held and what is missing, per symbol and timeframe."""
    found = run(_coverage(symbol))
    if as_json:
        print_json({"series": [_series_document(each) for each in found]})
        return
    if not found:
        typer.echo("Nothing is held yet. Import some: seawall market import PATH")
        return
    shown = table(
        "Symbol",
        "Exchange",
        "Series",
        ">Rows",
        "First",
        "Last",
        ">Missing",
        ">Gaps",
        "~Longest gap",
    )
    for each in found:
        shown.add_row(
            each.symbol,
            _exchange(each),
            each.timeframe or each.kind,
            f"{each.rows:,}",
            output.day(each.first_time),
            output.day(each.last_time),
            f"{each.missing:,}" if each.kind in REGULAR else "-",
            f"{each.gap_count:,}" if each.kind in REGULAR else "-",
            _longest(each),
        )
    print_table(shown)


def _series_document(each: "Coverage") -> dict[str, object]:
    """Lay a series out for programs; what cannot be known of its kind is null."""
    facts = {field.name: getattr(each, field.name) for field in dataclasses.fields(each)}
    gaps = [
        {"start": gap.start, "end": gap.end, "missing": gap.missing, "reason": reason}
        for gap, reason in each.gaps
    ]
    if each.kind not in REGULAR:
        return facts | {"missing": None, "gap_count": None, "gaps": gaps}
    return facts | {"gaps": gaps}


def _exchange(each: "Coverage") -> str:
    """Name the exchange; prices that are made up have to say so themselves."""
    is_marked = not each.is_simulated or each.exchange == "simulated"
    return each.exchange if is_marked else f"{each.exchange} (simulated)".lstrip()


def _is_of(each: "Coverage", symbol: str) -> bool:
    return symbol in (each.symbol, each.symbol.partition("/")[0])


def _longest(each: "Coverage") -> str:
    if not each.gaps:
        return ""
    gap, reason = max(each.gaps, key=lambda found: found[0].missing)
    words = reason.replace("_", " ")
    return f"{output.day(gap.start)} until {output.day(gap.end)}, {words}"


async def _coverage(symbol: str | None) -> "list[Coverage]":
    from seawall.core.errors import NotFoundError
    from seawall.market.coverage import list_coverage

    async with open_session() as session:
        found = await list_coverage(session)
    if symbol is None:
        return found
    wanted = [each for each in found if _is_of(each, symbol.upper())]
    if not wanted:
        raise NotFoundError(
            f"Nothing is held of {symbol!r}.", hint="See what is: seawall market coverage."
        )
    return wanted
