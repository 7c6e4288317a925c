"""`seawall risk report`: a portfolio's risk, measured and kept."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli.output import Json, print_json
from seawall.cli.risk.attribution import print_attribution
from seawall.cli.risk.figures import document, print_report
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
    from seawall.risk.attribution import Grouping, RiskAttribution
    from seawall.risk.schemas import RiskQuestion, RiskReport

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
