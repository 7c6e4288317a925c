"""Limits that cannot be kept: the message says which."""

from dataclasses import replace

import numpy as np
import pytest

from seawall.core.errors import InvalidError
from seawall.quant.optimise.constraints import GroupCap, Limits, long_only, require_feasible

MEANS = np.array([0.001, 0.002, 0.0005, 0.0])
FREE = long_only(4)
FIRST_TWO = np.array([True, True, False, False])


def test_what_can_be_kept_passes() -> None:
    require_feasible(
        replace(
            FREE,
            groups=(GroupCap("alts", FIRST_TWO, 0.5),),
            least_mean=0.001,
            turnover=0.8,
            current=np.array([0.0, 0, 0, 1]),
        ),
        MEANS,
    )


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (long_only(4, most=0.2), "4 assets hold 80.0%"),
        (long_only(4, least=0.3), "sum to 120.0%"),
        (replace(FREE, lower=np.array([0.5, 0, 0, 0]), upper=np.full(4, 0.4)), "no room"),
        (replace(FREE, groups=(GroupCap("all", np.ones(4, dtype=bool), 0.9),)), "caps of all"),
        (
            replace(long_only(4, least=0.2), groups=(GroupCap("alts", FIRST_TWO, 0.3),)),
            "least weights of alts sum to 40.0%",
        ),
        (
            replace(long_only(4, most=0.4), groups=(GroupCap("alts", FIRST_TWO, 0.1),)),
            "caps of alts at most 90.0%",
        ),
        (replace(FREE, least_mean=0.003), "0.2000% can be had at most"),
        (
            replace(FREE, least_mean=0.001, groups=(GroupCap("alts", FIRST_TWO, 0.1),)),
            "can be had at most",
        ),
        (
            replace(long_only(4, most=0.5), turnover=0.2, current=np.array([1.0, 0, 0, 0])),
            "need 50.0% of the value to move",
        ),
        (
            replace(FREE, least_mean=0.002, turnover=0.5, current=np.array([1.0, 0, 0, 0])),
            "need 100.0% of the value to move",
        ),
        (replace(FREE, turnover=0.2), "needs the current weights"),
        (long_only(0), "no asset"),
        (long_only(2, most=np.nan), "finite"),
    ],
)
def test_what_cannot_be_kept_is_named(limits: Limits, said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        require_feasible(limits, MEANS)


def test_a_least_return_needs_means() -> None:
    with pytest.raises(InvalidError, match="mean returns"):
        require_feasible(replace(FREE, least_mean=0.0))
