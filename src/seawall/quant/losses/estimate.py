"""What every method gives: value at risk and expected shortfall, and how sure they are."""

import math
from typing import NamedTuple


class Estimate(NamedTuple):
    """Losses as fractions, positive when lost, with standard errors; NaN with the reason."""

    var: float
    es: float
    var_error: float
    es_error: float
    reason: str = ""


def undefined(reason: str) -> Estimate:
    """Give no number, and say why."""
    return Estimate(math.nan, math.nan, math.nan, math.nan, reason)
