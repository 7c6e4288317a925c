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
    correlations,
    dependence,
    diversification,
    drawdown,
    moments,
    ratios,
    relative,
    returns,
    skill,
    tail,
    tail_entropic,
    tail_methods,
    volatility,
)
from seawall.quant.metrics.metric import Metric

FAMILIES: Mapping[str, tuple[Metric, ...]] = MappingProxyType(
    {
        "Return and volatility": (*returns.METRICS, *volatility.METRICS),
        "Drawdown": drawdown.METRICS,
        "Tail": (*tail.METRICS, *tail_entropic.METRICS, *tail_methods.METRICS),
        "Return for risk": ratios.METRICS,
        "Skill or luck": skill.METRICS,
        "Shape": moments.METRICS,
        "Beside the benchmark": relative.METRICS,
        "Dependence": (*dependence.METRICS, *correlations.METRICS),
        "Concentration": concentration.METRICS,
        "Diversification": diversification.METRICS,
    }
)

REGISTRY: Mapping[str, Metric] = MappingProxyType(
    {metric.slug: metric for family in FAMILIES.values() for metric in family}
)
