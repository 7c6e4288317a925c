"""Measuring a portfolio: what it holds, at the prices known, in the figures of the registry."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import NotFoundError
from seawall.market.pairs import SP500
from seawall.market.prices import USD
from seawall.portfolios.schemas import PortfolioRecord, Transaction
from seawall.portfolios.valuation import Moment, Valuation, value_portfolio
from seawall.quant.metrics.measure import Measures, measure
from seawall.quant.metrics.registry import REGISTRY
from seawall.quant.returns import Benchmark, CommonReturns, match_benchmark
from seawall.quant.types import FloatArray
from seawall.risk.all_figures import (
    all_figures,
    daily_rate,
    defined,
    no_figures,
    with_tail,
)
from seawall.risk.benchmarks import BTC, read_benchmarks
from seawall.risk.covariance import measure_covariance
from seawall.risk.exposure import Exposure, Window, expose, why_unmeasured
from seawall.risk.schemas import (
    FIGURES,
    CorrelationMatrix,
    PricedHolding,
    RiskQuestion,
    RiskReport,
)

FIGURE_NAMES = (*FIGURES, "value_at_risk")
_STILL = REGISTRY["correlation_matrix"].undefined


async def measure_portfolio(
    session: AsyncSession, portfolio: PortfolioRecord, moment: Moment, question: RiskQuestion
) -> RiskReport:
    """Measure a portfolio's risk of an instant, with what was known at another.

    Raises:
        NotFoundError: the benchmark is not known here.
    """
    valuation = await value_for(session, portfolio, moment, question)
    return await measure_valued(session, valuation, question)


async def value_for(
    session: AsyncSession,
    portfolio: PortfolioRecord,
    moment: Moment,
    question: RiskQuestion,
    also: Sequence[Transaction] = (),
) -> Valuation:
    """Value a portfolio by its own lot method, with the prices that the question is about.

    What is in `also` counts as recorded, though it is not.
    """
    moment = replace(moment, fresh_for=question.fresh_for)
    window = Window(moment.as_of, question.window)
    return await value_portfolio(
        session, portfolio, moment, portfolio.lot_method, midnights=window.midnights, also=also
    )


async def measure_valued(
    session: AsyncSession, valuation: Valuation, question: RiskQuestion
) -> RiskReport:
    """Measure the risk of a portfolio that was valued for the same question.

    Raises:
        NotFoundError: the benchmark is not known here.
        InvalidError: the covariance asked for cannot be had of these histories.
    """
    moment = valuation.moment
    window = Window(moment.as_of, question.window)
    closes = await read_benchmarks(
        session, {BTC, SP500, question.benchmark}, window, moment.known_at
    )
    if question.benchmark not in closes and question.benchmark != BTC:
        raise NotFoundError(
            f"No prices of the benchmark {question.benchmark} are held.",
            hint="Import some, or choose another benchmark, such as BTC.",
        )
    made = _figures(valuation, question, expose(valuation, window), closes)
    if question.covariance is None:
        return made
    together = await measure_covariance(session, valuation, question.covariance)
    return replace(made, covariance=together)


def _figures(
    valuation: Valuation,
    question: RiskQuestion,
    exposure: Exposure | None,
    closes: Mapping[str, FloatArray],
) -> RiskReport:
    if exposure is None:
        made = _unmeasured(valuation, question)
        return replace(made, all_figures=no_figures(made))
    made = _report(valuation, question, exposure, _measure(exposure, closes, question))
    if question.everything:
        made = replace(made, all_figures=all_figures(made, exposure, closes))
    return made if question.is_plain_tail and not question.everything else with_tail(made, exposure)


def _measure(
    exposure: Exposure, closes: Mapping[str, FloatArray], question: RiskQuestion
) -> Measures:
    history = exposure.history
    measured = measure(
        exposure.weights,
        history.returns,
        benchmark=_match(history, closes.get(question.benchmark)),
        btc=_match(history, closes.get(BTC)),
        sp500=_match(history, closes.get(SP500)),
        confidence=question.confidence,
        risk_free=daily_rate(question.risk_free),
    )
    compared = {"beta": question.benchmark, "correlation_btc": BTC, "correlation_sp500": SP500}
    unheld = {
        slug: f"no prices of {name} are held"
        for slug, name in compared.items()
        if name not in closes
    }
    return replace(measured, reasons={**measured.reasons, **unheld})


def _match(history: CommonReturns, closes: FloatArray | None) -> Benchmark | None:
    return None if closes is None else match_benchmark(history.rows, closes)


def _report(
    valuation: Valuation, question: RiskQuestion, exposure: Exposure, measured: Measures
) -> RiskReport:
    values = {**measured.values, "value_at_risk": measured.values["var"]}
    reasons = {**measured.reasons}
    if "var" in reasons:
        reasons["value_at_risk"] = reasons.pop("var")
    if reasons.get("correlation_matrix", "").startswith(_STILL):
        still = np.isnan(np.diag(measured.correlation_matrix))
        names = _by_value(valuation, [exposure.assets[at] for at in np.flatnonzero(still)])
        reasons["correlation_matrix"] = f"{_STILL} in {', '.join(names)}"
    return replace(
        _unmeasured(valuation, question),
        figures={name: defined(values[name]) for name in FIGURE_NAMES},
        correlation_matrix=_matrix(valuation, exposure, measured.correlation_matrix),
        reasons=reasons,
        observations=measured.observations,
        missing=question.window - measured.observations,
        benchmark_observations=dict(measured.matched),
        holdings=_holdings(valuation, exposure.missing),
        notes=(*valuation.notes, *_notes(exposure, question)),
    )


def _matrix(valuation: Valuation, exposure: Exposure, values: FloatArray) -> CorrelationMatrix:
    """Lay the correlations out as the holdings are shown, the most valuable first."""
    shown = _by_value(valuation, exposure.assets)
    order = [exposure.assets.index(asset) for asset in shown]
    ordered = values[np.ix_(order, order)]
    rows = tuple(tuple(defined(value) for value in row) for row in ordered.tolist())
    return CorrelationMatrix(shown, rows)


def _by_value(valuation: Valuation, assets: Collection[str]) -> tuple[str, ...]:
    return tuple(each.asset for each in valuation.holdings if each.asset in assets)


def _holdings(valuation: Valuation, missing: Mapping[str, int]) -> tuple[PricedHolding, ...]:
    as_of = valuation.moment.as_of
    return tuple(
        PricedHolding(
            asset=each.asset,
            quantity=each.holding.quantity,
            price_usd=each.price.usd if each.price else None,
            price_time=each.price.time if each.price else None,
            price_age_seconds=(as_of - each.price.time).total_seconds() if each.price else None,
            price_source=each.price.source if each.price else "",
            value_usd=each.value,
            weight=None if each.weight is None else float(each.weight),
            missing=missing.get(each.asset, 0),
        )
        for each in valuation.holdings
    )


def _notes(exposure: Exposure, question: RiskQuestion) -> tuple[str, ...]:
    found = []
    if exposure.missing:
        lacking = ", ".join(f"{asset} {n}" for asset, n in sorted(exposure.missing.items()))
        found.append(
            f"Of the window's {question.window} daily returns are missing: {lacking}."
            " The figures are of the days that all holdings have."
        )
    money = [asset for asset in exposure.constant if asset != USD]
    if money:
        found.append(f"{', '.join(money)}: counted as USD, with returns of 0.")
    return tuple(found)


def _unmeasured(valuation: Valuation, question: RiskQuestion) -> RiskReport:
    """Report what a portfolio is without any figure, with the reason why there is none."""
    reason = why_unmeasured(valuation)
    return RiskReport(
        portfolio=valuation.portfolio.name,
        portfolio_id=valuation.portfolio.id,
        as_of=valuation.moment.as_of,
        known_at=valuation.moment.known_at,
        question=question,
        total_value_usd=valuation.total_value,
        figures=dict.fromkeys(FIGURE_NAMES),
        correlation_matrix=CorrelationMatrix((), ()),
        reasons=dict.fromkeys((*FIGURE_NAMES, "correlation_matrix"), reason),
        observations=0,
        missing=question.window,
        benchmark_observations={},
        holdings=_holdings(valuation, {}),
        notes=valuation.notes,
    )
