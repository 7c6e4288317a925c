"""Text in the cells of CSV files, which spreadsheets take for a formula by how it begins.

An apostrophe before it makes it text to them, as OWASP advises against CSV injection. Text that has
an apostrophe there by itself is given one more, so that reading takes off exactly what was added.
"""

import re

MARK = "'"
RISKY = r"^'*[=+@＝＋－＠\t\r\n-]"  # noqa: RUF001 - the wide ones count as formulas too
"""How such text begins, as Python and PostgreSQL read it."""
_RISKY = re.compile(RISKY)


def guard(text: str) -> str:
    """Return a text as it is written into a cell."""
    return MARK + text if _RISKY.match(text) else text


def unguard(cell: str) -> str:
    """Return the text that a cell was written for."""
    return cell[1:] if cell.startswith(MARK) and _RISKY.match(cell) else cell
