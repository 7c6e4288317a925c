"""Target weights of what is held: what is weighed anew, within which bounds, by which rule."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from seawall.core.errors import InvalidError
from seawall.market.pairs import USD_STABLECOINS
from seawall.portfolios.schemas import CASH
from seawall.quant.histories import varying
from seawall.quant.optimise.constraints import GroupCap, Limits
from seawall.quant.optimise.hierarchical import hierarchical_risk_parity
from seawall.quant.optimise.mean_cvar import mean_cvar
from seawall.quant.optimise.minimum_variance import minimum_variance
from seawall.quant.optimise.peers import PeerMethod, optimise_with_skfolio
from seawall.quant.optimise.risk_parity import risk_parity
from seawall.quant.types import PERIODS_PER_YEAR, BoolArray, FloatArray
from seawall.risk.attribution import Grouping
from seawall.risk.covariance import HeldMarket, read_name
from seawall.risk.rebalance import TradingCosts
from seawall.risk.schemas import DEFAULT_CONFIDENCE, CovarianceChoice


class Method(StrEnum):
    """The rules that Seawall has itself; others are `PeerMethod`."""

    MIN_VARIANCE = "min-variance"
    RISK_PARITY = "risk-parity"
    HRP = "hrp"
    MEAN_CVAR = "mean-cvar"


def parse_method(text: str) -> Method | PeerMethod:
    """Read a method's name.

    Raises:
        InvalidError: there is no such method.
    """
    peers = [str(each) for each in PeerMethod]
    if text in peers:
        return PeerMethod(text)
    return read_name(tuple(Method), text, "method", peers)


@dataclass(frozen=True, slots=True)
class Cap:
    """The most of the portfolio's value that assets may weigh together.

    `by` tells what `names` are: assets, or labels of a grouping such as classes.
    """

    names: tuple[str, ...]
    most: float
    by: Grouping = Grouping.ASSET

    @property
    def title(self) -> str:
        """How it is written."""
        names = ",".join(self.names)
        return names if self.by is Grouping.ASSET else f"{self.by}:{names}"


def parse_cap(text: str) -> Cap:
    """Read a cap such as BTC,ETH=0.6 or class:stablecoin=0.1.

    Raises:
        InvalidError: it is not written like that, or the share is not between 0 and 1.
    """
    named, equals, share = text.rpartition("=")
    by, colon, names = named.rpartition(":")
    try:
        grouping, most = Grouping(by) if colon else Grouping.ASSET, float(share)
    except ValueError:
        equals = ""
        grouping, most = Grouping.ASSET, 0.0
    parts = tuple(each.strip() for each in names.split(",") if each.strip())
    if not (equals and parts and 0 <= most <= 1):
        raise InvalidError(
            f"{text!r} is not a cap.", hint="Write BTC,ETH=0.6 or class:stablecoin=0.1."
        )
    return Cap(parts, most, grouping)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the target weights keep to, as shares of the portfolio's value.

    `least_return` is a mean return by year, not compounded. `turnover` is the most of the value of
    what is weighed anew that may move within it. `keep` names assets that stay as they are; cash
    and stablecoins do so anyway. `cash` is the share that cash is to have; None leaves it as it is.

    Raises:
        InvalidError: a share is not between 0 and 1.
    """

    least: float = 0.0
    most: float = 1.0
    caps: tuple[Cap, ...] = ()
    least_return: float | None = None
    turnover: float | None = None
    keep: tuple[str, ...] = ()
    cash: float | None = None

    def __post_init__(self) -> None:
        shares = {
            "min-weight": self.least,
            "max-weight": self.most,
            "turnover": self.turnover,
            "cash": self.cash,
        }
        for name, value in shares.items():
            if value is not None and not 0 <= value <= 1:
                raise InvalidError(
                    f"A {name} of {value} is not between 0 and 1.", hint="Write 20 % as 0.2."
                )


@dataclass(frozen=True, slots=True)
class OptimiseQuestion:
    """What is asked: by which rule, from which returns, within which bounds, at which costs."""

    method: Method | PeerMethod
    covariance: CovarianceChoice = field(default_factory=CovarianceChoice)
    confidence: float = DEFAULT_CONFIDENCE
    bounds: Bounds = field(default_factory=Bounds)
    costs: TradingCosts = field(default_factory=TradingCosts)


@dataclass(frozen=True, slots=True)
class Targets:
    """The (N,) target weights, and which of them were chosen; the others are kept."""

    weights: FloatArray
    chosen: BoolArray


