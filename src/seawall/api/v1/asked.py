"""How scenarios are asked for: an object by its kind, with what that kind takes."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from seawall.api.bodies import Body
from seawall.risk.scenarios.catalogue import get_event
from seawall.risk.scenarios.given import parse_pair
from seawall.risk.scenarios.schemas import (
    DEFAULT_DEPEG,
    DEFAULT_REVERSE_LOSS,
    EVERY_STABLECOIN,
    NAME_LIMIT,
    Default,
    Depeg,
    Historical,
    Rest,
    Reverse,
    Scenario,
    Selling,
    Shocks,
    Together,
)

_Text = Annotated[
    str, StringConstraints(min_length=1, max_length=NAME_LIMIT, pattern=r"^[^\x00-\x1f]+$")
]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Fraction = Annotated[float, Field(ge=0, le=1)]


class AskedEvent(Body):
    """An event of the catalogue, over again."""

    kind: Literal["historical"]
    event: _Text = Field(examples=["ftx-2022-11"])

    def read(self) -> Scenario:
        """Return it as a scenario."""
        return Historical(get_event(self.event).slug)


class AskedShocks(Body):
    """Shocks by selector: an asset, kind:…, chain:… or all; -0.4 is a fall of 40 %."""

    kind: Literal["shocks"]
    name: _Text = "shocks"
    shocks: dict[_Text, Annotated[_Finite, Field(ge=-1)]] = Field(
        min_length=1, max_length=100, examples=[{"BTC": -0.4, "kind:stablecoin": -0.05}]
    )
    rest: Rest = Rest.NONE

    def read(self) -> Scenario:
        """Return it as a scenario."""
        shocks = tuple(
            (parse_pair(f"{name}={shock}", "shock")[0], shock)
            for name, shock in self.shocks.items()
        )
        return Shocks(self.name, shocks, self.rest)


class AskedDepeg(Body):
    """A stablecoin at a price in USD; null is every one that is held."""

    kind: Literal["depeg"]
    asset: _Text | None = Field(default=None, examples=["USDT"])
    price: Annotated[_Finite, Field(ge=0)] = DEFAULT_DEPEG

    def read(self) -> Scenario:
        """Return it as a scenario."""
        asset = EVERY_STABLECOIN if self.asset is None else self.asset.strip().upper()
        return Depeg(asset, self.price)


class AskedDefault(Body):
    """An exchange that pays back only a part of what it holds."""

    kind: Literal["default"]
    place: _Text = Field(examples=["kraken"])
    recovery: _Fraction = 0.0

    def read(self) -> Scenario:
        """Return it as a scenario."""
        return Default(self.place.strip().lower(), self.recovery)


class AskedCorrelations(Body):
    """Every correlation moved to a target, all the way or a part of it."""

    kind: Literal["correlations"]
    target: Annotated[_Finite, Field(ge=-1, le=1)] = 1.0
    strength: _Fraction = 1.0
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95

    def read(self) -> Scenario:
        """Return it as a scenario."""
        return Together(self.target, self.strength, self.confidence)


class AskedSelling(Body):
    """All that is held sold at a share of the daily volume, within a horizon of days."""

    kind: Literal["liquidity"]
    participation: Annotated[float, Field(gt=0, le=1)] = 0.1
    horizon: Annotated[_Finite, Field(gt=0)] = 5.0

    def read(self) -> Scenario:
        """Return it as a scenario."""
        return Selling(self.participation, self.horizon)


class AskedReverse(Body):
    """The smallest shock that loses a fraction, and how plausible it is within days."""

    kind: Literal["reverse"]
    loss: Annotated[float, Field(gt=0, le=1)] = DEFAULT_REVERSE_LOSS
    days: Annotated[_Finite, Field(gt=0)] = 5.0

    def read(self) -> Scenario:
        """Return it as a scenario."""
        return Reverse(self.loss, self.days)


AskedScenario = Annotated[
    AskedEvent
    | AskedShocks
    | AskedDepeg
    | AskedDefault
    | AskedCorrelations
    | AskedSelling
    | AskedReverse,
    Field(discriminator="kind"),
]


def read_scenarios(asked: Iterable[AskedScenario]) -> list[Scenario]:
    """Return what is asked for as scenarios.

    Raises:
        NotFoundError: an event is not known.
        InvalidError: one makes no sense.
    """
    return [each.read() for each in asked]
