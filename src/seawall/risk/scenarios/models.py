"""Scenarios from a model: correlations of one, and the nearest shock that loses a part."""

import math

import numpy as np

from seawall.core.money import multiply
from seawall.portfolios.valuation import as_decimal
from seawall.quant.stress.dependence import gaussian_risk, stress_correlations
from seawall.quant.stress.factor import MIN_OBSERVATIONS
from seawall.quant.stress.reverse import smallest_factor_move, smallest_shock
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray
from seawall.risk.benchmarks import BTC
from seawall.risk.scenarios.outcome import (
    Move,
    Outcome,
    apply_moves,
    known,
    total_loss,
    unknown,
)
from seawall.risk.scenarios.schemas import AssetStress, Fact, Reverse, Source, Together
from seawall.risk.scenarios.subject import Subject

_NO_RECOVERY = "a model has no recovery"
_SHORTFALL = (
    "The loss is the expected shortfall of one day at {:g} %, of a normal distribution with a mean"
    " of 0."
)
_DISTANCE = (
    "{:.1f} standard deviations of {:g} days away, under a normal distribution; coins fall so far"
    " more often than it says."
)


def _too_few(days: int) -> str:
    return f"needs at least {MIN_OBSERVATIONS} common returns, has {days}"


def move_together(subject: Subject, asked: Together) -> Outcome:
    """Measure a day's risk with every correlation moved; the loss is the expected shortfall."""
    title = f"Correlations of {asked.target:g}"
    if asked.strength < 1:
        title = f"Correlations {asked.strength:.0%} of the way to {asked.target:g}"
    covariance, days = subject.covariance()
    if np.isnan(covariance).any():
        return unknown(title, _too_few(days))
    weights = subject.weights
    stressed = stress_correlations(covariance, asked.target, asked.strength)
    before = gaussian_risk(weights, covariance, asked.confidence)
    after = gaussian_risk(weights, stressed, asked.confidence)
    assets = _shares(subject, stressed, after.expected_shortfall)
    year = math.sqrt(PERIODS_PER_YEAR)
    return Outcome(
        title=title,
        assets=assets,
        loss_usd=total_loss(assets),
        figures={
            "volatility_before": before.deviation * year,
            "volatility": after.deviation * year,
            "value_at_risk_before": before.value_at_risk,
            "value_at_risk": after.value_at_risk,
            "expected_shortfall_before": before.expected_shortfall,
            "expected_shortfall": after.expected_shortfall,
            "confidence": asked.confidence,
            "observations": days,
        },
        reasons={"recovery": _NO_RECOVERY},
        notes=(_SHORTFALL.format(asked.confidence * 100),),
    )


def _shares(subject: Subject, covariance: FloatArray, shortfall: float) -> tuple[AssetStress, ...]:
    """Split the shortfall by Euler's rule: w (Σw) ÷ w'Σw of it is each holding's."""
    weights = subject.weights
    pulls = weights * (covariance @ weights)
    whole = float(pulls.sum())
    shares = pulls / whole * shortfall if whole > 0 else np.zeros(weights.size)
    return tuple(
        AssetStress(
            asset=asset,
            value_usd=value,
            weight=float(weight),
            shock=None,
            loss_usd=multiply(subject.total, as_decimal(float(share)), f"the loss of {asset}"),
            source=Source.MODEL if deviation > 0 else Source.STILL,
            facts={"daily_deviation": math.sqrt(float(deviation))},
        )
        for (asset, value), weight, share, deviation in zip(
            subject.values.items(), weights, shares, np.diag(covariance), strict=True
        )
    )


def reverse_stress(subject: Subject, asked: Reverse) -> Outcome:
    """Find the shock nearest to none that loses a part, and the fall of BTC that would."""
    title = f"The smallest shock that loses {asked.loss * 100:g} %"
    covariance, days = subject.covariance()
    if np.isnan(covariance).any():
        return unknown(title, _too_few(days))
    found = smallest_shock(subject.weights, covariance * asked.days, asked.loss)
    figures, reasons = _through_btc(subject, asked)
    facts: dict[str, Fact] = {
        "days": asked.days,
        "observations": days,
        "distance": known(found.distance),
        "beyond_probability": known(found.beyond),
        "loss_probability": known(found.loss_probability),
        **figures,
    }
    if found.reason:
        no_shock = {"loss": f"no shock loses as much: {found.reason}", "recovery": _NO_RECOVERY}
        return Outcome(title, figures=facts, reasons={**no_shock, **reasons})
    sources = [Source.MODEL if each else Source.STILL for each in np.diag(covariance)]
    moves = {
        asset: Move(float(shock), source)
        for asset, shock, source in zip(subject.assets, found.shocks, sources, strict=True)
    }
    assets = apply_moves(subject, moves)
    return Outcome(
        title=title,
        assets=assets,
        loss_usd=total_loss(assets),
        figures=facts,
        reasons={"recovery": _NO_RECOVERY, **reasons},
        notes=(_DISTANCE.format(found.distance, asked.days),),
    )


def _through_btc(subject: Subject, asked: Reverse) -> tuple[dict[str, Fact], dict[str, str]]:
    betas = np.array([subject.betas[asset].beta for asset in subject.assets])
    lacking = [asset for asset in subject.assets if math.isnan(subject.betas[asset].beta)]
    move = smallest_factor_move(subject.weights, betas, asked.loss)
    if math.isnan(move):
        why = (
            f"too few returns for a beta: {', '.join(lacking)}"
            if lacking
            else ("no fall of BTC loses as much")
        )
        return {"btc_move": None, "btc_deviations": None}, {"btc_move": why}
    deviation = subject.factor_deviation * math.sqrt(asked.days)
    sigmas = None if not deviation > 0 else -move / deviation
    reasons = {} if sigmas is not None else {"btc_deviations": f"too few returns of {BTC}"}
    return {"btc_move": move, "btc_deviations": sigmas}, reasons
