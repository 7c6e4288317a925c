"""Every figure of a report for a person, by families."""

from typing import TYPE_CHECKING

from seawall.cli import output
from seawall.cli.output import console, print_table, table

if TYPE_CHECKING:
    from seawall.quant.metrics.metric import Metric
    from seawall.risk.schemas import RiskReport


def print_all_figures(made: "RiskReport") -> None:
    """Print each family's figures: value, interval, observations, or why there is none."""
    from seawall.quant.metrics.registry import FAMILIES

    screen = console()
    screen.print("Every figure, with its interval at 95 %\n", soft_wrap=True)
    for family, metrics in FAMILIES.items():
        shown = table(family, ">Value", ">Low", ">High", ">Of", "~")
        for metric in metrics:
            if (figure := made.all_figures.get(metric.slug)) is None:
                continue
            shown.add_row(
                metric.name,
                *(_shown(metric, each) for each in (figure.value, figure.low, figure.high)),
                str(figure.observations),
                figure.reason,
            )
        if shown.row_count:
            print_table(shown)
            screen.print()


def _shown(metric: "Metric", value: float | None) -> str:
    from seawall.quant.metrics.metric import Unit

    if value is None:
        return "-"
    match metric.unit:
        case Unit.FRACTION:
            return output.percent(value)
        case Unit.DAYS:
            return f"{value:,.0f}"
        case _:
            return output.number(value)