def choose_targets(
    market: HeldMarket, question: OptimiseQuestion, groups: tuple[GroupCap, ...]
) -> Targets:
    """Weigh what varies and is not kept, within the share of the value that the rest leaves.

    Raises:
        InvalidError: fewer than two assets can be weighed, or the bounds cannot be kept.
        UnavailableError: the method needs skfolio, which is not installed.
    """
    assets, bounds = market.history.assets, question.bounds
    unheld = sorted(set(bounds.keep) - set(assets))
    if unheld:
        raise InvalidError(f"{', '.join(unheld)} cannot be kept, for none is held.")
    kept = {CASH, *USD_STABLECOINS, *bounds.keep}
    chosen = np.array([asset not in kept for asset in assets], dtype=np.bool_)
    chosen &= varying(market.history.returns)
    if chosen.sum() < 2:  # noqa: PLR2004 -- one asset alone leaves nothing to choose
        names = ", ".join(assets[at] for at in np.flatnonzero(chosen))
        raise InvalidError(
            f"{names or 'Nothing'} can be weighed anew; two assets that vary are needed.",
            hint="Cash, stablecoins and what is to be kept stay as they are.",
        )
    is_cash = np.array([asset == CASH for asset in assets], dtype=np.bool_)
    cash = float(market.weights[is_cash].sum()) if bounds.cash is None else bounds.cash
    stays = ~chosen & ~is_cash
    room = 1 - float(market.weights[stays].sum()) - cash
    if room <= 0:
        raise InvalidError(
            f"What is kept and the cash weigh {1 - room:.1%}; nothing is left to weigh anew.",
            hint="Keep less, or ask for less cash.",
        )
    targets = np.where(stays, market.weights, np.where(is_cash, cash, 0.0))
    limits = _limits(_Part(chosen, room), targets, bounds, groups)
    held = market.weights[chosen]
    limits = replace(limits, turnover=bounds.turnover, current=held / held.sum())
    targets[chosen] = room * _solve(market, question, limits, chosen)
    return Targets(targets, chosen)


@dataclass(frozen=True, slots=True)
class _Part:
    """The assets that are weighed anew, and the share of the value that they have together."""

    chosen: BoolArray
    room: float


def _limits(part: _Part, kept: FloatArray, bounds: Bounds, groups: tuple[GroupCap, ...]) -> Limits:
    """Turn shares of the portfolio's value into shares of what is weighed anew.

    A cap counts what is kept as well: it leaves the others only the rest of it.
    """
    size = int(part.chosen.sum())
    inner = []
    for group in groups:
        already = float(kept[group.members & ~part.chosen].sum())
        if already > group.most:
            raise InvalidError(
                f"What is kept of {group.name} weighs {already:.1%}, its cap is {group.most:.1%}.",
                hint="Raise the cap, or keep less.",
            )
        members = group.members[part.chosen]
        if members.any():
            inner.append(GroupCap(group.name, members, (group.most - already) / part.room))
    wanted = bounds.least_return
    return Limits(
        lower=np.full(size, bounds.least / part.room),
        # More than all of it cannot be had in any case.
        upper=np.full(size, min(bounds.most / part.room, 1.0)),
        groups=tuple(inner),
        least_mean=None if wanted is None else wanted / PERIODS_PER_YEAR / part.room,
    )


def _solve(
    market: HeldMarket, question: OptimiseQuestion, limits: Limits, chosen: BoolArray
) -> FloatArray:
    returns = market.history.returns[:, chosen]
    matrix = market.covariance.matrix[np.ix_(chosen, chosen)]
    match question.method:
        case Method.MIN_VARIANCE:
            means = None if limits.least_mean is None else np.nanmean(returns, axis=0)
            return minimum_variance(matrix, limits, means)
        case Method.RISK_PARITY:
            if not limits.bounds_only or limits.lower.any() or (limits.upper < 1).any():
                raise InvalidError(
                    "Risk parity fixes every weight, so it takes no bounds, caps or turnover.",
                    hint="Leave them out, or use hrp or min-variance.",
                )
            return risk_parity(matrix)
        case Method.HRP:
            return hierarchical_risk_parity(matrix, limits)
        case Method.MEAN_CVAR:
            return mean_cvar(returns, limits, question.confidence).weights
        case PeerMethod():
            return optimise_with_skfolio(question.method, returns, limits)
