"""`seawall risk report`, `history` and `recompute`: a portfolio's risk, and what was kept."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from seawall.cli import output
from seawall.cli.exits import CONFLICT
from seawall.cli.output import Json, console, print_json, print_table, table
from seawall.cli.risk.all_figures import asked_title, print_all_figures
from seawall.cli.risk.attribution import print_attribution
from seawall.cli.risk.covariance import print_covariance
from seawall.cli.risk.matrix import print_matrix
from seawall.cli.risk.options import (
    Everything,
    Horizon,
    MaxAge,
    Method,
    Name,
    RiskFree,
    Trials,
)
from seawall.cli.risk.page import write_page
from seawall.cli.session import AsOf, open_session, run

if TYPE_CHECKING:
    from rich.console import Console

    from seawall.risk.attribution import Grouping, RiskAttribution
    from seawall.risk.report import Recomputed
    from seawall.risk.schemas import RiskQuestion, RiskReport

_OF_A_YEAR = frozenset({"volatility", "downside_deviation"})
PERCENTAGES = _OF_A_YEAR | frozenset(
    {"var_95", "var_99", "value_at_risk", "expected_shortfall", "max_drawdown"}
)
TITLES = {
    "volatility": "Volatility, annualised",
    "downside_deviation": "Downside deviation, annualised",
    "var_95": "Value at risk 95 %, one day",
    "var_99": "Value at risk 99 %, one day",
    "value_at_risk": "Value at risk, one day, as asked",
    "expected_shortfall": "Expected shortfall 95 %, one day",
    "sharpe_ratio": "Sharpe ratio",
    "sortino_ratio": "Sortino ratio",
    "calmar_ratio": "Calmar ratio",
    "max_drawdown": "Maximum drawdown",
    "beta": "Beta",
    "correlation_btc": "Correlation with BTC",
    "correlation_sp500": "Correlation with the S&P 500",
    "skewness": "Skewness",
    "kurtosis": "Excess kurtosis",
    "herfindahl_index": "Herfindahl index",
    "effective_n": "Effective number of assets",
}


Histories = Annotated[
    str | None,
    typer.Option(
        metavar="common|pairwise|proxy",
        help="Measure volatility and correlations of histories of unequal length besides.",
    ),
]
Covariance = Annotated[
    str, typer.Option(help="Of these: sample, ewma, ledoit-wolf, denoised and others.")
]


def report(
    name: Name,
    *,
    as_of: AsOf = None,
    window: Annotated[int, typer.Option(help="Daily returns to measure.")] = 365,
    confidence: Annotated[float, typer.Option(help="Of the value at risk as asked.")] = 0.95,
    benchmark: Annotated[str, typer.Option(help="What beta is measured against.")] = "BTC",
    risk_free: RiskFree = 0.0,
    trials: Trials = 1,
    max_age: MaxAge = 2.0,
    method: Method = "historical",
    horizon: Horizon = 1,
    everything: Everything = False,
    attribution: Annotated[
        bool, typer.Option("--attribution", help="Show what each holding adds to the risk.")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="asset|class|chain|exchange|strategy", help="Attribute to these instead."
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a tear sheet too: one page that loads nothing."),
    ] = None,
    histories: Histories = None,
    covariance: Covariance = "sample",
    as_json: Json = False,
) -> None:
    """Measure a portfolio's risk, and keep the report.

    Current weights are applied to the last daily returns of what is held, on the days that all
    holdings have. A figure that cannot be had is null, with the reason.
    """
    from seawall.market.pairs import plain_name
    from seawall.risk.all_figures import parse_method
    from seawall.risk.attribution import parse_grouping
    from seawall.risk.covariance import read_choice
    from seawall.risk.schemas import RiskQuestion

    question = RiskQuestion(
        window,
        confidence,
        plain_name(benchmark),
        risk_free=risk_free,
        trials=trials,
        max_age=max_age,
        everything=everything,
        method=parse_method(method),
        horizon=horizon,
        covariance=None if histories is None else read_choice(covariance, histories, window),
    )
    grouping = parse_grouping(by or "asset") if attribution or by is not None else None
    done = run(_report(name, as_of, question, _Besides(grouping, html is not None)))
    if html is not None and done.page is not None:
        write_page(html, done.page)
    if as_json:
        also = {} if done.parts is None else {"attribution": done.parts}
        print_json(document(done.report) | also)
    else:
        _print(done)


@dataclass(frozen=True, slots=True)
class _Besides:
    """What is asked for besides the report: whose risk it is, and its page."""

    by: "Grouping | None"
    paged: bool


@dataclass(frozen=True, slots=True)
class _Done:
    """A report, and what was asked for besides."""

    report: "RiskReport"
    parts: "RiskAttribution | None"
    page: str | None


def _print(done: _Done) -> None:
    print_report(done.report)
    if done.parts is not None:
        print_attribution(done.parts)


async def _report(
    name: str, as_of: datetime | None, question: "RiskQuestion", besides: _Besides
) -> _Done:
    from seawall.portfolios.portfolios import get_portfolio
    from seawall.risk.attribution import attribute_portfolio
    from seawall.risk.report import moment_of
    from seawall.risk.report import report as measure
    from seawall.risk.tearsheet.page import tear_sheet

    async with open_session() as session:
        portfolio = await get_portfolio(session, name)
        made = await measure(session, portfolio, as_of, question)
        parts = None
        if besides.by is not None:
            moment = moment_of(made)
            parts = await attribute_portfolio(session, portfolio, moment, question, besides.by)
        page = await tear_sheet(session, made) if besides.paged else None
        return _Done(made, parts, page)


def history(
    name: Name,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    as_json: Json = False,
) -> None:
    """List the reports that were kept, the newest instant first."""
    found = run(_history(name, limit))
    if as_json:
        print_json({"reports": [document(each) for each in found]})
        return
    if not found:
        typer.echo(f"No report is kept. Make one: seawall risk report {name!r}")
        return
    shown = table(
        "As of (UTC)",
        "Known at (UTC)",
        ">Window",
        ">Confidence",
        "Benchmark",
        ">Value USD",
        ">VaR 95 %",
        "Id",
    )
    for each in found:
        shown.add_row(
            output.day(each.as_of),
            output.day(each.known_at),
            str(each.question.window),
            f"{each.question.confidence:g}",
            each.question.benchmark,
            output.money(each.total_value_usd),
            output.percent(each.figures["var_95"]),
            str(each.id),
        )
    print_table(shown)
    if len(found) == limit:
        typer.echo("There may be more: --limit shows them.", err=True)


async def _history(name: str, limit: int) -> "list[RiskReport]":
    from seawall.portfolios.portfolios import get_portfolio
    from seawall.risk.store import list_reports

    async with open_session() as session:
        return await list_reports(session, (await get_portfolio(session, name)).id, limit)


def recompute(
    report_id: Annotated[
        UUID, typer.Argument(metavar="ID", help="A report's id, from `risk history`.")
    ],
    as_json: Json = False,
) -> int:
    """Compute a kept report again from what was known then.

    Every figure is compared with the kept one; exit code 5 says that one differs.
    """
    done = run(_recompute(report_id))
    if as_json:
        print_json(
            {
                "identical": not done.differs,
                "differs": done.differs,
                "kept": document(done.kept),
                "recomputed": document(done.again),
            }
        )
    else:
        print_report(done.again)
        typer.echo(
            f"Different from the report kept as {report_id} in: {', '.join(done.differs)}."
            if done.differs
            else f"Identical to the report kept as {report_id}."
        )
    return CONFLICT if done.differs else 0


async def _recompute(report_id: UUID) -> "Recomputed":
    from seawall.risk.report import recompute as compute_again

    async with open_session() as session:
        return await compute_again(session, report_id)


def document(made: "RiskReport") -> dict[str, object]:
    """Lay a report out for programs, its figures by their names."""
    return {
        "id": made.id,
        "portfolio": made.portfolio,
        "as_of": made.as_of,
        "known_at": made.known_at,
        "window": made.question.window,
        "confidence": made.question.confidence,
        "benchmark": made.question.benchmark,
        "risk_free": made.question.risk_free,
        "trials": made.question.trials,
        "max_age": made.question.max_age,
        "method": made.question.method,
        "horizon": made.question.horizon,
        "total_value_usd": made.total_value_usd,
        **made.figures,
        "correlation_matrix": made.correlation_matrix,
        "reasons": made.reasons,
        "observations": made.observations,
        "missing": made.missing,
        "benchmark_observations": made.benchmark_observations,
        "holdings": made.holdings,
        "stale": made.stale,
        "notes": made.notes,
        "all_figures": made.all_figures,
        "covariance": made.covariance,
    }


def print_report(made: "RiskReport") -> None:
    """Print a report for a person."""
    screen = console()
    question = made.question
    screen.print(
        f"Risk of {made.portfolio} as of {output.day(made.as_of)} UTC:"
        f" {made.observations} daily returns of {question.window} asked for\n",
        soft_wrap=True,
    )
    shown = table("Figure", ">Value", "~")
    shown.add_row("Total value", f"{output.money(made.total_value_usd)} USD", "")
    for slug, title in figure_titles(made):
        shown.add_row(title, figure_text(slug, made.figures[slug]), _remark(made, slug))
    print_table(shown)
    screen.print()
    if made.all_figures:
        print_all_figures(made)
    if made.holdings:
        _print_holdings(screen, made)
    print_matrix(screen, made)
    if made.covariance is not None:
        print_covariance(made.covariance)
    output.print_notes(screen, made.notes)
    if made.id is not None:
        screen.print(f"Kept as {made.id}")


def figure_titles(made: "RiskReport") -> list[tuple[str, str]]:
    """List the figures to show of a report, each with its name for people."""
    question = made.question
    asked_apart = question.confidence not in {0.95, 0.99} or not question.is_plain_tail
    return [
        (slug, _title(slug, title, question))
        for slug, title in TITLES.items()
        if asked_apart or slug != "value_at_risk"
    ]


def _title(slug: str, title: str, question: "RiskQuestion") -> str:
    match slug:
        case "beta":
            return f"{title} against {question.benchmark}"
        case "value_at_risk":
            return asked_title("Value at risk", question)
        case _:
            return title


def figure_text(slug: str, value: float | None) -> str:
    """Write a figure in its unit."""
    return output.percent(value) if slug in PERCENTAGES else output.number(value)


def _remark(made: "RiskReport", slug: str) -> str:
    value = made.figures[slug]
    if value is None:
        return made.reasons.get(slug, "")
    if slug in PERCENTAGES - _OF_A_YEAR and made.total_value_usd is not None:
        return f"{float(made.total_value_usd) * value:,.0f} USD"
    if slug in made.benchmark_observations:
        return f"{made.benchmark_observations[slug]} common returns"
    return ""


def _print_holdings(screen: "Console", made: "RiskReport") -> None:
    shown = table("Asset", ">Weight", ">Value USD", ">Price USD", ">Price age", "Source")
    for each in made.holdings:
        shown.add_row(
            each.asset,
            output.percent(each.weight, 1),
            output.money(each.value_usd),
            output.price(each.price_usd),
            # Cash has no price that could grow old.
            output.age(each.price_age_seconds if each.price_source else None),
            each.price_source,
        )
    print_table(shown)
    screen.print()
