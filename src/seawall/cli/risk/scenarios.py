"""`seawall risk scenarios`: what a portfolio would lose, in events and in what one makes up."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from seawall.cli.exits import CONFLICT
from seawall.cli.output import Json, print_json
from seawall.cli.session import AsOf, open_session, run

if TYPE_CHECKING:
    from seawall.risk.scenarios.run import RepeatedStress
    from seawall.risk.scenarios.schemas import KeptStressTest, Scenario, StressResult

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="The portfolio's name.")]
Slugs = Annotated[
    list[str] | None, typer.Option("--scenario", help="One of --list; several may be given.")
]
Listed = Annotated[bool, typer.Option("--list", help="List the scenarios that there are.")]
Shock = Annotated[
    list[str] | None,
    typer.Option(help="BTC=-40%, kind:stablecoin=-5%, chain:solana=-60% or all=-30%."),
]
RestOf = Annotated[
    str, typer.Option("--rest", help="What else is held: none, or beta times BTC's shock.")
]
ShockFile = Annotated[
    Path | None, typer.Option("--shocks", metavar="FILE", help="Shocks in a TOML or JSON file.")
]
Depegs = Annotated[
    list[str] | None, typer.Option("--depeg", help="A stablecoin at a price: USDT=0.9.")
]
DefaultOf = Annotated[
    list[str] | None, typer.Option("--default-of", help="An exchange that stops paying out.")
]
Recovery = Annotated[float, typer.Option(help="The part that it pays back.")]
Correlation = Annotated[
    float | None, typer.Option(help="Where every correlation moves: 1 for all together.")
]
Strength = Annotated[float, typer.Option(help="How far correlations move: 1 is all the way.")]
Confidence = Annotated[float, typer.Option(help="Of the tail with such correlations.")]
Liquidity = Annotated[bool, typer.Option("--liquidity", help="How long selling everything takes.")]
Participation = Annotated[float, typer.Option(help="The part of a day's volume that is sold.")]
Horizon = Annotated[float, typer.Option(help="Days for selling, and for the shock in reverse.")]
ReverseLoss = Annotated[
    str | None, typer.Option("--reverse", help="Find the smallest shock that loses this: 20%.")
]
Returns = Annotated[int, typer.Option("--window", help="Daily returns for betas and covariances.")]
Tails = Annotated[bool, typer.Option("--t-tailed", help="Betas with Student-t errors.")]
Details = Annotated[bool, typer.Option("--details", help="Show what each holding does.")]
History = Annotated[bool, typer.Option("--history", help="List the stress tests that are kept.")]
Again = Annotated[
    UUID | None, typer.Option("--recompute", metavar="ID", help="Run a kept one as it was known.")
]
Limit = Annotated[int, typer.Option(min=1, help="How many of --history at most.")]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is to be run, as it was written."""

    slugs: list[str]
    shocks: list[str]
    file: Path | None
    depegs: list[str]
    places: list[str]
    reverse: str | None


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms, as far as they concern what is run."""

    rest: str
    recovery: float
    correlation: float | None
    strength: float
    confidence: float
    liquidity: bool
    participation: float
    horizon: float


def scenarios(  # noqa: PLR0917 - one argument an option
    name: Name = None,
    scenario: Slugs = None,
    listed: Listed = False,
    shock: Shock = None,
    rest: RestOf = "none",
    shocks: ShockFile = None,
    depeg: Depegs = None,
    default_of: DefaultOf = None,
    recovery: Recovery = 0.0,
    correlation: Correlation = None,
    strength: Strength = 1.0,
    confidence: Confidence = 0.95,
    liquidity: Liquidity = False,
    participation: Participation = 0.1,
    horizon: Horizon = 5.0,
    reverse: ReverseLoss = None,
    window: Returns = 365,
    t_tailed: Tails = False,
    details: Details = False,
    history: History = False,
    recompute: Again = None,
    limit: Limit = 100,
    as_of: AsOf = None,
    as_json: Json = False,
) -> int:
    """Say what a portfolio would lose in scenarios, and keep it.

    Without a choice all of --list are run, and the default of each exchange that holds something.
    """
    if listed:
        return _list(as_json=as_json)
    if recompute is not None:
        return _recompute(recompute, as_json=as_json)
    if name is None:
        raise typer.BadParameter("Name a portfolio, or ask for --list.", param_hint="NAME")
    if history:
        return _history(name, limit, as_json=as_json)
    chosen = Chosen(scenario or [], shock or [], shocks, depeg or [], default_of or [], reverse)
    terms = Terms(
        rest, recovery, correlation, strength, confidence, liquidity, participation, horizon
    )
    found = run(_run(name, as_of, chosen, terms, (window, t_tailed)))
    if as_json:
        print_json({"results": found})
    else:
        from seawall.cli.risk.stress import print_results

        print_results(found, details=details)
    return 0


def _choose(asked: Chosen, terms: Terms) -> "list[Scenario]":
    """Turn options into scenarios; none of them means all."""
    from seawall.risk.scenarios.given import (
        parse_fraction,
        parse_pair,
        parse_rest,
        parse_shock,
        read_shock_file,
    )
    from seawall.risk.scenarios.schemas import Default, Depeg, Reverse, Selling, Shocks, Together

    chosen: list[Scenario] = [each for slug in asked.slugs for each in _standing(slug, terms)]
    rest = parse_rest(terms.rest)
    if asked.shocks:
        chosen.append(Shocks("shocks", tuple(map(parse_shock, asked.shocks)), rest))
    if asked.file is not None:
        chosen += read_shock_file(asked.file)
    for text in asked.depegs:
        asset, price = parse_pair(text, "stablecoin")
        chosen.append(Depeg(asset, parse_fraction(price, f"the price of {asset}")))
    chosen += [Default(place.strip().lower(), terms.recovery) for place in asked.places]
    if terms.correlation is not None:
        chosen.append(Together(terms.correlation, terms.strength, terms.confidence))
    if terms.liquidity:
        chosen.append(Selling(terms.participation, terms.horizon))
    if asked.reverse is not None:
        chosen.append(Reverse(parse_fraction(asked.reverse, "the loss"), terms.horizon))
    return chosen


def _standing(slug: str, terms: Terms) -> "list[Scenario]":
    """Return a standing scenario by its slug, with the options that concern it."""
    from seawall.risk.scenarios.catalogue import get_event
    from seawall.risk.scenarios.run import standing
    from seawall.risk.scenarios.schemas import Historical, Reverse, Selling, Together

    wanted = slug.strip().lower()
    if wanted == "all":
        return list(standing())
    models: list[Scenario] = [
        Together(1.0, terms.strength, terms.confidence),
        Selling(terms.participation, terms.horizon),
        Reverse(days=terms.horizon),
    ]
    others = {
        each.slug: each for each in (*standing(), *models) if not isinstance(each, Historical)
    }
    return [others[wanted] if wanted in others else Historical(get_event(wanted).slug)]


async def _run(
    name: str, as_of: datetime | None, chosen: Chosen, terms: Terms, basis: tuple[int, bool]
) -> "list[StressResult]":
    from seawall.portfolios.portfolios import get_portfolio
    from seawall.risk.scenarios.run import run_scenarios
    from seawall.risk.scenarios.schemas import Basis

    asked = _choose(chosen, terms)
    async with open_session() as session:
        portfolio = await get_portfolio(session, name)
        return await run_scenarios(session, portfolio, as_of, asked, Basis(*basis))


def _list(*, as_json: bool) -> int:
    from seawall.cli.risk.stress import LISTED, print_list
    from seawall.risk.scenarios.catalogue import EVENTS

    if as_json:
        others = [{"slug": slug, "name": name, "description": text} for slug, name, text in LISTED]
        print_json({"events": EVENTS, "others": others})
    else:
        print_list()
    return 0


def _history(name: str, limit: int, *, as_json: bool) -> int:
    from seawall.cli.risk.stress import print_history

    found = run(_kept(name, limit))
    if as_json:
        print_json({"stress_tests": found})
    elif found:
        print_history(found, limit)
    else:
        typer.echo(f"No stress test is kept. Run some: seawall risk scenarios {name!r}")
    return 0


async def _kept(name: str, limit: int) -> "list[KeptStressTest]":
    from seawall.portfolios.portfolios import get_portfolio
    from seawall.risk.store import list_stress_tests

    async with open_session() as session:
        return await list_stress_tests(session, (await get_portfolio(session, name)).id, limit)


def _recompute(stress_id: UUID, *, as_json: bool) -> int:
    from seawall.cli.risk.stress import print_results

    done = run(_repeat(stress_id))
    if as_json:
        print_json(
            {
                "identical": not done.differs,
                "differs": done.differs,
                "kept": done.kept,
                "recomputed": done.again,
            }
        )
    else:
        print_results([done.again], details=True)
        typer.echo(
            f"Different from the one kept as {stress_id} in: {', '.join(done.differs)}."
            if done.differs
            else f"Identical to the one kept as {stress_id}."
        )
    return CONFLICT if done.differs else 0


async def _repeat(stress_id: UUID) -> "RepeatedStress":
    from seawall.risk.scenarios.run import recompute_stress

    async with open_session() as session:
        return await recompute_stress(session, stress_id)
