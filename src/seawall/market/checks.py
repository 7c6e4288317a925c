"""What may stand in a column of market data, as conditions in SQL.

A bound above keeps out NaN and infinity, which PostgreSQL holds to be greater than any number. A
column that is NULL meets every condition.
"""

from collections.abc import Sequence

STATUS = "status IN ('active', 'inactive', 'deprecated')"


def price(*columns: str) -> str:
    """Say that each is a finite number above 0."""
    least, greatest = _extremes(columns)
    return f"{least} > 0 AND {greatest} < 'Infinity'"


def amount(*columns: str) -> str:
    """Say that each is a finite number, 0 or more."""
    least, greatest = _extremes(columns)
    return f"{least} >= 0 AND {greatest} < 'Infinity'"


def finite(*columns: str) -> str:
    """Say that each is a finite number."""
    least, greatest = _extremes(columns)
    return f"{least} > '-Infinity' AND {greatest} < 'Infinity'"


def percent_change(*columns: str) -> str:
    """Say that each is a change in percent of what is never negative."""
    least, greatest = _extremes(columns)
    return f"{least} >= -100 AND {greatest} < 'Infinity'"


def score(*columns: str) -> str:
    """Say that each is from 0 to 100."""
    least, greatest = _extremes(columns)
    return f"{least} >= 0 AND {greatest} <= 100"


def _extremes(columns: Sequence[str]) -> tuple[str, str]:
    """Return the least and the greatest of columns: two comparisons a row, however many."""
    if len(columns) == 1:
        return columns[0], columns[0]
    listed = ", ".join(columns)
    return f"least({listed})", f"greatest({listed})"


def link(column: str) -> str:
    """Say that it is an address of the web; no javascript: gets into a page."""
    return f"{column} ~* '^https?://\\S+$' AND length({column}) <= 500"


def length(column: str, most: int) -> str:
    """Say that it is a text that is not empty."""
    return f"length({column}) BETWEEN 1 AND {most}"


def levels(column: str) -> str:
    """Say that it is a side of a book: an array of [price, amount], each price above 0."""
    level = (
        '@.type() == "array" && @.size() == 2'
        ' && @[0].type() == "number" && @[1].type() == "number" && @[0] > 0 && @[1] >= 0'
    )
    return (
        f"jsonb_typeof({column}) = 'array'"
        f" AND NOT jsonb_path_exists({column}, 'strict $[*] ? (!({level}))')"
    )
