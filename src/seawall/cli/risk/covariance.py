"""How `seawall risk report --histories` prints how holdings vary together."""

from typing import TYPE_CHECKING

from seawall.cli import output
from seawall.cli.output import console, print_table, table

if TYPE_CHECKING:
    from seawall.risk.schemas import HeldCovariance

MATRIX_LIMIT = 12
"""Assets up to which a matrix fits on a screen."""


def print_covariance(found: "HeldCovariance") -> None:
    """Print the volatility and the correlations, with the choice that they are of."""
    screen, choice = console(), found.choice
    title = f"By the {choice.estimator} covariance of {choice.histories} histories"
    if found.reason:
        screen.print(f"{title}: none, {found.reason}\n", soft_wrap=True)
        return
    screen.print(f"{title}, {found.observations} days\n", soft_wrap=True)
    condition = "singular" if found.condition is None else f"{found.condition:,.1f}"
    output.print_facts(
        {
            "Volatility, annualised": output.percent(found.volatility),
            "Condition of the matrix": condition,
            "Repaired": "yes" if found.repaired else "no",
        }
    )
    screen.print()
    matrix = found.correlations
    varying = [at for at, row in enumerate(matrix.values) if any(v is not None for v in row)]
    if 1 < len(varying) <= MATRIX_LIMIT:
        shown = table("", *(f">{matrix.assets[at]}" for at in varying))
        for at in varying:
            row = matrix.values[at]
            shown.add_row(matrix.assets[at], *(output.number(row[each], 2) for each in varying))
        print_table(shown)
        screen.print()
    output.print_notes(screen, found.notes)
