"""What weights have to keep to, and which of it cannot be kept."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from seawall.core.errors import InvalidError
from seawall.quant.optimise.linear import LinearProgram, solve_linear
from seawall.quant.types import PERIODS_PER_YEAR, BoolArray, FloatArray

SLACK = 1e-9
"""By how much a sum of weights may miss a limit through rounding."""


@dataclass(frozen=True, slots=True)
class GroupCap:
    """The most that a group may weigh together; `members` (N,) says who belongs to it."""

    name: str
    members: BoolArray
    most: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of N weights that sum to 1.

    Attributes:
        lower: (N,) least weights, upper: (N,) most.
        groups: caps on sums of weights.
        least_mean: what the mean daily return has to reach.
        turnover: the most of the value that may move, half the sum of absolute changes from
            `current` (N,), which it needs.
    """

    lower: FloatArray
    upper: FloatArray
    groups: tuple[GroupCap, ...] = ()
    least_mean: float | None = None
    turnover: float | None = None
    current: FloatArray | None = None

    @property
    def size(self) -> int:
        """How many weights there are."""
        return len(self.lower)

    @property
    def bounds_only(self) -> bool:
        """Whether nothing but the bounds of each weight is limited."""
        return not self.groups and self.least_mean is None and self.turnover is None


def long_only(size: int, most: float = 1.0, least: float = 0.0) -> Limits:
    """Limit each of N weights to the same range."""
    return Limits(np.full(size, least), np.full(size, most))


class Rows(NamedTuple):
    """Linear limits of N weights: `matrix` (M, N) times them is at most `most` (M,)."""

    matrix: FloatArray
    most: FloatArray


def linear_rows(limits: Limits, means: FloatArray | None) -> Rows:
    """Write the caps of groups and the least mean as rows."""
    rows = [np.asarray(group.members, dtype=np.float64) for group in limits.groups]
    most = [group.most for group in limits.groups]
    if limits.least_mean is not None and means is not None:
        rows.append(-means)
        most.append(-limits.least_mean)
    matrix = np.array(rows) if rows else np.empty((0, limits.size))
    return Rows(matrix, np.array(most, dtype=np.float64))


def require_feasible(limits: Limits, means: FloatArray | None = None) -> None:
    """Make sure that some weights keep to the limits.

    Raises:
        InvalidError: none do; the message names the limit that cannot be kept beside those before
            it: bounds, groups, the mean, turnover.
    """
    _check_bounds(limits)
    _check_groups(limits)
    if limits.least_mean is not None:
        _check_mean(limits, means)
    if limits.turnover is not None:
        _check_turnover(limits, means)


def _check_bounds(limits: Limits) -> None:
    size, lower, upper = limits.size, limits.lower, limits.upper
    if not size:
        raise InvalidError("There is no asset to weigh.")
    if lower.shape != upper.shape or not (np.isfinite(lower).all() and np.isfinite(upper).all()):
        raise InvalidError("The bounds of the weights are not as many finite numbers as assets.")
    if (lower < 0).any() or (lower > upper).any():
        raise InvalidError(
            "A weight has no room: its least is negative or above its most.",
            hint="Weights are between 0 and 1; nothing is sold short.",
        )
    if lower.sum() > 1 + SLACK:
        raise InvalidError(
            f"The least weights sum to {lower.sum():.1%}, more than 100 %.",
            hint="Lower the least weight.",
        )
    if upper.sum() < 1 - SLACK:
        raise InvalidError(
            f"At the most weights {size} assets hold {upper.sum():.1%} of the value, not all.",
            hint=f"Raise the largest weight to {1 / size:.4f} or more.",
        )


def _check_groups(limits: Limits) -> None:
    for group in limits.groups:
        needed = float(limits.lower[group.members].sum())
        if needed > group.most + SLACK:
            raise InvalidError(
                f"The least weights of {group.name} sum to {needed:.1%},"
                f" its cap is {group.most:.1%}.",
                hint="Raise the cap or lower the least weight.",
            )
    if not limits.groups:
        return
    rows = linear_rows(limits, None)
    filled = solve_linear(
        LinearProgram(-np.ones(limits.size), rows.matrix, rows.most, None, _box(limits))
    )
    held = 0.0 if filled is None else float(filled.sum())
    if held < 1 - SLACK:
        names = ", ".join(group.name for group in limits.groups)
        raise InvalidError(
            f"Under the caps of {names} at most {held:.1%} of the value can be held, not all.",
            hint="Raise a cap or the largest weight.",
        )


def _check_mean(limits: Limits, means: FloatArray | None) -> None:
    if means is None:
        raise InvalidError("A least return needs the mean returns of the assets.")
    rows = linear_rows(limits, None)
    best = solve_linear(
        LinearProgram(-means, rows.matrix, rows.most, np.ones(limits.size), _box(limits))
    )
    wanted = limits.least_mean or 0.0
    had = -np.inf if best is None else float(means @ best)
    if had < wanted - 1e-12:
        raise InvalidError(
            f"A mean return of {wanted:.4%} a day is asked for, {wanted * PERIODS_PER_YEAR:.1%} a"
            f" year; within the other limits {had:.4%} can be had at most,"
            f" {had * PERIODS_PER_YEAR:.1%} a year.",
            hint="Ask for less, or widen the limits.",
        )


def _check_turnover(limits: Limits, means: FloatArray | None) -> None:
    if limits.current is None or limits.turnover is None:
        raise InvalidError("A limit of turnover needs the current weights.")
    moving = with_turnover(limits, means)
    size = limits.size
    zeros, ones = np.zeros(size), np.ones(size)
    # The last row is the limit itself, which is what has to be found out here.
    nearest = solve_linear(
        LinearProgram(
            np.concatenate([zeros, ones]),
            moving.matrix[:-1],
            moving.most[:-1],
            np.concatenate([ones, zeros]),
            np.vstack([_box(limits), np.column_stack([zeros, np.full(size, np.inf)])]),
        )
    )
    needed = np.inf if nearest is None else float(nearest[size:].sum()) / 2
    if needed > limits.turnover + SLACK:
        raise InvalidError(
            f"The other limits need {needed:.1%} of the value to move,"
            f" a turnover of {limits.turnover:.1%} is allowed.",
            hint="Allow more turnover, or widen the other limits.",
        )


def with_turnover(limits: Limits, means: FloatArray | None) -> Rows:
    """Write all linear limits as rows over N weights and N absolute changes; turnover is last."""
    plain = linear_rows(limits, means)
    size = limits.size
    current = np.zeros(size) if limits.current is None else limits.current
    eye = np.eye(size)
    matrix = np.block(
        [
            [plain.matrix, np.zeros_like(plain.matrix)],
            [eye, -eye],
            [-eye, -eye],
            [np.zeros((1, size)), np.ones((1, size))],
        ]
    )
    turnover = 1.0 if limits.turnover is None else limits.turnover
    return Rows(matrix, np.concatenate([plain.most, current, -current, [2 * turnover]]))


def _box(limits: Limits) -> FloatArray:
    return np.column_stack([limits.lower, limits.upper])
