"""How a stress test is laid down in a row, and the question read from it again."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from seawall.core.errors import InvalidError
from seawall.core.money import plain
from seawall.risk.scenarios.schemas import (
    AssetStress,
    Basis,
    Default,
    Depeg,
    Historical,
    Rest,
    Reverse,
    Scenario,
    Selling,
    Shocks,
    StressResult,
    Together,
)

_KINDS: dict[str, type[Scenario]] = {
    "historical": Historical,
    "shocks": Shocks,
    "depeg": Depeg,
    "default": Default,
    "correlations": Together,
    "liquidity": Selling,
    "reverse": Reverse,
}
MINUTES_PER_DAY = 1_440
_NAMES = {kind: name for name, kind in _KINDS.items()}


def write_question(scenario: Scenario, basis: Basis) -> dict[str, Any]:
    """Return what was asked as JSON has it."""
    asked: dict[str, Any] = {"kind": _NAMES[type(scenario)], **asdict(scenario), **asdict(basis)}
    if isinstance(scenario, Shocks):
        asked["shocks"] = [list(each) for each in scenario.shocks]
        asked["rest"] = scenario.rest.value
    return asked


def read_question(asked: Mapping[str, Any]) -> tuple[Scenario, Basis]:
    """Return the scenario that was asked, and what it was measured on.

    Raises:
        InvalidError: it is none that this release knows.
    """
    kind = _KINDS.get(str(asked.get("kind")))
    if kind is None:
        raise InvalidError("The stress test was not made by this command; it cannot be repeated.")
    given = {each.name: asked[each.name] for each in fields(kind)}
    if kind is Shocks:
        given["shocks"] = tuple((str(name), float(shock)) for name, shock in given["shocks"])
        given["rest"] = Rest(given["rest"])
    return kind(**given), Basis(asked["window"], asked["t_tailed"])


def recovery_minutes(result: StressResult) -> int | None:
    """Return the time to recover as it is kept."""
    days = result.recovery_days
    return None if days is None else round(days * MINUTES_PER_DAY)


def write_details(result: StressResult) -> dict[str, Any]:
    """Return all of a result that has no column, but for when it was known."""
    return {
        "title": result.title,
        "question": dict(result.question),
        "loss": result.loss,
        "figures": dict(result.figures),
        "reasons": dict(result.reasons),
        "assets": [_asset(each) for each in result.assets],
        "notes": list(result.notes),
    }


def _asset(each: AssetStress) -> dict[str, Any]:
    return {
        "asset": each.asset,
        "value_usd": plain(each.value_usd),
        "weight": each.weight,
        "shock": each.shock,
        "loss_usd": None if each.loss_usd is None else plain(each.loss_usd),
        "source": each.source.value,
        "facts": dict(each.facts),
    }
