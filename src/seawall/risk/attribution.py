"""Whose risk it is: what each holding, class, chain, place or strategy adds to a portfolio's."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import InvalidError
from seawall.market import store as market_store
from seawall.portfolios import store as portfolio_store
from seawall.portfolios.schemas import PortfolioRecord
from seawall.portfolios.valuation import Moment, Valuation
from seawall.quant.attribution import (
    Attribution,
    RiskMeasure,
    attribute,
    by_group,
    by_holding,
    group,
)
from seawall.quant.types import FloatArray
from seawall.risk.exposure import Exposure, Window, expose, why_unmeasured
from seawall.risk.measure import value_for
from seawall.risk.schemas import RiskQuestion

UNKNOWN = "unknown"
OFF_CHAIN = "off chain"
MANUAL = "manual"
UNASSIGNED = "unassigned"
_STRATEGIES = (
    "Strategies hold positions in trading accounts, not in portfolios, so nothing here is"
    " assigned to one."
)
_ON_A_CHAIN = frozenset({"crypto", "stablecoin"})


class Grouping(StrEnum):
    """What a portfolio's holdings are put together by."""

    ASSET = "asset"
    CLASS = "class"
    CHAIN = "chain"
    EXCHANGE = "exchange"
    STRATEGY = "strategy"


@dataclass(frozen=True, slots=True)
class Labels:
    """The group of each asset, and what a reader has to know about the groups."""

    of: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """What one holding or group has to do with a measure; None where undefined.

    The fields mean what they mean in `quant.attribution.Attribution`.
    """

    name: str
    weight: float
    component: float | None
    share: float | None
    marginal: float | None
    standalone: float | None
    incremental: float | None


@dataclass(frozen=True, slots=True)
class AttributedMeasure:
    """A measure's total and its parts, the heaviest first; `reason` says why they are None.

    `days` counts those on which the components are measured.
    """

    measure: RiskMeasure
    total: float | None
    diversification: float | None
    days: int
    reason: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class RiskAttribution:
    """A portfolio's risk, taken apart; tails are at `confidence`, over one day.

    Without `measures` there is a `reason` why nothing could be measured.
    """

    by: Grouping
    confidence: float
    measures: tuple[AttributedMeasure, ...]
    reason: str
    notes: tuple[str, ...]


def parse_grouping(text: str) -> Grouping:
    """Read what to group by.

    Raises:
        InvalidError: it is none of the groupings.
    """
    if text not in set(Grouping):
        raise InvalidError(
            f"Risk cannot be taken apart by {text!r}.", hint=f"Use one of {', '.join(Grouping)}."
        )
    return Grouping(text)


async def attribute_portfolio(
    session: AsyncSession,
    portfolio: PortfolioRecord,
    moment: Moment,
    question: RiskQuestion,
    by: Grouping = Grouping.ASSET,
) -> RiskAttribution:
    """Take a portfolio's risk of an instant apart, with what was known at another."""
    valuation = await value_for(session, portfolio, moment, question)
    return await attribute_valued(session, valuation, question, by)


async def attribute_valued(
    session: AsyncSession,
    valuation: Valuation,
    question: RiskQuestion,
    by: Grouping = Grouping.ASSET,
) -> RiskAttribution:
    """Take the risk of a portfolio that was valued for the same question apart."""
    exposure = expose(valuation, Window(valuation.moment.as_of, question.window))
    if exposure is None:
        reason = why_unmeasured(valuation)
        return RiskAttribution(by, question.confidence, (), reason, ())
    labels = await read_labels(session, valuation.portfolio.id, exposure.assets, by)
    return attribute_exposure(exposure, labels, question.confidence, by)


def attribute_exposure(
    exposure: Exposure, labels: Labels, confidence: float, by: Grouping
) -> RiskAttribution:
    """Take the risk of weights over past returns apart, by the labels of the assets."""
    named = [labels.of[asset] for asset in exposure.assets]
    holdings = by_holding(exposure.weights, exposure.history.returns)
    names, streams = by_group(holdings, exposure.weights, named)
    sums = group(exposure.weights, named)
    weights = {name: float(sums[name]) for name in names}
    measures = tuple(
        _attributed(each, attribute(streams, each, confidence), weights) for each in RiskMeasure
    )
    return RiskAttribution(by, confidence, measures, "", labels.notes)


def _attributed(
    measure: RiskMeasure, found: Attribution, weights: Mapping[str, float]
) -> AttributedMeasure:
    parts = [
        Part(
            name,
            weight,
            component=_at(found.components, at),
            share=_at(found.shares, at),
            marginal=_at(found.marginals, at),
            standalone=_at(found.standalone, at),
            incremental=_at(found.incremental, at),
        )
        for at, (name, weight) in enumerate(weights.items())
    ]
    parts.sort(key=lambda part: (-part.weight, part.name))
    return AttributedMeasure(
        measure=measure,
        total=_defined(found.total),
        diversification=_defined(found.diversification),
        days=found.days,
        reason=found.reason,
        parts=tuple(parts),
    )


def _at(values: FloatArray, at: int) -> float | None:
    return _defined(float(values[at]))


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value


async def read_labels(
    session: AsyncSession, portfolio_id: UUID, assets: Sequence[str], by: Grouping
) -> Labels:
    """Say to which group each asset that a portfolio holds belongs, as far as it is stored."""
    match by:
        case Grouping.ASSET:
            return Labels({asset: asset for asset in assets})
        case Grouping.CLASS:
            known = await market_store.find_assets(session, assets)
            return Labels({asset: known[asset].kind for asset in assets})
        case Grouping.CHAIN:
            return await _chains(session, assets)
        case Grouping.EXCHANGE:
            return await _places(session, portfolio_id, assets)
        case Grouping.STRATEGY:
            return Labels(dict.fromkeys(assets, UNASSIGNED), (_STRATEGIES,))


async def _chains(session: AsyncSession, assets: Sequence[str]) -> Labels:
    known = await market_store.find_assets(session, assets)
    chains = await market_store.find_chains(session, assets)
    labels = {
        asset: chains.get(asset, UNKNOWN if known[asset].kind in _ON_A_CHAIN else OFF_CHAIN)
        for asset in assets
    }
    unknown = sorted(asset for asset, label in labels.items() if label == UNKNOWN)
    notes = (f"The catalogue knows no chain of {', '.join(unknown)}.",) if unknown else ()
    return Labels(labels, notes)


async def _places(session: AsyncSession, portfolio_id: UUID, assets: Sequence[str]) -> Labels:
    """Say where things are held: what transactions add up to is in the place `manual`.

    A transaction does not say to where it moved anything, so no more than that is known of it.
    """
    stored = await portfolio_store.list_holdings(session, portfolio_id)
    reported = sorted(
        f"{each.asset} at {each.wallet_address or each.exchange_source}"
        for each in stored
        if each.exchange_source != MANUAL or each.wallet_address
    )
    notes = ["What transactions add up to counts as held in one place, manual."]
    if reported:
        notes.append(
            "Not among the transactions, and so not in these figures, is what exchanges and"
            f" wallets report: {', '.join(reported)}."
        )
    return Labels(dict.fromkeys(assets, MANUAL), tuple(notes))
