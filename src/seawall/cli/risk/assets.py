"""`seawall risk assets`: what was measured of assets, and the same computed again."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli import output
from seawall.cli.exits import CONFLICT
from seawall.cli.output import Json, console, print_json, print_table, table
from seawall.cli.session import AsOf, open_session, run

if TYPE_CHECKING:
    from seawall.risk.assets.measure import Recomputed
    from seawall.risk.schemas import AssetFigures

PERCENTAGES = ("volatility", "var_95", "expected_shortfall", "max_drawdown")
NUMBERS = ("sharpe_ratio", "beta", "correlation_btc", "correlation_sp500")


def assets(
    symbols: Annotated[
        list[str] | None, typer.Argument(metavar="SYMBOL", help="Assets; else all measured ones.")
    ] = None,
    window: Annotated[int, typer.Option(help="Over how many daily returns: 30, 90 or 365.")] = 365,
    as_of: AsOf = None,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Compute each again as it was known, and compare.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Show the newest figures of assets that the worker has measured.

    With --recompute each is computed again from the prices known when it was measured; exit code
    5 when one is not the same.
    """
    wanted = tuple(symbol.upper() for symbol in symbols or ())
    if recompute:
        compared = run(_recompute(wanted, window, as_of))
        if as_json:
            print_json(compared)
        else:
            _print_compared(compared)
        return CONFLICT if any(each.differs for each in compared) else 0
    found = run(_list(wanted, window, as_of))
    if as_json:
        print_json(found)
    else:
        _print(found)
    return 0


async def _list(
    symbols: tuple[str, ...], window: int, as_of: datetime | None
) -> "list[AssetFigures]":
    from seawall.risk.assets.measure import list_figures

    async with open_session() as session:
        return await list_figures(session, symbols, window, as_of)


async def _recompute(
    symbols: tuple[str, ...], window: int, as_of: datetime | None
) -> "list[Recomputed]":
    from seawall.risk.assets.measure import list_figures, recompute

    async with open_session() as session:
        found = await list_figures(session, symbols, window, as_of)
        return [await recompute(session, each) for each in found]


def _print(found: "list[AssetFigures]") -> None:
    shown = table(
        "Asset", "As of", ">Days", ">Volatility", ">VaR 95", ">ES", ">Drawdown",
        ">Sharpe", ">Beta", ">BTC", ">S&P 500",
    )  # fmt: skip
    for each in found:
        shown.add_row(
            each.asset,
            output.day(each.time),
            str(each.observations),
            *(output.percent(each.figures[name]) for name in PERCENTAGES),
            *(output.number(each.figures[name], 2) for name in NUMBERS),
        )
    print_table(shown)


def _print_compared(compared: "list[Recomputed]") -> None:
    for each in compared:
        what = f"{each.kept.asset} as of {output.day(each.kept.time)}"
        said = f"differs in {', '.join(each.differs)}" if each.differs else "the same"
        console().print(f"{what}: {said}.")
