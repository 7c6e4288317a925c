"""How `seawall risk report --attribution` prints whose risk it is."""

from typing import TYPE_CHECKING

from seawall.cli import output
from seawall.cli.output import console, print_table, table

if TYPE_CHECKING:
    from seawall.risk.attribution import AttributedMeasure, RiskAttribution

HEADS = {
    "asset": "Asset",
    "class": "Class",
    "chain": "Chain",
    "exchange": "Held at",
    "strategy": "Strategy",
}


def title(measure: str, confidence: float) -> str:
    """Name a measure for people."""
    level = f"{confidence * 100:g} %"
    return {
        "volatility": "Volatility, annualised",
        "value_at_risk": f"Value at risk {level}, one day",
        "expected_shortfall": f"Expected shortfall {level}, one day",
        "gaussian_value_at_risk": f"Gaussian value at risk {level}, one day",
        "gaussian_expected_shortfall": f"Gaussian expected shortfall {level}, one day",
    }[measure]


def print_attribution(found: "RiskAttribution") -> None:
    """Print what each part adds to each measure, for a person."""
    screen = console()
    if found.reason:
        screen.print(f"The risk cannot be taken apart: {found.reason}.\n", soft_wrap=True)
    for each in found.measures:
        _print_measure(each, found)
    output.print_notes(screen, found.notes)


def _print_measure(each: "AttributedMeasure", found: "RiskAttribution") -> None:
    screen = console()
    name = title(each.measure, found.confidence)
    if each.reason:
        screen.print(f"{name}: not taken apart, {each.reason}\n", soft_wrap=True)
        return
    days = "day" if each.days == 1 else "days"
    screen.print(
        f"{name}: {output.percent(each.total)}, on {each.days} {days};"
        f" diversification saves {output.percent(each.diversification)}\n",
        soft_wrap=True,
    )
    shown = table(
        HEADS[found.by],
        ">Weight",
        ">Adds",
        ">Of total",
        ">Per unit",
        ">Alone",
        ">Less without",
    )
    for part in each.parts:
        shown.add_row(
            part.name,
            output.percent(part.weight, 1),
            output.percent(part.component),
            output.percent(part.share, 1),
            output.percent(part.marginal),
            output.percent(part.standalone),
            output.percent(part.incremental),
        )
    print_table(shown)
    screen.print()
