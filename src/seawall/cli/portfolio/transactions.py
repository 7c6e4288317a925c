"""`seawall portfolio transactions`, `void` and `correct`: what happened, and mending it."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from seawall.cli import output
from seawall.cli.output import Json, print_json, print_table, table
from seawall.cli.portfolio.options import Name, Reason, read_time
from seawall.cli.session import open_session, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seawall.portfolios.browse.schemas import TransactionFilter, TransactionRecord

WHETHER = "without|with|only"
Column = str | None


def transactions(
    name: Name,
    *,
    asset: Annotated[str | None, typer.Option(metavar="SYMBOL", help="Of this asset.")] = None,
    voided: Annotated[
        str, typer.Option(metavar=WHETHER, help="Whether those that were voided are shown.")
    ] = "without",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    as_json: Json = False,
) -> None:
    """List what happened, the newest first, with its ids."""
    from seawall.portfolios.browse.schemas import TransactionFilter, Voided

    if voided not in set(Voided):
        raise typer.BadParameter(f"{voided!r} is not one of {WHETHER}", param_hint="--voided")
    symbol = None if asset is None else asset.upper()
    found = run(_list(name, TransactionFilter(asset=symbol, voided=Voided(voided)), limit))
    if as_json:
        print_json({"transactions": found})
        return
    if not found:
        typer.echo("There are no such transactions.")
        return
    shown = table("Date (UTC)", "Type", "Asset", ">Quantity", ">Price", ">Fee", "~", "Id")
    for each in found:
        shown.add_row(
            output.day(each.time),
            each.type,
            each.asset,
            output.quantity(each.quantity),
            output.price(each.price_usd),
            output.money(each.fee_usd),
            _state(each),
            str(each.id),
        )
    print_table(shown)
    if len(found) == limit:
        typer.echo("There may be more: --limit shows them.", err=True)


def _state(each: "TransactionRecord") -> str:
    if each.voided_at is None:
        return "" if each.replaces_id is None else "corrected"
    why = f": {each.void_reason}" if each.void_reason else ""
    return f"voided {output.day(each.voided_at)}{why}"


async def _list(
    name: str, wanted: "TransactionFilter", limit: int
) -> "Sequence[TransactionRecord]":
    from seawall.db.paging import Order, Span
    from seawall.portfolios.browse.store import page_transactions
    from seawall.portfolios.portfolios import get_portfolio

    async with open_session() as session:
        portfolio = await get_portfolio(session, name)
        newest = Span(Order("time", descending=True), limit)
        return await page_transactions(session, portfolio.id, wanted, newest)


def void(
    name: Name,
    ids: Annotated[
        list[UUID] | None, typer.Argument(metavar="[ID]...", help="Ids, from `transactions`.")
    ] = None,
    *,
    of_import: Annotated[
        datetime | None,
        typer.Option(
            "--import",
            parser=read_time,
            metavar="TIME",
            help="All that was imported at this instant, from `imports`.",
        ),
    ] = None,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Void transactions, or an import: they count no more.

    It happens to all or to none, and is refused where something later rests on them. What is voided
    stays to be seen, and importing the same file again leaves it out; an import that was voided
    whole can be imported again.
    """
    if bool(ids) == (of_import is not None):
        raise typer.BadParameter("give ids or --import")
    count = run(_void(name, ids or [], of_import, reason))
    if as_json:
        print_json({"voided": count})
    else:
        typer.echo(f"Voided {count} transaction{'' if count == 1 else 's'}.")


async def _void(name: str, ids: list[UUID], of_import: datetime | None, reason: str) -> int:
    from seawall.portfolios.portfolios import get_portfolio
    from seawall.portfolios.voiding.history import lock_history
    from seawall.portfolios.voiding.void import void_import, void_transactions

    async with open_session() as session:
        found = await lock_history(session, (await get_portfolio(session, name)).id)
        if of_import is not None:
            return await void_import(session, found, of_import, reason)
        return await void_transactions(session, found, set(ids), reason)


def correct(
    name: Name,
    transaction_id: Annotated[UUID, typer.Argument(metavar="ID", help="From `transactions`.")],
    *,
    date: Annotated[Column, typer.Option(metavar="TIME", help="When it happened.")] = None,
    type_: Annotated[Column, typer.Option("--type", metavar="TYPE", help="What it was.")] = None,
    asset: Annotated[Column, typer.Option(metavar="SYMBOL", help="Of which asset.")] = None,
    quantity: Annotated[Column, typer.Option(metavar="AMOUNT", help="How much.")] = None,
    price_usd: Annotated[
        Column, typer.Option("--price", metavar="USD", help="Of one unit; empty for none.")
    ] = None,
    fee_usd: Annotated[
        Column, typer.Option("--fee", metavar="USD", help="What it cost; empty for none.")
    ] = None,
    notes: Annotated[Column, typer.Option(metavar="TEXT", help="Notes; empty for none.")] = None,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Record a transaction as it should have been.

    The wrong one is voided; what is not given stays as it is.
    """
    said = {"date": date, "type": type_, "asset": asset, "quantity": quantity}
    said |= {"price_usd": price_usd, "fee_usd": fee_usd, "notes": notes}
    columns = {column: value for column, value in said.items() if value is not None}
    if not columns:
        raise typer.BadParameter("nothing is given that is to be otherwise")
    made = run(_correct(name, transaction_id, columns, reason))
    if as_json:
        print_json(made)
    elif made.id == transaction_id:
        typer.echo("It is so already.")
    else:
        typer.echo(f"Corrected; it is now {made.id}.")


async def _correct(
    name: str, id_: UUID, columns: Mapping[str, str], reason: str
) -> "TransactionRecord":
    from seawall.core.time import now
    from seawall.portfolios.portfolios import get_portfolio
    from seawall.portfolios.voiding.history import lock_history
    from seawall.portfolios.voiding.void import Correction, correct_transaction

    wanted = Correction(columns, now(), reason)
    async with open_session() as session:
        found = await lock_history(session, (await get_portfolio(session, name)).id)
        return await correct_transaction(session, found, id_, wanted)
