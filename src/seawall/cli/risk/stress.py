"""How stress tests are shown to a person: one line for each, and what each holding does."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from seawall.cli import output
from seawall.cli.output import console, print_table, table
from seawall.risk.scenarios.catalogue import EVENTS
from seawall.risk.scenarios.record import MINUTES_PER_DAY
from seawall.risk.scenarios.schemas import AssetStress, KeptStressTest, Source, StressResult

if TYPE_CHECKING:
    from rich.console import Console

LISTED = (
    ("depeg-stablecoins", "Every stablecoin at 0.90 USD", "Or one, at another price: --depeg."),
    ("correlations", "Correlations of 1", "A day's tail when nothing diversifies: --correlation."),
    ("liquidity", "Selling everything", "Days and slippage at a share of the volume: --liquidity."),
    ("reverse", "The smallest shock that loses 20 %", "And how plausible it is: --reverse."),
)
_FIGURES = {
    "end_loss": ("at the end", output.percent),
    "worst_day": ("worst on", str),
    "volatility_before": ("volatility before", output.percent),
    "volatility": ("then", output.percent),
    "value_at_risk_before": ("value at risk of a day before", output.percent),
    "value_at_risk": ("then", output.percent),
    "expected_shortfall_before": ("expected shortfall before", output.percent),
    "expected_shortfall": ("then", output.percent),
    "observations": ("common returns", str),
    "days_to_exit": ("days to sell all", lambda value: f"{value:,.2g}"),
    "slowest": ("slowest", str),
    "unsold_usd": ("USD unsold in time", lambda value: f"{value:,.2f}"),
    "distance": ("standard deviations", lambda value: output.number(value, 2)),
    "beyond_probability": ("probability of one so far out", lambda value: f"{value:.2g}"),
    "loss_probability": ("probability of such a loss", lambda value: f"{value:.2g}"),
    "btc_move": ("a move of BTC alone", output.percent),
    "btc_deviations": ("standard deviations of BTC", lambda value: output.number(value, 2)),
}


def print_results(found: "Sequence[StressResult]", *, details: bool) -> None:
    """Print what scenarios cost, a line each; with details what each holding does in them."""
    screen = console()
    first = found[0]
    screen.print(
        f"Scenarios for {first.portfolio} as of {output.day(first.as_of)} UTC, worth"
        f" {output.money(first.portfolio_value)} USD\n",
        soft_wrap=True,
    )
    shown = table(
        "Scenario", ">Loss", ">Loss USD", "Worst holding", ">Recovery", "How it is known", "~"
    )
    for each in found:
        shown.add_row(
            each.title,
            output.percent(each.loss, 1),
            output.money(each.loss_usd),
            _worst(each.assets),
            _recovery(each),
            _how(each),
            each.reasons.get("loss", ""),
        )
    print_table(shown)
    screen.print()
    if details:
        for each in found:
            _print_one(screen, each)
    output.print_notes(screen, _notes(found))


def _notes(found: "Sequence[StressResult]") -> list[str]:
    """Say once what is said of several scenarios, and name those of which it is not said of all."""
    of: dict[str, list[str]] = {}
    for each in found:
        for note in each.notes:
            of.setdefault(note, []).append(each.title)
    return [
        note if len(titles) == len(found) else f"{', '.join(titles)}: {note}"
        for note, titles in of.items()
    ]


def _worst(assets: "Sequence[AssetStress]") -> str:
    lost = [each for each in assets if each.loss_usd]
    if not lost:
        return "-"
    worst = max(lost, key=lambda each: each.loss_usd or 0)
    return f"{worst.asset} {output.money(worst.loss_usd)}"


def _recovery(result: "StressResult") -> str:
    if result.recovery_days is not None:
        return f"{result.recovery_days:,.0f} d"
    why = result.reasons.get("recovery", "")
    return "not yet" if why.startswith("not regained") else "unknown" if "prices" in why else "-"


def _how(result: "StressResult") -> str:
    share = result.figures.get("replayed_share")
    if isinstance(share, float):
        return "replayed" if share == 1 else f"{share:.0%} replayed, rest by beta"
    if isinstance(distance := result.figures.get("distance"), float):
        return f"{distance:.1f} deviations of {result.figures['days']:g} days"
    if isinstance(days := result.figures.get("days_to_exit"), float):
        return f"{days:,.2g} days to sell all"
    if isinstance(result.figures.get("expected_shortfall"), float):
        return "a day's shortfall"
    return _sources(result)


def _sources(result: "StressResult") -> str:
    sources = {each.source for each in result.assets} - {Source.STILL}
    if Source.FACTOR in sources:
        return "given, rest by beta" if Source.GIVEN in sources else "by beta"
    return ", ".join(sorted(sources)) or "-"


def _print_one(screen: "Console", result: "StressResult") -> None:
    screen.print(f"{result.title}  ({result.scenario})", style="bold", soft_wrap=True)
    said = [
        f"{name} {write(value)}"  # type: ignore[operator]  # each writes what its figure is
        for slug, (name, write) in _FIGURES.items()
        if (value := result.figures.get(slug)) is not None
    ]
    if said:
        screen.print("; ".join(said), soft_wrap=True)
    for what, why in result.reasons.items():
        screen.print(f"No {what.replace('_', ' ')}: {why}", style="dim", soft_wrap=True)
    if result.assets:
        shown = table("Asset", ">Weight", ">Value USD", ">Shock", ">Loss USD", "Source", "~")
        for each in result.assets:
            shown.add_row(
                each.asset,
                output.percent(each.weight, 1),
                output.money(each.value_usd),
                output.percent(each.shock),
                output.money(each.loss_usd),
                each.source,
                _facts(each),
            )
        print_table(shown)
    if result.id is not None:
        screen.print(f"Kept as {result.id}")
    screen.print()


def _facts(each: "AssetStress") -> str:
    facts = each.facts
    if isinstance(beta := facts.get("beta"), float):
        error, fit = facts.get("standard_error"), facts.get("r_squared")
        rough = "" if fit is None else f", R² {fit:.2f}"
        return f"beta {beta:.2f} ± {error or 0:.2f}{rough}, {facts.get('observations')} returns"
    if "days_to_exit" in facts:
        if not facts.get("volume_source"):
            return ""
        days = facts["days_to_exit"]
        volume = facts["daily_volume_usd"]
        took = "never" if days is None else f"{days:,.4g} days"
        return f"{took} of {volume:,.0f} USD a day ({facts['volume_source']})"
    return str(facts.get("selector") or "")


def print_list() -> None:
    """Print which scenarios there are."""
    shown = table("Scenario", "Name", "Days (UTC)", ">BTC", "~")
    for event in EVENTS:
        days = f"{event.first} to {event.last}"
        loss = output.percent(-event.btc_loss, 1)
        shown.add_row(event.slug, event.name, days, loss, event.description)
    for slug, name, text in LISTED:
        shown.add_row(slug, name, "", "", text)
    print_table(shown)


def print_history(found: "Sequence[KeptStressTest]", limit: int) -> None:
    """Print which stress tests are kept."""
    shown = table("As of (UTC)", "Scenario", ">Value USD", ">Loss", ">Loss USD", ">Recovery", "Id")
    for each in found:
        minutes = each.recovery_minutes
        shown.add_row(
            output.day(each.as_of),
            str(each.details.get("title", each.scenario)),
            output.money(each.portfolio_value),
            output.percent(each.loss_percentage / 100, 1),
            output.money(each.loss_usd),
            "-" if minutes is None else f"{minutes / MINUTES_PER_DAY:,.0f} d",
            str(each.id),
        )
    print_table(shown)
    if len(found) == limit:
        typer.echo("There may be more: --limit shows them.", err=True)
