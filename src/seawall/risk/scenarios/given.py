"""Reading shocks as they are written: BTC=-40%, on the command line or in a TOML or JSON file."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from seawall.core.errors import InvalidError, NotFoundError
from seawall.risk.scenarios.hypothetical import ALL, CHAIN, KIND
from seawall.risk.scenarios.schemas import Rest, Shocks

_FRACTION = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*(%?)", re.ASCII)
_LARGEST = 1_000_000
_KEYS = {"shocks", "rest"}


def parse_fraction(text: str, what: str) -> float:
    """Read -40% or -0.4.

    Raises:
        InvalidError: it is neither.
    """
    found = _FRACTION.fullmatch(text.strip())
    if not found:
        raise InvalidError(f"{what} {text!r} is not a number.", hint="Write it as -40% or -0.4.")
    return float(found[1]) / 100 if found[2] else float(found[1])


def parse_pair(text: str, what: str) -> tuple[str, str]:
    """Read NAME=VALUE; names of assets are put in upper case, kind:, chain: and all in lower.

    Raises:
        InvalidError: there is no name, or no value.
    """
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not name or not value.strip():
        raise InvalidError(f"{what} {text!r} is not NAME=VALUE.", hint="Write it like BTC=-40%.")
    lower = name.lower()
    is_group = lower == ALL or lower.startswith((KIND, CHAIN))
    return (lower if is_group else name.upper()), value.strip()


def parse_shock(text: str) -> tuple[str, float]:
    """Read a selector and its shock: BTC=-40%, kind:stablecoin=-5%, chain:solana=-0.6, all=-30%.

    Raises:
        InvalidError: it is written otherwise.
    """
    selector, value = parse_pair(text, "shock")
    return selector, parse_fraction(value, f"the shock of {selector}")


def parse_rest(text: str) -> Rest:
    """Read what happens to the rest.

    Raises:
        InvalidError: it is neither none nor beta.
    """
    if text not in set(Rest):
        raise InvalidError(f"The rest cannot be {text!r}.", hint="It is none or beta.")
    return Rest(text)


def read_shock_file(path: Path) -> list[Shocks]:
    """Read scenarios from a TOML or JSON file: a table by name, with `shocks` and perhaps `rest`.

    Raises:
        NotFoundError: there is no such file.
        InvalidError: it is not TOML or JSON, or says something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > _LARGEST:
        raise InvalidError(f"{path} is too large for a file of scenarios.")
    try:
        text = content.decode()
        read = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidError(
            f"{path} is neither TOML nor JSON: {error}.", hint="A file of JSON ends with .json."
        ) from error
    if not isinstance(read, Mapping) or not read:
        raise InvalidError(f"{path} has no scenario.")
    return [_scenario(str(name), table) for name, table in read.items()]


def _scenario(name: str, table: object) -> Shocks:
    if not isinstance(table, Mapping) or not isinstance(table.get("shocks"), Mapping):
        raise InvalidError(
            f"The scenario {name!r} has no table of shocks.",
            hint='Write: shocks = { BTC = "-40%", all = "-30%" }.',
        )
    if extra := sorted(set(table) - _KEYS):
        raise InvalidError(f"The scenario {name!r} has {', '.join(extra)}, which is not known.")
    written = [parse_pair(f"{key}={value}", "shock") for key, value in table["shocks"].items()]
    shocks = tuple((key, parse_fraction(value, f"the shock of {key}")) for key, value in written)
    return Shocks(name, shocks, parse_rest(str(table.get("rest", "none"))))
