"""The values that scenarios travel in: what is asked, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from seawall.core.errors import InvalidError
from seawall.risk.schemas import DEFAULT_WINDOW, MAX_WINDOW

NAME_LIMIT = 80
DEFAULT_DEPEG = 0.9
DEFAULT_REVERSE_LOSS = 0.2
EVERY_STABLECOIN = ""

Fact = float | int | str | None


class Source(StrEnum):
    """How what an asset does in a scenario is known."""

    REPLAYED = "replayed"
    FACTOR = "factor"
    STILL = "still"
    GIVEN = "given"
    MODEL = "model"
    UNKNOWN = "unknown"


class Rest(StrEnum):
    """What happens to the assets that no shock names."""

    NONE = "none"
    BETA = "beta"


@dataclass(frozen=True, slots=True)
class Basis:
    """What betas and covariances are measured on: how many daily returns, with which tails.

    Raises:
        InvalidError: the window is out of range.
    """

    window: int = DEFAULT_WINDOW
    t_tailed: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.window <= MAX_WINDOW:
            raise InvalidError(f"A window of {self.window} days is not within 1 to {MAX_WINDOW}.")


@dataclass(frozen=True, slots=True)
class Historical:
    """An event of the catalogue, over again."""

    event: str

    @property
    def slug(self) -> str:
        """What it is kept as."""
        return self.event


@dataclass(frozen=True, slots=True)
class Shocks:
    """Shocks that somebody chose, by selector: an asset, kind:…, chain:… or all.

    Raises:
        InvalidError: there is none, one is below -1 or not finite, or the name does not do.
    """

    name: str
    shocks: tuple[tuple[str, float], ...]
    rest: Rest = Rest.NONE

    def __post_init__(self) -> None:
        if not self.name.isprintable() or not 0 < len(self.name) <= NAME_LIMIT:
            raise InvalidError(
                f"{self.name[:NAME_LIMIT]!r} cannot name a scenario.",
                hint=f"Use 1 to {NAME_LIMIT} printable characters.",
            )
        if not self.shocks:
            raise InvalidError(f"The scenario {self.name!r} has no shock.")
        for selector, shock in self.shocks:
            if not -1 <= shock < float("inf"):
                raise InvalidError(
                    f"A shock of {shock:.4%} to {selector} is not possible: nothing loses more"
                    " than all of its price.",
                    hint="Write a fall of 40 % as -40% or -0.4.",
                )

    @property
    def slug(self) -> str:
        """What it is kept as."""
        return self.name


@dataclass(frozen=True, slots=True)
class Depeg:
    """A stablecoin, or every one that is held, at a price in USD.

    Raises:
        InvalidError: the price is negative or not finite.
    """

    asset: str = EVERY_STABLECOIN
    price: float = DEFAULT_DEPEG

    def __post_init__(self) -> None:
        if not 0 <= self.price < float("inf"):
            raise InvalidError(f"A stablecoin cannot have a price of {self.price}.")

    @property
    def slug(self) -> str:
        """What it is kept as."""
        return f"depeg-{self.asset.lower() or 'stablecoins'}"


@dataclass(frozen=True, slots=True)
class Default:
    """An exchange that pays back only a part of what it holds.

    Raises:
        InvalidError: the recovery rate is not within 0 to 1.
    """

    place: str
    recovery: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.recovery <= 1:
            raise InvalidError(
                f"A recovery rate of {self.recovery} is not within 0 to 1.",
                hint="Write 10 % as 0.1.",
            )

    @property
    def slug(self) -> str:
        """What it is kept as."""
        return f"default-{self.place}"


@dataclass(frozen=True, slots=True)
class Together:
    """Every correlation moved to a target, all the way (a strength of 1) or a part of it."""

    target: float = 1.0
    strength: float = 1.0
    confidence: float = 0.95

    @property
    def slug(self) -> str:
        """What it is kept as."""
        return "correlations"


@dataclass(frozen=True, slots=True)
class Selling:
    """All that is held sold at a share of the daily volume, within a horizon of days."""

    participation: float = 0.1
    horizon: float = 5.0

    @property
    def slug(self) -> str:
        """What it is kept as."""
        return "liquidity"


@dataclass(frozen=True, slots=True)
class Reverse:
    """The smallest shock that loses a fraction, and how plausible it is within days.

    Raises:
        InvalidError: the loss is not between 0 and 1, or there are no days.
    """

    loss: float = DEFAULT_REVERSE_LOSS
    days: float = 5.0

    def __post_init__(self) -> None:
        if not 0 < self.loss <= 1:
            raise InvalidError(
                f"A loss of {self.loss:g} to look for is not above 0 and at most 1.",
                hint="Write 20 % as 20% or 0.2.",
            )
        if not 0 < self.days < float("inf"):
            raise InvalidError(f"{self.days:g} days are not above 0.")

    @property
    def slug(self) -> str:
        """What it is kept as."""
        return "reverse"


Scenario = Historical | Shocks | Depeg | Default | Together | Selling | Reverse


@dataclass(frozen=True, slots=True)
class AssetStress:
    """What a scenario does to one holding: its shock as a fraction, and its loss in USD.

    Both are None where they are not known; `facts` are what the scenario knows of it besides.
    """

    asset: str
    value_usd: Decimal
    weight: float
    shock: float | None
    loss_usd: Decimal | None
    source: Source
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StressResult:
    """What a scenario costs a portfolio, why something of it is None, and what it rests on.

    The loss is the one at the worst point, positive; a gain is a negative loss. `recovery_days` are
    those from the worst point until the start's value was regained.
    """

    scenario: str
    title: str
    question: Mapping[str, object]
    portfolio: str
    portfolio_id: UUID
    as_of: datetime
    known_at: datetime
    portfolio_value: Decimal | None
    loss_usd: Decimal | None
    loss: float | None
    recovery_days: float | None
    figures: Mapping[str, Fact]
    reasons: Mapping[str, str]
    assets: tuple[AssetStress, ...]
    notes: tuple[str, ...]
    id: UUID | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class KeptStressTest:
    """A stress test as it is kept; `loss_percentage` is in per cent, `details` the rest of it."""

    id: UUID
    portfolio_id: UUID
    scenario: str
    as_of: datetime
    portfolio_value: Decimal
    loss_usd: Decimal
    loss_percentage: float
    recovery_minutes: int | None
    details: Mapping[str, object]
    created_at: datetime
