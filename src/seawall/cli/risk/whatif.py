"""`seawall risk whatif`: what trades would change, before they are made."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli import output
from seawall.cli.output import Json, console, print_json, print_table, table
from seawall.cli.risk.attribution import title
from seawall.cli.risk.figures import figure_text, figure_titles
from seawall.cli.risk.options import Name
from seawall.cli.session import AsOf, open_session, run

if TYPE_CHECKING:
    from rich.console import Console

    from seawall.risk.attribution import AttributedMeasure
    from seawall.risk.schemas import RiskQuestion
    from seawall.risk.whatif import Plan, WhatIf

Texts = list[str] | None


def whatif(
    name: Name,
    *,
    trade: Annotated[
        Texts,
        typer.Option(metavar="TEXT", help='As "buy 0.5 BTC" or "sell 10 ETH at 3000"; several.'),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="WEIGHTS", help="Or the aim: BTC=50%,ETH=30%,USD=20%; sell the rest."),
    ] = None,
    price: Annotated[
        Texts, typer.Option(metavar="ASSET=PRICE", help="Trade at this, not at the market's price.")
    ] = None,
    fee: Annotated[str, typer.Option(help="What trading costs, of its worth.")] = "0%",
    as_of: AsOf = None,
    window: Annotated[int, typer.Option(help="Daily returns to measure.")] = 365,
    confidence: Annotated[float, typer.Option(help="Of the value at risk as asked.")] = 0.95,
    benchmark: Annotated[str, typer.Option(help="What beta is measured against.")] = "BTC",
    as_json: Json = False,
) -> None:
    """Measure what trades would change, without making any."""
    from seawall.market.pairs import plain_name
    from seawall.risk.schemas import RiskQuestion

    plan = _plan(trade or [], weights, price or [], fee)
    question = RiskQuestion(window, confidence, plain_name(benchmark))
    found = run(_what_if(name, as_of, question, plan))
    if as_json:
        print_json(document(found))
    else:
        print_what_if(found)


def _plan(trades: list[str], weights: str | None, prices: list[str], fee: str) -> "Plan":
    from seawall.risk.trades import parse_fraction, parse_prices, parse_trade, parse_weights
    from seawall.risk.whatif import Plan

    if bool(trades) == (weights is not None):
        raise typer.BadParameter("Give trades or weights.", param_hint="--trade or --weights")
    if weights is not None and prices:
        raise typer.BadParameter("Weights are of market prices.", param_hint="--price")
    read = tuple(parse_trade(text) for text in trades)
    return Plan(
        trades=read,
        weights=None if weights is None else parse_weights(weights),
        prices=parse_prices(prices, read),
        fee=parse_fraction(fee, "the fee"),
    )


async def _what_if(
    name: str, as_of: datetime | None, question: "RiskQuestion", plan: "Plan"
) -> "WhatIf":
    from seawall.portfolios.portfolios import get_portfolio
    from seawall.risk.whatif import what_if

    async with open_session() as session:
        return await what_if(session, await get_portfolio(session, name), as_of, question, plan)


def document(found: "WhatIf") -> dict[str, object]:
    """Lay a comparison out for programs: each figure before and after, and its change."""
    before, after = found.before.report, found.after.report
    return {
        "portfolio": before.portfolio,
        "as_of": before.as_of,
        "known_at": before.known_at,
        "window": before.question.window,
        "confidence": before.question.confidence,
        "benchmark": before.question.benchmark,
        "trades": found.trades,
        "paid_from": found.paid_from,
        "total_value_usd": {
            "before": before.total_value_usd,
            "after": after.total_value_usd,
            "change": found.value_change,
        },
        "figures": {
            name: {
                "before": value,
                "after": after.figures[name],
                "change": found.changes[name],
                "reason_before": before.reasons.get(name, ""),
                "reason_after": after.reasons.get(name, ""),
            }
            for name, value in before.figures.items()
        },
        "observations": {"before": before.observations, "after": after.observations},
        "holdings": {"before": before.holdings, "after": after.holdings},
        "attribution": {
            "before": found.before.attribution,
            "after": found.after.attribution,
        },
        "notes": (*found.notes, *_notes(found)),
    }


def _notes(found: "WhatIf") -> list[str]:
    """List the notes of both sides once."""
    notes = (*found.before.report.notes, *found.after.report.notes)
    return list(dict.fromkeys(notes))


def print_what_if(found: "WhatIf") -> None:
    """Print a comparison for a person."""
    screen = console()
    before, after = found.before.report, found.after.report
    screen.print(
        f"{before.portfolio} as of {output.day(before.as_of)} UTC, before and after trades that are"
        " not made\n",
        soft_wrap=True,
    )
    _print_trades(screen, found)
    shown = table("Figure", ">Before", ">After", ">Change", "~")
    shown.add_row(
        "Total value, USD",
        output.money(before.total_value_usd),
        output.money(after.total_value_usd),
        "-" if found.value_change is None else output.money(found.value_change, signed=True),
        "",
    )
    shown.add_row(
        "Daily returns", str(before.observations), str(after.observations), _signed_count(found), ""
    )
    for slug, name in figure_titles(before):
        change = found.changes[slug]
        reasons = (before.reasons.get(slug, ""), after.reasons.get(slug, ""))
        shown.add_row(
            name,
            figure_text(slug, before.figures[slug]),
            figure_text(slug, after.figures[slug]),
            "-" if change is None else _signed(figure_text(slug, change)),
            "; ".join(dict.fromkeys(filter(None, reasons))),
        )
    print_table(shown)
    screen.print()
    _print_parts(screen, found)
    output.print_notes(screen, (*found.notes, *_notes(found)))


def _signed(text: str) -> str:
    return text if text.startswith("-") else f"+{text}"


def _signed_count(found: "WhatIf") -> str:
    return f"{found.after.report.observations - found.before.report.observations:+d}"


def _print_trades(screen: "Console", found: "WhatIf") -> None:
    if not found.trades:
        screen.print("There is nothing to trade: the weights are these already.\n")
        return
    shown = table("Trade", ">Quantity", "Asset", ">Price USD", ">Worth USD", ">Fee USD")
    for trade in found.trades:
        shown.add_row(
            trade.side,
            output.quantity(trade.quantity),
            trade.asset,
            output.price(trade.price_usd),
            output.money(trade.worth_usd),
            output.money(trade.fee_usd),
        )
    print_table(shown)
    screen.print()


def _print_parts(screen: "Console", found: "WhatIf") -> None:
    """Print each asset's weight and what it adds to the value at risk, on both sides."""
    before, after = _value_at_risk(found, after=False), _value_at_risk(found, after=True)
    name = title("value_at_risk", found.before.report.question.confidence)
    held = [{each.asset: each.weight for each in side.report.holdings} for side in found.sides]
    parts = [
        {part.name: part.component for part in side.parts} if side else {}
        for side in (before, after)
    ]
    shown = table(
        "Asset", ">Weight before", ">after", ">Adds to value at risk before", ">after", ">Change"
    )
    for asset in sorted({*held[0], *held[1]}):
        adds = [side.get(asset, 0.0 if side else None) for side in parts]
        change = None if adds[0] is None or adds[1] is None else adds[1] - adds[0]
        shown.add_row(
            asset,
            *(output.percent(side.get(asset, 0.0), 1) for side in held),
            *(output.percent(each) for each in adds),
            "-" if change is None else _signed(output.percent(change)),
        )
    screen.print(f"{name}, by asset\n")
    print_table(shown)
    screen.print()


def _value_at_risk(found: "WhatIf", *, after: bool) -> "AttributedMeasure | None":
    measures = (found.after if after else found.before).attribution.measures
    return next((each for each in measures if each.measure == "value_at_risk"), None)
