"""How risky assets are: the newest scores, and the figures that a worker has measured."""

from enum import IntEnum
from typing import Annotated

from fastapi import Query
from pydantic import Field, StringConstraints

from seawall.api.bodies import Figure, Time, Told
from seawall.api.deps import Reader
from seawall.api.depth import AsOf
from seawall.api.operations import routes
from seawall.quant.scores import Component, Level
from seawall.risk.assets.store import list_asset_figures
from seawall.risk.scores.score import latest_scores

router = routes("/risk", "risk")
_Symbol = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[^\x00]+$")]
_Assets = Annotated[
    list[_Symbol] | None,
    Query(max_length=200, description="Only of these; others are left out.", examples=[["BTC"]]),
]


class ScoreComponent(Told):
    """A part of a score: its own, what it weighs and adds, and how old its fact was."""

    component: Component
    input: float | str | None
    score: Figure
    weight: Figure
    contribution: Figure
    data_time: Time | None
    data_age_seconds: Figure
    reason: str = Field(description="Why there is none.")


class Score(Told):
    """How risky an asset is, from 0 to 100; what is scored adds up to it."""

    asset: str = Field(examples=["BTC"])
    as_of: Time
    known_at: Time
    score: Figure
    level: Level | None
    components: list[ScoreComponent]
    notes: list[str]


class Scores(Told):
    """The newest score of each asset, by symbol."""

    items: list[Score]


@router.get("/scores", operation_id="listScores")
async def list_scores(bound: Reader, as_of: AsOf, assets: _Assets = None) -> Scores:
    """Tell the newest scores by an instant, now if none is given."""
    found = await latest_scores(bound.session, _upper(assets), as_of)
    return Scores(items=[Score.model_validate(each) for each in found])


class AssetWindow(IntEnum):
    """The numbers of daily returns over which assets are measured."""

    MONTH = 30
    QUARTER = 90
    YEAR = 365


class MeasuredAsset(Told):
    """What was measured of an asset over the window that ends at a midnight."""

    asset: str = Field(examples=["BTC"])
    time: Time
    known_at: Time
    window: int
    benchmark: str
    observations: int
    figures: dict[str, Figure]


class MeasuredAssets(Told):
    """The newest figures of each asset, by symbol."""

    items: list[MeasuredAsset]


@router.get("/assets", operation_id="listAssetRisk")
async def list_assets(
    bound: Reader,
    as_of: AsOf,
    assets: _Assets = None,
    window: Annotated[
        AssetWindow, Query(description="Over how many daily returns.")
    ] = AssetWindow.YEAR,
) -> MeasuredAssets:
    """Tell the newest figures of assets by an instant, now if none is given."""
    found = await list_asset_figures(bound.session, _upper(assets) or (), int(window), as_of)
    return MeasuredAssets(items=[MeasuredAsset.model_validate(each) for each in found])


def _upper(symbols: list[str] | None) -> list[str] | None:
    return None if symbols is None else [each.strip().upper() for each in symbols]
