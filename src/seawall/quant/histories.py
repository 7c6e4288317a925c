"""Histories that are not equally long: the days that all have, pair by pair, or with a proxy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from seawall.core.errors import InvalidError
from seawall.quant.kernels.measures import NOISE
from seawall.quant.returns import simple_returns
from seawall.quant.types import BoolArray, FloatArray, IntArray

MIN_OVERLAP = 20
"""The fewest common returns from which a beta is taken to fill days that are missing."""


class HistoryMethod(StrEnum):
    """What is done about days on which not every asset has a return.

    COMMON takes the days that all have. PAIRWISE keeps every day and leaves NaN, so that each pair
    of assets is measured over its own common days. PROXY fills what an asset lacks with its beta
    times the proxy's return of the day.
    """

    COMMON = "common"
    PAIRWISE = "pairwise"
    PROXY = "proxy"


@dataclass(frozen=True, slots=True)
class Proxy:
    """What stands in for missing returns: its name and its (T,) returns, NaN where it has none."""

    name: str
    returns: FloatArray


@dataclass(frozen=True, slots=True)
class History:
    """Daily returns of several assets, and what was done about those that are missing.

    `returns` (K, N) are of the days whose rows in the grid of closes are `rows` (K,); only the
    pairwise method leaves NaN in them. `filled` and `missing` count by asset the returns that a
    proxy gave, and those of the whole grid that are not held. `stood_in` (K, N) marks the filled
    ones, and `residual_variances` (N,) tell how much each asset moves besides its proxy, by day.
    """

    assets: tuple[str, ...]
    returns: FloatArray
    rows: IntArray
    method: HistoryMethod
    filled: Mapping[str, int]
    missing: Mapping[str, int]
    stood_in: BoolArray
    residual_variances: FloatArray
    notes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every asset has a return on every day."""
        return not np.isnan(self.returns).any()


def build_history(
    assets: Sequence[str],
    closes: FloatArray,
    method: HistoryMethod,
    proxy: Proxy | None = None,
) -> History:
    """Turn (T + 1, N) closes of consecutive days, NaN where none is held, into a history.

    Without a proxy of its own the proxy method takes, for each asset, the equal-weighted mean of
    the other assets that vary. The beta is the slope of a regression with an intercept over the
    days that both have; the intercept is left out of what is filled, since the past mean of a young
    asset is no forecast. An asset with fewer than 20 such days is not filled: the days it lacks are
    left out for all, and a note says so.

    Raises:
        InvalidError: the shapes do not fit, or a close is negative or infinite.
    """
    closes = np.asarray(closes, dtype=np.float64)
    if closes.ndim != 2 or closes.shape[1] != len(assets):  # noqa: PLR2004
        raise InvalidError(f"Closes of shape {closes.shape} do not fit {len(assets)} assets.")
    if len(set(assets)) != len(assets):
        raise InvalidError("An asset is named twice in one history.")
    returns = simple_returns(closes)
    lacking = np.isnan(returns)
    filling = _Filling(returns, lacking, np.zeros_like(lacking), np.zeros(len(assets)))
    notes: list[str] = []
    if method is HistoryMethod.PROXY:
        _check_proxy(proxy, len(returns))
        short = np.flatnonzero(lacking.any(axis=0)).tolist()
        notes += [f"{assets[at]}: {_fill(filling, at, proxy)}" for at in short]
    kept = _kept_rows(returns, method)
    marked = filling.stood_in[kept]
    return History(
        assets=tuple(assets),
        returns=np.ascontiguousarray(returns[kept]),
        rows=(kept + 1).astype(np.int64),
        method=method,
        filled=_counts(assets, marked),
        missing=_counts(assets, lacking),
        stood_in=marked,
        residual_variances=filling.residual_variances,
        notes=(*notes, *_notes(assets, lacking, kept, method)),
    )


