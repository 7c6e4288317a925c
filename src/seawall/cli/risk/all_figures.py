"""Every figure of a report for a person, by families."""

from typing import TYPE_CHECKING

from seawall.cli import output
from seawall.cli.output import console, print_table, table

if TYPE_CHECKING:
    from seawall.quant.metrics.metric import Metric
    from seawall.risk.schemas import RiskQuestion, RiskReport


def print_all_figures(made: "RiskReport") -> None:
    """Print each family's figures: value, interval, observations, or why there is none."""
    from seawall.quant.metrics.registry import FAMILIES

    screen = console()
    screen.print("With an interval at 95 % where something tells how sure a figure is\n")
    _print_tail(made)
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


def asked_title(name: str, question: "RiskQuestion") -> str:
    """Name a figure of the tail with the confidence, the horizon and the method asked for."""
    days = "one day" if question.horizon == 1 else f"{question.horizon} days"
    method = "" if question.is_plain_tail else f", {question.method}"
    return f"{name} {question.confidence * 100:g} %, {days}{method}"


def _print_tail(made: "RiskReport") -> None:
    from seawall.risk.schemas import ASKED

    shown = table("Tail as asked", ">Value", ">Low", ">High", ">Of", "~")
    for slug, name in zip(ASKED, ("Value at risk", "Expected shortfall"), strict=True):
        if (figure := made.all_figures.get(slug)) is not None:
            values = (figure.value, figure.low, figure.high)
            shown.add_row(
                asked_title(name, made.question),
                *("-" if each is None else output.percent(each) for each in values),
                str(figure.observations),
                figure.reason,
            )
    if shown.row_count:
        print_table(shown)
        console().print()


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
