"""Every metric that Seawall knows, by slug.

`min_observations` is the fewest for which the formula estimates what it names: 2 for a deviation, 3
and 4 for the bias-corrected skewness and kurtosis, 3 for a correlation (2 points always correlate
perfectly), 1 / (1 - confidence) for a tail (from fewer, no loss beyond the quantile is to be
expected). How many make a good estimate depends on its use, so figures travel with their number of
observations instead of being withheld at a threshold of taste.
"""

from collections.abc import Mapping
from types import MappingProxyType

from seawall.quant.metrics import (
    concentration,
    dependence,
    drawdown,
    moments,
    ratios,
    returns,
    tail,
)
from seawall.quant.metrics.metric import Metric

_FAMILIES = (returns, drawdown, tail, ratios, dependence, moments, concentration)

REGISTRY: Mapping[str, Metric] = MappingProxyType(
    {metric.slug: metric for family in _FAMILIES for metric in family.METRICS}
)
