"""`seawall risk optimize`: target weights by a rule, what they change, and the trades to them."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli import output
from seawall.cli.output import Json, console, print_json, print_table, table
from seawall.cli.risk.options import Name
from seawall.cli.session import AsOf, open_session, run

if TYPE_CHECKING:
    from seawall.risk.optimise import Optimised, Outlook
    from seawall.risk.rebalance import RebalancePlan, TradingCosts
    from seawall.risk.targets import OptimiseQuestion


Method = Annotated[
    str,
    typer.Option(
        help="min-variance, risk-parity, hrp, mean-cvar; with skfolio installed also"
        " skfolio:max-sharpe, skfolio:max-diversification, skfolio:nco."
    ),
]
Estimator = Annotated[
    str, typer.Option(help="sample, ewma, ledoit-wolf, constant-correlation or denoised.")
]
Histories = Annotated[
    str, typer.Option(help="Of unequal length: common days, pairwise, or filled by proxy.")
]
Days = Annotated[int, typer.Option(help="Daily returns to look at.")]
Confidence = Annotated[float, typer.Option(help="Of the expected shortfall.")]
Least = Annotated[float, typer.Option(help="The least share of the value.")]
Most = Annotated[float, typer.Option(help="The largest share of the value.")]
Caps = Annotated[
    list[str] | None,
    typer.Option(help="The most that some weigh together: BTC,ETH=0.6 or class:crypto=0.8."),
]
Kept = Annotated[
    list[str] | None,
    typer.Option(metavar="SYMBOL", help="An asset that stays as it is, like cash."),
]
Cash = Annotated[float | None, typer.Option(help="The share of cash; as now by default.")]
Return = Annotated[float | None, typer.Option(help="The least mean return by year.")]
Turnover = Annotated[
    float | None, typer.Option(help="The most of the value that may move (mean-cvar).")
]
Fee = Annotated[str, typer.Option(help="Of each trade, as a fraction of it.")]
Slippage = Annotated[str, typer.Option(help="By how much worse a trade's price is expected.")]
Band = Annotated[str, typer.Option(help="Weights that are off by no more are left alone.")]


def optimize(
    name: Name,
    *,
    method: Method = "min-variance",
    covariance: Estimator = "ledoit-wolf",
    histories: Histories = "common",
    window: Days = 365,
    confidence: Confidence = 0.95,
    min_weight: Least = 0.0,
    max_weight: Most = 1.0,
    cap: Caps = None,
    keep: Kept = None,
    cash: Cash = None,
    target_return: Return = None,
    turnover: Turnover = None,
    fee: Fee = "0.001",
    slippage: Slippage = "0.0005",
    band: Band = "0",
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Propose weights for what is held, and the trades to them.

    Cash, stablecoins and what --keep names stay as they are. Quantities fit the exchange's rules
    where these are known, nothing staked is sold, and the gains that the sales would realise are
    shown by lot. Nothing is traded or stored.
    """
    from seawall.risk import targets
    from seawall.risk.covariance import read_choice

    question = targets.OptimiseQuestion(
        method=targets.parse_method(method),
        covariance=read_choice(covariance, histories, window),
        confidence=confidence,
        bounds=targets.Bounds(
            min_weight,
            max_weight,
            tuple(targets.parse_cap(each) for each in cap or ()),
            target_return,
            turnover,
            tuple(each.strip().upper() for each in keep or ()),
            cash,
        ),
        costs=_costs(fee, slippage, band),
    )
    made = run(_optimise(name, as_of, question))
    (print_json if as_json else print_optimised)(made)


def _costs(fee: str, slippage: str, band: str) -> "TradingCosts":
    from seawall.core.money import parse_amount
    from seawall.risk.rebalance import TradingCosts

    return TradingCosts(
        parse_amount(fee, "--fee"),
        parse_amount(slippage, "--slippage"),
        parse_amount(band, "--band"),
    )


async def _optimise(name: str, as_of: datetime | None, question: "OptimiseQuestion") -> "Optimised":
    from seawall.portfolios.portfolios import get_portfolio
    from seawall.risk.optimise import optimise

    async with open_session() as session:
        return await optimise(session, await get_portfolio(session, name), as_of, question)


def print_optimised(made: "Optimised") -> None:
    """Print target weights and the plan for a person."""
    screen, question = console(), made.question
    screen.print(
        f"{question.method} for {made.portfolio} as of {output.day(made.as_of)} UTC:"
        f" {question.covariance.estimator} covariance of {made.observations} days,"
        f" {question.covariance.histories} histories\n",
        soft_wrap=True,
    )
    shown = table("Asset", ">Weight", ">Target", ">Change", ">Risk share", ">At target", "")
    for each in made.weights:
        shown.add_row(
            each.asset,
            output.percent(each.weight),
            output.percent(each.target),
            f"{each.target - each.weight:+.2%}",
            output.percent(each.risk_share, 1),
            output.percent(each.target_risk_share, 1),
            "kept" if each.kept else "",
        )
    print_table(shown)
    screen.print()
    _print_outlooks(made)
    _print_plan(made.plan)
    output.print_notes(screen, made.notes)
    output.print_notes(screen, ("Nothing was traded or stored.",))


def _print_outlooks(made: "Optimised") -> None:
    columns: tuple[Outlook, ...] = (made.before, made.target, made.traded)
    shown = table("Figure", ">Now", ">At target", ">After trades")
    shown.add_row("Volatility, annualised", *(output.percent(each.volatility) for each in columns))
    shown.add_row(
        f"Expected shortfall {made.question.confidence * 100:g} %, one day",
        *(output.percent(each.expected_shortfall) for each in columns),
    )
    shown.add_row(
        "Mean return by year, past", *(output.percent(each.mean_return) for each in columns)
    )
    print_table(shown)
    console().print()


def _print_plan(plan: "RebalancePlan") -> None:
    screen = console()
    if not plan.trades:
        screen.print("No trade is needed.\n")
        return
    shown = table(
        "Trade", "Asset", ">Quantity", ">Price USD", ">Value USD", ">Fee", ">Slippage", ">Realised"
    )
    for trade in plan.trades:
        shown.add_row(
            str(trade.side),
            trade.asset,
            output.quantity(trade.quantity),
            output.price(trade.price_usd),
            output.money(trade.value_usd),
            output.money(trade.fee_usd),
            output.money(trade.slippage_usd),
            output.money(trade.realised_usd, signed=True),
        )
    print_table(shown)
    screen.print()
    _print_lots(plan)
    cash = [] if plan.cash_before is None else [("Cash before", plan.cash_before)]
    sums: list[tuple[str, Decimal]] = [
        *cash,
        ("Cash after" if cash else "Paid out", plan.cash_after),
        ("Traded", plan.turnover_usd),
        ("Fees", plan.fees_usd),
        ("Slippage", plan.slippage_usd),
        ("Realised profit", plan.realised_usd),
    ]
    output.print_facts({title: f"{output.money(amount)} USD" for title, amount in sums})
    screen.print()


def _print_lots(plan: "RebalancePlan") -> None:
    if not any(trade.lots for trade in plan.trades):
        return
    shown = table(
        "Lot", "Acquired", ">Days", ">Quantity", ">Cost USD", ">Proceeds USD", ">Profit USD"
    )
    for trade in plan.trades:
        for lot in trade.lots:
            shown.add_row(
                trade.asset,
                output.day(lot.acquired),
                f"{lot.held_days:,}",
                output.quantity(lot.quantity),
                output.money(lot.cost_basis),
                output.money(lot.proceeds_usd),
                output.money(lot.profit_usd, signed=True),
            )
    print_table(shown)
    console().print()
