"""How what is held varies together: by the covariance and the histories asked for, both named."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import InvalidError
from seawall.portfolios.valuation import Valuation
from seawall.quant.covariance.estimate import Covariance, Estimator, estimate_covariance
from seawall.quant.histories import History, HistoryMethod
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray
from seawall.risk.benchmarks import BTC, read_benchmarks
from seawall.risk.exposure import Window, lay_closes, weigh, why_unmeasured
from seawall.risk.histories import choose_history
from seawall.risk.schemas import CorrelationMatrix, CovarianceChoice, HeldCovariance

N = TypeVar("N", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class HeldMarket:
    """What is held, by value, with how it has moved: (N,) weights, its history and covariance."""

    weights: FloatArray
    history: History
    covariance: Covariance


def read_choice(estimator: str, histories: str, window: int) -> CovarianceChoice:
    """Read which covariance is meant.

    Raises:
        InvalidError: there is no such covariance, or no such way with histories.
    """
    return CovarianceChoice(
        read_name(tuple(Estimator), estimator, "covariance"),
        read_name(tuple(HistoryMethod), histories, "way with histories"),
        window,
    )


def read_name(known: Sequence[N], text: str, noun: str, others: Sequence[str] = ()) -> N:
    """Read one of the names that are known, among others that the message lists as well.

    Raises:
        InvalidError: it is none of them.
    """
    found = {str(each): each for each in known}
    if text not in found:
        raise InvalidError(
            f"There is no {noun} {text!r}.", hint=f"There are: {', '.join([*found, *others])}."
        )
    return found[text]


async def read_market(
    session: AsyncSession, valuation: Valuation, choice: CovarianceChoice
) -> HeldMarket:
    """Read how everything held in a portfolio of known value has moved.

    Its prices have to be valued over the choice's window. Raises what the estimator does.
    """
    window = Window(valuation.moment.as_of, choice.window)
    btc = await read_benchmarks(session, {BTC}, window, valuation.moment.known_at)
    history = choose_history(lay_closes(valuation, window), choice.histories, btc.get(BTC))
    # The grid has an order of its own, so what is held is looked up by its name.
    held = {each.asset: each for each in valuation.holdings}
    weights = weigh(
        np.array([float(held[asset].holding.quantity) for asset in history.assets]),
        np.array([each.usd for asset in history.assets if (each := held[asset].price)]),
    )
    covariance = estimate_covariance(history, choice.estimator)
    return HeldMarket(weights, history, covariance)


async def measure_covariance(
    session: AsyncSession, valuation: Valuation, choice: CovarianceChoice
) -> HeldCovariance:
    """Measure how the holdings of a portfolio vary together that was valued over the same window.

    Raises:
        InvalidError: a shrunk covariance is asked of pairwise histories that are not complete.
    """
    if not valuation.total_value:
        return HeldCovariance(choice, None, CorrelationMatrix((), ()), why_unmeasured(valuation))
    market = await read_market(session, valuation, choice)
    history, covariance = market.history, market.covariance
    matrix = covariance.correlations
    return HeldCovariance(
        choice=choice,
        volatility=None
        if covariance.reason
        else covariance.volatility(market.weights) * math.sqrt(PERIODS_PER_YEAR),
        correlations=CorrelationMatrix(
            history.assets,
            tuple(tuple(None if math.isnan(v) else v for v in row) for row in matrix.tolist()),
        ),
        reason=covariance.reason,
        observations=covariance.observations,
        rank=covariance.rank,
        condition=covariance.condition if math.isfinite(covariance.condition) else None,
        repaired=covariance.repaired,
        filled=history.filled,
        missing=history.missing,
        notes=(*history.notes, *covariance.notes),
    )
