"""Correlations for a person."""

from typing import TYPE_CHECKING

from seawall.cli import output
from seawall.cli.output import print_table, table

if TYPE_CHECKING:
    from rich.console import Console

    from seawall.risk.schemas import RiskReport

MATRIX_LIMIT = 12
"""Assets up to which a correlation matrix fits on a screen."""


def print_matrix(screen: "Console", made: "RiskReport") -> None:
    """Print a report's correlations, where they fit on a screen."""
    matrix = made.correlation_matrix
    if not 1 < len(matrix.assets) <= MATRIX_LIMIT:
        return
    # Money does not vary, so it correlates with nothing and only takes space.
    varying = [at for at, row in enumerate(matrix.values) if any(v is not None for v in row)]
    if not varying:
        return
    shown = table("", *(f">{matrix.assets[at]}" for at in varying))
    for at in varying:
        row = matrix.values[at]
        shown.add_row(matrix.assets[at], *(output.number(row[other], 2) for other in varying))
    screen.print("Correlations of daily returns\n")
    print_table(shown)
    screen.print()
