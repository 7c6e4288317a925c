"""`seawall risk score`: how risky assets are, from 0 to 100, and why."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli import output
from seawall.cli.exits import CONFLICT
from seawall.cli.output import Json, console, print_json, print_table, table
from seawall.cli.session import AsOf, open_session, run

if TYPE_CHECKING:
    from seawall.risk.scores.schemas import AssetScore, ScoredComponent
    from seawall.risk.scores.score import Recomputed

DRIVERS = 3
"""How many components are named beside a score."""


def score(
    symbols: Annotated[
        list[str] | None, typer.Argument(metavar="[SYMBOL]...", help="Assets; without any, all.")
    ] = None,
    *,
    as_of: AsOf = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what each component adds, and from when it is.")
    ] = False,
    store: Annotated[
        bool, typer.Option("--store/--no-store", help="Keep each as the score of its UTC day.")
    ] = True,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Compute kept scores again as they were known.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Score coins from 0 to 100 by how much may be lost.

    Scores are low below 25, medium below 50, high below 75, and extreme. With --recompute the
    newest kept scores are compared with the same computed again; exit code 5 when one differs.
    """
    wanted = [symbol.upper() for symbol in symbols] if symbols else None
    if recompute:
        return _print_recomputed(run(_recompute(wanted, as_of)), as_json=as_json)
    found = run(_score(wanted, as_of, keep=store))
    if as_json:
        print_json({"scores": found})
    elif not found:
        typer.echo("There is no coin to score yet. Import prices: seawall market import FILE")
    elif explain:
        for each in found:
            _explain(each)
    else:
        _print(found)
    return 0


async def _score(
    symbols: list[str] | None, as_of: datetime | None, *, keep: bool
) -> "list[AssetScore]":
    from seawall.risk.scores.score import score_assets

    async with open_session() as session:
        return await score_assets(session, as_of, symbols, keep=keep)


async def _recompute(symbols: list[str] | None, as_of: datetime | None) -> "list[Recomputed]":
    from seawall.risk.scores.score import latest_scores, recompute

    async with open_session() as session:
        kept = await latest_scores(session, symbols, as_of)
        return [await recompute(session, each) for each in kept]


def _print(found: "list[AssetScore]") -> None:
    shown = table("Asset", ">Score", "Level", "~Most of it", "~Note")
    for each in sorted(found, key=lambda one: (one.score is None, -(one.score or 0), one.asset)):
        drivers = ", ".join(
            f"{_name(part)} {part.contribution:.0f}" for part in each.drivers[:DRIVERS]
        )
        notes = each.reason or " ".join(each.notes)
        shown.add_row(each.asset, output.number(each.score, 1), each.level or "-", drivers, notes)
    print_table(shown)


def _explain(made: "AssetScore") -> None:
    screen = console()
    told = made.reason if made.score is None else f"{made.score:.1f}, {made.level}"
    screen.print(f"{made.asset} as of {output.day(made.as_of)} UTC: {told}\n", soft_wrap=True)
    shown = table("Component", ">Input", ">Score", ">Weight", ">Adds", ">Age", "~")
    for each in made.components:
        shown.add_row(
            _name(each),
            _input(each),
            output.number(each.score, 1),
            output.percent(each.weight, 1) if each.score is not None else "-",
            output.number(each.contribution, 1) if each.score is not None else "-",
            output.age(each.data_age_seconds),
            each.reason,
        )
    print_table(shown)
    output.print_notes(screen, made.notes)
    screen.print()


def _name(part: "ScoredComponent") -> str:
    return part.component.replace("_", " ")


def _input(part: "ScoredComponent") -> str:
    if not isinstance(part.input, float):
        return part.input or "-"
    match part.component.value:
        case "volatility":
            return f"{part.input:.2%} a day"
        case "liquidity":
            return f"{part.input * 1e8:.3g} % per USD m"
        case "age":
            return f"{part.input:,.0f} days"
        case "size":
            return f"{part.input:,.0f} USD"
        case _:
            return f"{part.input:.4g}"


def _print_recomputed(found: "list[Recomputed]", *, as_json: bool) -> int:
    if as_json:
        compared = [
            {"identical": each.is_identical, "kept": each.kept, "recomputed": each.again}
            for each in found
        ]
        print_json({"scores": compared})
    else:
        for each in found:
            said = "identical" if each.is_identical else "different"
            typer.echo(f"{each.kept.asset} as of {output.day(each.kept.as_of)}: {said}.")
    return 0 if all(each.is_identical for each in found) else CONFLICT
