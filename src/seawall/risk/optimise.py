"""Optimising a portfolio: target weights by a rule, what they change, and the trades to them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import InvalidError
from seawall.market.store import OrderRules, read_order_rules
from seawall.portfolios.schemas import CASH, PortfolioRecord
from seawall.portfolios.valuation import Valuation, begin
from seawall.quant.metrics.metric import too_few
from seawall.quant.metrics.tail import min_observations
from seawall.quant.optimise.constraints import GroupCap
from seawall.quant.optimise.mean_cvar import sample_shortfall
from seawall.quant.optimise.risk_parity import risk_shares
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray
from seawall.risk.attribution import read_labels
from seawall.risk.benchmarks import BTC
from seawall.risk.covariance import HeldMarket, read_market
from seawall.risk.exposure import why_unmeasured
from seawall.risk.measure import value_for
from seawall.risk.rebalance import RebalancePlan, plan_rebalance
from seawall.risk.schemas import RiskQuestion
from seawall.risk.targets import Cap, OptimiseQuestion, Targets, choose_targets


@dataclass(frozen=True, slots=True)
class TargetWeight:
    """An asset's weight now and wanted, and its share of the variance before and after.

    `kept` says that the weight was neither chosen nor asked for. Shares are None where nothing
    varies.
    """

    asset: str
    weight: float
    target: float
    risk_share: float | None
    target_risk_share: float | None
    kept: bool


@dataclass(frozen=True, slots=True)
class Outlook:
    """What weights come to: volatility and mean return by year, expected shortfall of one day.

    The volatility is of the covariance, the others of the history's complete days; they are None
    where these are too few.
    """

    volatility: float
    expected_shortfall: float | None
    mean_return: float | None


@dataclass(frozen=True, slots=True)
class Optimised:
    """Target weights with what they rest on and change, and the trades that lead there.

    `traded` is the outlook of what the trades really reach: rounding, bands and what is staked keep
    it from the target. `filled` and `missing` count returns by asset, as in a history.
    """

    portfolio: str
    portfolio_id: UUID
    as_of: datetime
    known_at: datetime
    question: OptimiseQuestion
    total_value_usd: Decimal
    weights: tuple[TargetWeight, ...]
    before: Outlook
    target: Outlook
    traded: Outlook
    observations: int
    condition: float | None
    repaired: bool
    filled: Mapping[str, int]
    missing: Mapping[str, int]
    plan: RebalancePlan
    notes: tuple[str, ...]


async def optimise(
    session: AsyncSession,
    portfolio: PortfolioRecord,
    as_of: datetime | None,
    question: OptimiseQuestion,
) -> Optimised:
    """Find target weights for what a portfolio holds, and plan the trades; nothing is stored.

    Raises:
        InvalidError: the portfolio has no known value, fewer than two assets can be weighed, their
            covariance cannot be had, or the bounds cannot be kept.
        UnavailableError: the method needs skfolio, which is not installed.
    """
    moment = await begin(session, portfolio, as_of, {BTC})
    measured = RiskQuestion(question.covariance.window, question.confidence)
    valuation = await value_for(session, portfolio, moment, measured)
    market = await _known_market(session, valuation, question)
    groups = await _groups(session, portfolio.id, market.history.assets, question.bounds.caps)
    targets = choose_targets(market, question, groups)
    wanted = {
        asset: float(target)
        for asset, target, chosen in zip(
            market.history.assets, targets.weights, targets.chosen, strict=True
        )
        if chosen or asset == CASH
    }
    if question.bounds.cash is not None:
        wanted[CASH] = question.bounds.cash
    rules = await _rules(session, valuation)
    plan = plan_rebalance(valuation, wanted, question.costs, rules)
    return _optimised(valuation, question, market, targets, plan)


async def _known_market(
    session: AsyncSession, valuation: Valuation, question: OptimiseQuestion
) -> HeldMarket:
    if not valuation.total_value:
        name, reason = valuation.portfolio.name, why_unmeasured(valuation)
        raise InvalidError(f"{name} cannot be optimised: {reason}.")
    market = await read_market(session, valuation, question.covariance)
    if market.covariance.reason:
        raise InvalidError(
            f"The covariance of what is held cannot be had: {market.covariance.reason}.",
            hint="Import more prices, or choose another way with histories or a longer window.",
            details={"missing": dict(market.history.missing)},
        )
    return market


async def _groups(
    session: AsyncSession, portfolio_id: UUID, assets: tuple[str, ...], caps: tuple[Cap, ...]
) -> tuple[GroupCap, ...]:
    groups = []
    for cap in caps:
        labels = await read_labels(session, portfolio_id, assets, cap.by)
        members = np.array([labels.of[asset] in cap.names for asset in assets], dtype=np.bool_)
        if not members.any():
            raise InvalidError(
                f"The cap {cap.title} is of nothing that is held.",
                hint=f"Held are: {', '.join(sorted(set(labels.of.values())))}.",
            )
        groups.append(GroupCap(cap.title, members, cap.most))
    return tuple(groups)


async def _rules(session: AsyncSession, valuation: Valuation) -> dict[str, OrderRules]:
    pairs = {
        asset: pair.symbol.id
        for asset, prices in valuation.prices.items()
        if (pair := prices.best(valuation.moment.as_of)) is not None
    }
    rules = await read_order_rules(session, list(pairs.values()))
    return {asset: rules[pair] for asset, pair in pairs.items()}


def _optimised(
    valuation: Valuation,
    question: OptimiseQuestion,
    market: HeldMarket,
    targets: Targets,
    plan: RebalancePlan,
) -> Optimised:
    history, covariance = market.history, market.covariance
    before = risk_shares(covariance.matrix, market.weights)
    after = risk_shares(covariance.matrix, targets.weights)
    reached = np.array([plan.weights.get(asset, 0.0) for asset in history.assets])
    weights = [
        TargetWeight(
            asset=asset,
            weight=float(market.weights[at]),
            target=float(targets.weights[at]),
            risk_share=_defined(before[at]),
            target_risk_share=_defined(after[at]),
            kept=not targets.chosen[at] and (asset != CASH or question.bounds.cash is None),
        )
        for at, asset in enumerate(history.assets)
    ]
    weights.sort(key=lambda each: (-each.target, each.asset))
    return Optimised(
        portfolio=valuation.portfolio.name,
        portfolio_id=valuation.portfolio.id,
        as_of=valuation.moment.as_of,
        known_at=valuation.moment.known_at,
        question=question,
        total_value_usd=valuation.total_value or Decimal(0),
        weights=tuple(weights),
        before=_outlook(market, market.weights, question.confidence),
        target=_outlook(market, targets.weights, question.confidence),
        traded=_outlook(market, reached, question.confidence),
        observations=covariance.observations,
        condition=covariance.condition if math.isfinite(covariance.condition) else None,
        repaired=covariance.repaired,
        filled=history.filled,
        missing=history.missing,
        plan=plan,
        notes=(*valuation.notes, *history.notes, *covariance.notes, *plan.notes),
    )


def _outlook(market: HeldMarket, weights: FloatArray, confidence: float) -> Outlook:
    returns = market.history.returns
    complete = returns[~np.isnan(returns).any(axis=1)]
    enough = not too_few(min_observations(confidence), len(complete))
    return Outlook(
        volatility=market.covariance.volatility(weights) * math.sqrt(PERIODS_PER_YEAR),
        expected_shortfall=sample_shortfall(complete, weights, confidence) if enough else None,
        mean_return=float((complete @ weights).mean()) * PERIODS_PER_YEAR if enough else None,
    )


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
