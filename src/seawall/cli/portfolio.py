"""`seawall portfolio`: make portfolios, import what happened, show what is held."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli import output
from seawall.cli.exits import INVALID
from seawall.cli.output import Json, console, print_json, print_rejected, print_table, table
from seawall.cli.session import AsOf, open_session, run

if TYPE_CHECKING:
    from rich.table import Table

    from seawall.portfolios.performance import TimeWeightedReturn
    from seawall.portfolios.schemas import LotMethod, PortfolioRecord, TransactionsImport
    from seawall.portfolios.valuation import Valuation, ValuedHolding

app = typer.Typer(help="Portfolios: transactions in, holdings out.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The portfolio's name.")]
METHODS = "fifo|lifo|hifo|average"


@app.command("create")
def create(
    name: Name,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    lots: Annotated[
        str, typer.Option(metavar=METHODS, help="Which of its lots leave first.")
    ] = "fifo",
    as_json: Json = False,
) -> None:
    """Make an empty portfolio."""
    made = run(_create(name, description, _method(lots)))
    if as_json:
        print_json(made)
    else:
        typer.echo(f"Made portfolio {made.name!r}.")


def _method(lots: str) -> "LotMethod":
    from seawall.portfolios.schemas import LotMethod

    if lots not in set(LotMethod):
        raise typer.BadParameter(
            f"{lots!r} is not one of {', '.join(LotMethod)}", param_hint="--lots"
        )
    return LotMethod(lots)


async def _create(name: str, description: str, lots: "LotMethod") -> "PortfolioRecord":
    from seawall.identity.owner import OWNER_ID
    from seawall.portfolios.portfolios import create_portfolio

    async with open_session() as session:
        return await create_portfolio(session, OWNER_ID, name, description, lots)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the portfolios, with what each was last worth."""
    found = run(_list())
    if as_json:
        print_json({"portfolios": found})
        return
    if not found:
        typer.echo("There are no portfolios yet. Make one: seawall portfolio create NAME")
        return
    shown = table("Name", "~Description", ">Value USD", "Valued (UTC)", "Made (UTC)")
    for each in found:
        shown.add_row(
            each.name,
            each.description,
            output.money(each.total_value_usd),
            output.day(each.valued_at) if each.valued_at else "-",
            output.day(each.created_at),
        )
    print_table(shown)


async def _list() -> "list[PortfolioRecord]":
    from seawall.portfolios.store import list_portfolios

    async with open_session() as session:
        return await list_portfolios(session)


@app.command("import")
def import_(
    name: Name,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="CSV with date,type,asset,quantity,price_usd,fee_usd,notes."
        ),
    ],
    as_json: Json = False,
) -> int:
    """Import a file of transactions, whole or not at all.

    Types: buy, sell, transfer, stake, unstake, reward, fee, deposit, withdrawal. Importing the
    same file again changes nothing.
    """
    done = run(_import(name, file))
    if as_json:
        print_json(done)
    else:
        _print_import(done)
    return INVALID if done.rejected else 0


async def _import(name: str, file: Path) -> "TransactionsImport":
    from seawall.core.time import now
    from seawall.portfolios.importers.csv import read_transactions
    from seawall.portfolios.portfolios import get_portfolio
    from seawall.portfolios.transactions import import_transactions

    parsed = read_transactions(file, now())
    async with open_session() as session:
        return await import_transactions(session, await get_portfolio(session, name), parsed)


def _print_import(done: "TransactionsImport") -> None:
    typer.echo(
        f"{done.portfolio}: {done.rows_read} rows read, {done.inserted} inserted,"
        f" {done.unchanged} unchanged, {len(done.rejected)} rejected"
    )
    print_rejected(done.rejected)
    if done.rejected:
        typer.echo("Nothing was imported: mend these rows and import the file again.", err=True)


