"""`seawall portfolio import` and `imports`: files of transactions, and what came with each."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli import output
from seawall.cli.exits import INVALID
from seawall.cli.output import Json, print_json, print_rejected, print_table, table
from seawall.cli.portfolio.options import Name
from seawall.cli.session import open_session, run

if TYPE_CHECKING:
    from seawall.portfolios.browse.schemas import ImportRecord
    from seawall.portfolios.schemas import TransactionsImport


def import_(
    name: Name,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="CSV with date,type,asset,quantity,price_usd,fee_usd,notes."
        ),
    ],
    *,
    again: Annotated[
        bool, typer.Option("--again", help="Take rows again that were voided one by one.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Import a file of transactions, whole or not at all.

    Types: buy, sell, transfer, stake, unstake, reward, fee, deposit, withdrawal. Importing the
    same file again changes nothing.
    """
    done = run(_import(name, file, again=again))
    if as_json:
        print_json(done)
    else:
        _print_import(done)
    return INVALID if done.rejected else 0


async def _import(name: str, file: Path, *, again: bool) -> "TransactionsImport":
    from seawall.core.time import now
    from seawall.portfolios.importers.csv import read_transactions
    from seawall.portfolios.portfolios import get_portfolio
    from seawall.portfolios.transactions import import_transactions

    parsed = read_transactions(file, now())
    async with open_session() as session:
        portfolio = await get_portfolio(session, name)
        return await import_transactions(session, portfolio, parsed, again=again)


def _print_import(done: "TransactionsImport") -> None:
    typer.echo(
        f"{done.portfolio}: {done.rows_read} rows read, {done.inserted} inserted,"
        f" {done.unchanged} unchanged, {len(done.rejected)} rejected"
    )
    print_rejected(done.rejected)
    if done.left_out:
        typer.echo(f"{done.left_out} left out, for they were voided: --again takes them.", err=True)
    if done.rejected:
        typer.echo("Nothing was imported: mend these rows and import the file again.", err=True)


def imports(
    name: Name,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    as_json: Json = False,
) -> None:
    """List what was imported together, the newest first."""
    from seawall.core.time import iso

    found = run(_imports(name, limit))
    if as_json:
        print_json({"imports": found})
        return
    if not found:
        typer.echo("Nothing was imported.")
        return
    shown = table("Imported (UTC)", ">Transactions", ">Voided", "First (UTC)", "Last (UTC)")
    for each in found:
        counts = (str(each.transactions), str(each.voided))
        shown.add_row(iso(each.imported_at), *counts, output.day(each.first), output.day(each.last))
    print_table(shown)
    if len(found) == limit:
        typer.echo("There may be more: --limit shows them.", err=True)


async def _imports(name: str, limit: int) -> "list[ImportRecord]":
    from seawall.portfolios.browse.store import page_imports
    from seawall.portfolios.portfolios import get_portfolio

    async with open_session() as session:
        portfolio = await get_portfolio(session, name)
        return [*await page_imports(session, portfolio.id, limit, None)]
