"""What is held of each series, and what is missing from it and why."""

from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field

from seawall.api.bodies import Time, Told
from seawall.api.deps import Reader
from seawall.api.operations import routes
from seawall.api.paging import Page, Paged, read_time
from seawall.api.sorting import Listed, Sorts, read_integer, read_small, read_text
from seawall.api.v1.market.asked import Id, Name
from seawall.core.errors import NotFoundError
from seawall.market.browse.schemas import CoverageFilter
from seawall.market.browse.store import pages
from seawall.market.schemas import SeriesKind

router = routes("", "market")
_GapSort = Annotated[
    Literal["start", "-start", "missing", "-missing"],
    Query(description="-missing begins with the longest."),
]
_BY_SYMBOL: Sorts = {"symbol": {"symbol": read_text, "id": read_small}}
_GAPS: Sorts = {
    "start": {"start": read_time},
    "missing": {"missing": read_integer, "start": read_time},
}


class Coverage(Told):
    """What is held of a series; null where nothing can be said to be missing, as of trades."""

    id: int = Field(examples=[1])
    kind: SeriesKind
    symbol: str = Field(examples=["BTC/USDT"])
    exchange: str = Field(examples=["binance"], description="Empty for prices of an asset.")
    symbol_id: int | None
    asset_id: int | None
    timeframe: str | None = Field(examples=["1h"])
    is_simulated: bool
    rows: int
    first_time: Time
    last_time: Time
    missing: int | None = Field(description="How many rows, in all gaps but what expired.")
    gap_count: int | None
    updated_at: Time


class Gap(Told):
    """A stretch that is missing."""

    start: Time = Field(description="The first time that is missing.")
    end: Time = Field(description="The next that is held.")
    missing: int
    reason: Literal["absent_in_source", "not_imported", "expired"]


@router.get("/coverage", operation_id="listCoverage")
async def list_coverage(
    bound: Reader,
    asked: Paged,
    *,
    symbol: Name = None,
    exchange: Name = None,
    kind: SeriesKind | None = None,
    sort: Literal["symbol", "-symbol"] = "symbol",
) -> Page[Coverage]:
    """List what is held; `symbol` is an asset, a pair, or the base of pairs."""
    wanted = CoverageFilter(symbol, exchange, kind)
    listed = Listed(asked, sort, _BY_SYMBOL)
    rows = await pages.page_coverage(bound.session, wanted, listed.span())
    return await listed.page(Coverage, rows, lambda: pages.count_coverage(bound.session, wanted))


@router.get("/coverage/{coverage_id}", operation_id="getCoverage")
async def get_coverage(bound: Reader, coverage_id: Id) -> Coverage:
    """Tell what is held of a series."""
    found = await pages.find_coverage(bound.session, coverage_id)
    if found is None:
        raise NotFoundError("There is no such series.")
    return Coverage.model_validate(found)


@router.get("/coverage/{coverage_id}/gaps", operation_id="listGaps")
async def list_gaps(
    bound: Reader, coverage_id: Id, asked: Paged, sort: _GapSort = "start"
) -> Page[Gap]:
    """List what is missing from a series, and why."""
    if await pages.find_coverage(bound.session, coverage_id) is None:
        raise NotFoundError("There is no such series.")
    listed = Listed(asked, sort, _GAPS)
    rows = await pages.page_gaps(bound.session, coverage_id, listed.span())
    return await listed.page(Gap, rows, lambda: pages.count_gaps(bound.session, coverage_id))
