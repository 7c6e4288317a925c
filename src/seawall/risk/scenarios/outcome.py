"""From what each holding does to what the portfolio loses, in amounts that add up."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from seawall.core.money import ZERO, exact, multiply
from seawall.portfolios.valuation import as_decimal
from seawall.risk.scenarios.schemas import AssetStress, Fact, Source
from seawall.risk.scenarios.subject import Subject


@dataclass(frozen=True, slots=True)
class Move:
    """What one holding does: a shock as a fraction, NaN where nobody knows, and how it is known."""

    shock: float
    source: Source
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scenario found; the loss is None with its reason among `reasons`.

    `value` is what the loss is a part of, where that is not the portfolio's own value.
    """

    title: str
    assets: tuple[AssetStress, ...] = ()
    loss_usd: Decimal | None = None
    value: Decimal | None = None
    recovery_days: float | None = None
    figures: Mapping[str, Fact] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def unknown(title: str, reason: str) -> Outcome:
    """Return an outcome of which nothing is known but why."""
    return Outcome(title, reasons={"loss": reason, "recovery": reason})


def apply_moves(subject: Subject, moves: Mapping[str, Move]) -> tuple[AssetStress, ...]:
    """Let every holding of a portfolio move; its loss is its value times the fall."""
    total = float(subject.total)
    return tuple(
        AssetStress(
            asset=asset,
            value_usd=value,
            weight=float(value) / total,
            shock=known(moves[asset].shock),
            loss_usd=_loss(asset, value, moves[asset].shock),
            source=moves[asset].source,
            facts=moves[asset].facts,
        )
        for asset, value in subject.values.items()
    )


def _loss(asset: str, value: Decimal, shock: float) -> Decimal | None:
    if math.isnan(shock):
        return None
    # A sign of zero would be kept and shown.
    return multiply(value, as_decimal(-shock), f"the loss of {asset}") or ZERO


def total_loss(assets: Iterable[AssetStress]) -> Decimal | None:
    """Add up what is lost; None while a part of it is not known."""
    parts = [each.loss_usd for each in assets]
    if any(part is None for part in parts):
        return None
    with exact():
        return sum((part for part in parts if part is not None), ZERO)


def known(value: float) -> float | None:
    """Return a number that JSON has; None for one that is undefined or infinite."""
    return float(value) + 0.0 if math.isfinite(value) else None


def replayed_share(assets: Sequence[AssetStress]) -> float | None:
    """Return which part of what does not stand still was replayed; None where all does."""
    moving = [each for each in assets if each.source is not Source.STILL]
    whole = sum(abs(each.weight) for each in moving)
    replayed = sum(abs(each.weight) for each in moving if each.source is Source.REPLAYED)
    return replayed / whole if whole else None


def missing_reasons(assets: Sequence[AssetStress], why: str) -> dict[str, str]:
    """Say which holdings keep the loss from being known; empty when none does."""
    lacking = [each.asset for each in assets if each.loss_usd is None]
    return {"loss": f"{why}: {', '.join(lacking)}"} if lacking else {}