def varying(returns: FloatArray) -> BoolArray:
    """Tell which columns of (T, N) returns vary by more than rounding; NaN are passed over."""
    found = np.zeros(returns.shape[1], dtype=np.bool_)
    for column, values in enumerate(returns.T):
        known = values[~np.isnan(values)]
        if known.size > 1:
            found[column] = known.std(ddof=1) > NOISE * (1 + np.abs(known).max())
    return found


def _check_proxy(proxy: Proxy | None, days: int) -> None:
    if proxy is not None and proxy.returns.shape != (days,):
        raise InvalidError(
            f"The proxy {proxy.name} has returns of shape {proxy.returns.shape}, "
            f"the assets of {days} days."
        )


@dataclass(frozen=True, slots=True)
class _Filling:
    """A grid of returns that is being filled, in place."""

    returns: FloatArray
    lacking: BoolArray
    stood_in: BoolArray
    residual_variances: FloatArray


def _fill(filling: _Filling, column: int, proxy: Proxy | None) -> str:
    """Fill what one asset lacks; say what was done."""
    source = _market(filling, column) if proxy is None else proxy.returns
    name = "the equal-weighted others" if proxy is None else proxy.name
    own, returns = ~filling.lacking[:, column], filling.returns[:, column]
    both = own & ~np.isnan(source)
    days = int(both.sum())
    if days < MIN_OVERLAP:
        return (
            f"{days} returns in common with {name}, {MIN_OVERLAP} are needed for a beta;"
            " nothing was filled."
        )
    if not varying(source[both, np.newaxis])[0]:
        return f"{name} does not vary; nothing was filled."
    x, y = source[both] - source[both].mean(), returns[both] - returns[both].mean()
    beta = float(x @ y) / float(x @ x)
    missing = ~own & ~np.isnan(source)
    returns[missing] = beta * source[missing]
    filling.stood_in[missing, column] = True
    # Two parameters were estimated: the slope and the intercept.
    filling.residual_variances[column] = float(np.square(y - beta * x).sum()) / (days - 2)
    return (
        f"{int(missing.sum())} missing returns were filled with {beta:.2f} times those of {name},"
        f" a beta from {days} common days."
    )


def _market(filling: _Filling, column: int) -> FloatArray:
    """Average the other assets that vary, of the returns that are held; NaN where there is none."""
    known = np.where(filling.stood_in, np.nan, filling.returns)
    others = varying(known)
    others[column] = False
    held = known[:, others]
    counts = (~np.isnan(held)).sum(axis=1)
    mean: FloatArray = np.full(len(known), np.nan)
    np.divide(np.nansum(held, axis=1), counts, out=mean, where=counts > 0)
    return mean


def _kept_rows(returns: FloatArray, method: HistoryMethod) -> IntArray:
    if not returns.shape[1]:
        return np.zeros(0, dtype=np.int64)
    absent = np.isnan(returns)
    if method is HistoryMethod.PAIRWISE:
        # A day on which only money has a return tells nothing.
        moving = varying(returns)
        return np.flatnonzero(~absent[:, moving if moving.any() else slice(None)].all(axis=1))
    return np.flatnonzero(~absent.any(axis=1))


def _counts(assets: Sequence[str], marks: BoolArray) -> dict[str, int]:
    return {
        asset: int(count) for asset, count in zip(assets, marks.sum(axis=0), strict=True) if count
    }


def _notes(
    assets: Sequence[str], lacking: BoolArray, kept: IntArray, method: HistoryMethod
) -> tuple[str, ...]:
    days = len(lacking)
    if not lacking.any():
        return ()
    counts = ", ".join(f"{asset} {n}" for asset, n in sorted(_counts(assets, lacking).items()))
    lost = days - len(kept)
    match method:
        case HistoryMethod.COMMON:
            done = f"{lost} were left out for all"
        case HistoryMethod.PAIRWISE:
            done = "each pair was measured over its own common days"
        case HistoryMethod.PROXY:
            done = f"after filling, {lost} were left out for all"
    return (f"Of {days} daily returns are missing: {counts}; {done}.",)