@app.command("show")
def show(
    name: Name,
    as_of: AsOf = None,
    lots: Annotated[
        str | None,
        typer.Option(metavar=METHODS, help="Which lots leave first; by default the portfolio's."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what is held, what it cost, what it is worth, and how it did."""
    method = None if lots is None else _method(lots)
    valuation, performance = run(_show(name, as_of, method))
    if as_json:
        print_json(_document(valuation, performance))
    else:
        _print_show(valuation, performance)


async def _show(
    name: str, as_of: datetime | None, lots: "LotMethod | None"
) -> "tuple[Valuation, TimeWeightedReturn]":
    from seawall.portfolios.portfolios import get_portfolio
    from seawall.portfolios.valuation import begin, measure_performance, value_portfolio

    async with open_session() as session:
        portfolio = await get_portfolio(session, name)
        moment = await begin(session, portfolio, as_of)
        method = lots or portfolio.lot_method
        valuation = await value_portfolio(session, portfolio, moment, method, at_flows=True)
        return valuation, measure_performance(valuation)


def _document(valuation: "Valuation", performance: "TimeWeightedReturn") -> dict[str, object]:
    """Lay a valuation out for programs."""
    state = valuation.state
    return {
        "portfolio": valuation.portfolio.name,
        "as_of": valuation.moment.as_of,
        "lots": state.method,
        "total_value_usd": valuation.total_value,
        "cost_basis_usd": state.totals.cost_basis,
        "unrealised_profit_usd": valuation.unrealised_profit,
        "realised_profit_usd": state.totals.realised_profit,
        "expenses_usd": state.totals.expenses,
        "rewards_usd": state.totals.reward_usd,
        "time_weighted_return": performance.value,
        "time_weighted_return_reason": performance.reason or None,
        "holdings": [_holding_document(each, valuation) for each in valuation.holdings],
        "closed": [
            {"asset": each.asset, "realised_profit_usd": each.realised_profit}
            for each in state.holdings
            if not each.quantity
        ],
        "notes": valuation.notes,
    }


def _holding_document(each: "ValuedHolding", valuation: "Valuation") -> dict[str, object]:
    price = each.price
    return {
        "asset": each.asset,
        "quantity": each.holding.quantity,
        "staked": each.holding.staked,
        "average_cost_usd": each.holding.average_cost,
        "cost_basis_usd": each.holding.cost_basis,
        "price_usd": price.usd if price else None,
        "price_time": price.time if price else None,
        "price_age_seconds": (valuation.moment.as_of - price.time) if price else None,
        "price_source": price.source if price else None,
        "value_usd": each.value,
        "weight": each.weight,
        "unrealised_profit_usd": each.unrealised_profit,
        "realised_profit_usd": each.holding.realised_profit,
        "lots": each.holding.lots,
    }


def _print_show(valuation: "Valuation", performance: "TimeWeightedReturn") -> None:
    state = valuation.state
    screen = console()
    when = f"{output.day(valuation.moment.as_of)} UTC"
    screen.print(f"{valuation.portfolio.name} as of {when}, {state.method} lots, in USD\n")
    if state.holdings or valuation.holdings:
        print_table(_holdings_table(valuation))
        screen.print()
    else:
        screen.print("Nothing is held.")
    screen.print(
        f"Total value {output.money(valuation.total_value)} USD,"
        f" unrealised {output.money(valuation.unrealised_profit, signed=True)},"
        f" realised {output.money(state.totals.realised_profit, signed=True)},"
        f" expenses {output.money(state.totals.expenses)}",
        soft_wrap=True,
    )
    screen.print(_performance(valuation, performance), soft_wrap=True)
    output.print_notes(screen, valuation.notes)


def _performance(valuation: "Valuation", performance: "TimeWeightedReturn") -> str:
    if performance.value is None:
        return f"Time-weighted return: none, {performance.reason}"
    since = output.day(valuation.state.movements[0].time)
    return f"Time-weighted return {output.percent(performance.value)} since {since}"


def _holdings_table(valuation: "Valuation") -> "Table":
    from seawall.portfolios.schemas import CASH

    shown = table(
        "Asset",
        ">Quantity",
        ">Average cost",
        ">Price",
        ">Value",
        ">Weight",
        ">Unrealised",
        ">Realised",
    )
    for each in valuation.holdings:
        held = each.holding
        shown.add_row(
            each.asset,
            output.money(each.value) if each.asset == CASH else output.quantity(held.quantity),
            output.price(held.average_cost),
            output.price(each.price.usd if each.price else None),
            output.money(each.value),
            output.percent(each.weight, 1),
            output.money(each.unrealised_profit, signed=True),
            output.money(held.realised_profit, signed=True),
        )
    for closed in (each for each in valuation.state.holdings if not each.quantity):
        realised = output.money(closed.realised_profit, signed=True)
        shown.add_row(closed.asset, "0", "-", "-", "-", "-", "-", realised)
    return shown
