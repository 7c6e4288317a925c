"""The values that scores travel in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from seawall.quant.scores import Component, Level


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of an asset for one component: a number or a word, and from when it is.

    None says in `reason` why nothing is known.
    """

    value: float | str | None
    time: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was known of an asset as of an instant, by component."""

    asset: str
    asset_id: int
    as_of: datetime
    known_at: datetime
    by_component: Mapping[Component, Fact]


@dataclass(frozen=True, slots=True)
class ScoredComponent:
    """A component with its own score, what it weighs and adds, and how old its fact was.

    What is missing has no score and weighs nothing; `reason` says why.
    """

    component: Component
    input: float | str | None
    score: float | None
    weight: float
    contribution: float
    data_time: datetime | None
    data_age_seconds: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class AssetScore:
    """How risky an asset is, as of an instant, as it was known at another.

    Without a score `reason` says why there is none. The components that are scored add up to it.
    """

    asset: str
    asset_id: int
    as_of: datetime
    known_at: datetime
    score: float | None
    level: Level | None
    components: tuple[ScoredComponent, ...]
    reason: str
    notes: tuple[str, ...]

    @property
    def drivers(self) -> tuple[ScoredComponent, ...]:
        """The components that raise the score most, the first of them most."""
        known = [each for each in self.components if each.score is not None]
        return tuple(sorted(known, key=lambda each: -each.contribution))
