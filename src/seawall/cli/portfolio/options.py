"""What commands of `seawall portfolio` have in common."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from seawall.portfolios.schemas import LotMethod

Name = Annotated[str, typer.Argument(metavar="NAME", help="The portfolio's name.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept.")]
METHODS = "fifo|lifo|hifo|average"


def read_time(text: str) -> datetime:
    """Read an instant that an option was given."""
    from seawall.core.errors import InvalidError
    from seawall.core.time import parse_time

    try:
        return parse_time(text)
    except InvalidError as error:
        raise typer.BadParameter(str(error)) from error


def read_method(lots: str) -> "LotMethod":
    """Read which lots leave first."""
    from seawall.portfolios.schemas import LotMethod

    if lots not in set(LotMethod):
        raise typer.BadParameter(
            f"{lots!r} is not one of {', '.join(LotMethod)}", param_hint="--lots"
        )
    return LotMethod(lots)
