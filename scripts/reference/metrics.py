"""The page of metrics."""

from scripts.reference.markdown import code, page, table
from seawall.quant.metrics.registry import REGISTRY


def metrics_page() -> str:
    """Describe every metric of the registry."""
    parts = []
    for metric in sorted(REGISTRY.values(), key=lambda each: each.slug):
        facts = {
            "Unit": metric.unit,
            "Direction": metric.direction,
            "Of": metric.takes,
            "Formula": code(metric.formula),
            "Least observations": metric.min_observations,
            "Also undefined with": metric.undefined or "nothing else",
            "How sure": metric.inference,
            "Source": metric.source,
        }
        parts += [f"## `{metric.slug}`: {metric.name}", table(("", ""), facts.items())]
    return page(
        "Metrics",
        "In formulas `r` are daily returns, `b` the benchmark's, `w` weights and `n` the number of"
        " observations. [Risk figures](../risk-figures.md) tells which returns these are.",
        *parts,
    )
