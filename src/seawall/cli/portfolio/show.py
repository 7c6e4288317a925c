"""`seawall portfolio show`: what is held, what it cost, and how it did."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli import output
from seawall.cli.output import Json, console, print_json, print_table, table
from seawall.cli.portfolio.options import METHODS, Name, read_method
from seawall.cli.session import AsOf, open_session, run

if TYPE_CHECKING:
    from rich.table import Table

    from seawall.portfolios.performance import TimeWeightedReturn
    from seawall.portfolios.schemas import LotMethod
    from seawall.portfolios.valuation import Valuation, ValuedHolding


def show(
    name: Name,
    as_of: AsOf = None,
    lots: Annotated[
        str | None,
        typer.Option(metavar=METHODS, help="Which lots leave first; by default the portfolio's."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what is held, its cost and worth, and how it did."""
    method = None if lots is None else read_method(lots)
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
