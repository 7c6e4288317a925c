"""Pages of the catalogue, books, trades, quotes and the coverage."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, bindparam, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from seawall.db.engine import TenantConnection
from seawall.db.paging import LAST, Span, page
from seawall.db.quick import Statement
from seawall.market.browse.schemas import (
    AssetFacts,
    AssetFilter,
    BookFacts,
    CoverageFacts,
    CoverageFilter,
    ExchangeFacts,
    GapFacts,
    QuoteFacts,
    SymbolFacts,
    SymbolFilter,
    TradeFacts,
    Within,
)
from seawall.market.coverage import TOLD
from seawall.market.schemas import SeriesKind, Timeframe
from seawall.market.store import FOUND, beginnings_of
from seawall.market.tables import (
    Asset,
    DataCoverage,
    DataGap,
    Exchange,
    MarketTrade,
    OrderBook,
    Quote,
    Symbol,
)

T = TypeVar("T")
Query = Select[*tuple[Any, ...]]
REGULAR = (SeriesKind.CANDLES, SeriesKind.PRICES)
"""The kinds of series in which something can be said to be missing."""
_BASE, _QUOTE, _SUBJECT = aliased(Asset), aliased(Asset), aliased(Asset)

ASSETS_BY: dict[str, tuple[Any, ...]] = {
    "symbol": (Asset.symbol,),
    "name": (Asset.name, Asset.symbol),
    "rank": (func.coalesce(Asset.rank, LAST), Asset.symbol),
    "created_at": (Asset.created_at, Asset.symbol),
}
"""What assets are sorted by; the rank that is not known comes after all others."""
SYMBOLS_BY: dict[str, tuple[Any, ...]] = {
    "symbol": (Symbol.symbol, Exchange.code),
    "exchange": (Exchange.code, Symbol.symbol),
    "created_at": (Symbol.created_at, Symbol.id),
}
"""What pairs are sorted by."""
_named: ColumnElement[str] = func.coalesce(Symbol.symbol, _SUBJECT.symbol)


def _columns(table: type[Any], facts: type[Any]) -> tuple[InstrumentedAttribute[Any], ...]:
    return tuple(getattr(table, each.name) for each in fields(facts))


async def _all(session: AsyncSession, query: Query, facts: type[T], **given: object) -> list[T]:
    return [facts(*row) for row in await session.execute(query, given)]


async def _count(session: AsyncSession, query: Query, **given: object) -> int:
    counted = select(func.count()).select_from(query.order_by(None).subquery())
    return int(await session.scalar(counted, given) or 0)


_ASSETS = select(*_columns(Asset, AssetFacts))


_ASSET = Statement(_ASSETS.where(Asset.id == bindparam("asset_id")))


async def read_asset(connection: TenantConnection, asset_id: int) -> AssetFacts | None:
    """Return an asset by its id, in a short read."""
    row = await _ASSET.row(connection, asset_id=asset_id)
    return None if row is None else AssetFacts(*row.values())


def _chosen_assets(wanted: AssetFilter) -> tuple[Query, dict[str, object]]:
    query: Query = _ASSETS
    given: dict[str, object] = {}
    if wanted.search is not None:
        query, given = query.where(FOUND), {"beginnings": beginnings_of(wanted.search)}
    if wanted.symbols is not None:
        query = query.where(Asset.symbol.in_(wanted.symbols))
    for column, value in (
        (Asset.symbol, wanted.symbol),
        (Asset.kind, wanted.kind),
        (Asset.blockchain, wanted.blockchain),
        (Asset.is_active, wanted.is_active),
    ):
        if value is not None:
            query = query.where(column == value)
    return query, given


async def page_assets(session: AsyncSession, wanted: AssetFilter, span: Span) -> list[AssetFacts]:
    """Return the next assets in an order of `ASSETS_BY`."""
    query, given = _chosen_assets(wanted)
    return await _all(session, page(query, ASSETS_BY[span.order.by], span), AssetFacts, **given)


async def count_assets(session: AsyncSession, wanted: AssetFilter) -> int:
    """Count assets."""
    query, given = _chosen_assets(wanted)
    return await _count(session, query, **given)


_SYMBOLS = (
    select(
        Symbol.id,
        Symbol.symbol,
        Exchange.code,
        _BASE.symbol,
        _QUOTE.symbol,
        Symbol.base_asset_id,
        Symbol.quote_asset_id,
        _BASE.is_simulated,
        Symbol.status,
        Symbol.min_order_size,
        Symbol.max_order_size,
        Symbol.price_precision,
        Symbol.quantity_precision,
        Symbol.created_at,
        Symbol.updated_at,
    )
    .join(Exchange, Exchange.id == Symbol.exchange_id)
    .join(_BASE, _BASE.id == Symbol.base_asset_id)
    .join(_QUOTE, _QUOTE.id == Symbol.quote_asset_id)
)


_SYMBOL = Statement(_SYMBOLS.where(Symbol.id == bindparam("symbol_id")))


async def read_symbol(connection: TenantConnection, symbol_id: int) -> SymbolFacts | None:
    """Return a pair by its id, in a short read."""
    row = await _SYMBOL.row(connection, symbol_id=symbol_id)
    return None if row is None else SymbolFacts(*row.values())


def _chosen_symbols(wanted: SymbolFilter) -> Query:
    query: Query = _SYMBOLS
    for column, value in (
        (Symbol.symbol, wanted.symbol),
        (Exchange.code, wanted.exchange),
        (_BASE.symbol, wanted.base),
        (_QUOTE.symbol, wanted.quote),
        (Symbol.status, wanted.status),
    ):
        if value is not None:
            query = query.where(column == value)
    return query


async def page_symbols(
    session: AsyncSession, wanted: SymbolFilter, span: Span
) -> list[SymbolFacts]:
    """Return the next pairs in an order of `SYMBOLS_BY`."""
    query = page(_chosen_symbols(wanted), SYMBOLS_BY[span.order.by], span)
    return await _all(session, query, SymbolFacts)


async def count_symbols(session: AsyncSession, wanted: SymbolFilter) -> int:
    """Count pairs."""
    return await _count(session, _chosen_symbols(wanted))


_EXCHANGES = select(*_columns(Exchange, ExchangeFacts))


async def page_exchanges(session: AsyncSession, span: Span) -> list[ExchangeFacts]:
    """Return the next exchanges, by code."""
    return await _all(session, page(_EXCHANGES, (Exchange.code,), span), ExchangeFacts)


async def count_exchanges(session: AsyncSession) -> int:
    """Count exchanges."""
    return await _count(session, _EXCHANGES)


@dataclass(frozen=True, slots=True)
class Ticks:
    """A series of what happens on a pair at instants: its table, and how its rows are sorted."""

    table: type[MarketTrade | OrderBook | Quote]
    facts: type[Any]
    order: tuple[InstrumentedAttribute[Any], ...]


TRADES = Ticks(MarketTrade, TradeFacts, (MarketTrade.time, MarketTrade.trade_id))
BOOKS = Ticks(OrderBook, BookFacts, (OrderBook.time,))
QUOTES = Ticks(Quote, QuoteFacts, (Quote.time,))


def _within(ticks: Ticks, symbol_id: int, within: Within) -> Query:
    table = ticks.table
    query: Query = select(*_columns(table, ticks.facts)).where(table.symbol_id == symbol_id)
    if within.since is not None:
        query = query.where(table.time >= within.since)
    if within.until is not None:
        query = query.where(table.time < within.until)
    return query


async def page_ticks(
    session: AsyncSession, ticks: Ticks, symbol_id: int, within: Within, span: Span
) -> list[Any]:
    """Return the next trades, order books or quotes of a pair in a stretch, as their facts."""
    query = page(_within(ticks, symbol_id, within), ticks.order, span)
    return await _all(session, query, ticks.facts)


async def count_ticks(session: AsyncSession, ticks: Ticks, symbol_id: int, within: Within) -> int:
    """Count the trades, order books or quotes of a pair in a stretch."""
    return await _count(session, _within(ticks, symbol_id, within))


_GAPS = (
    select(func.count())
    .select_from(DataGap)
    .where(DataGap.coverage_id == DataCoverage.id, TOLD)
    .correlate(DataCoverage)
    .scalar_subquery()
)
_IS_REGULAR = DataCoverage.kind.in_(REGULAR)
_COVERAGE = (
    select(
        DataCoverage.id,
        DataCoverage.kind,
        _named,
        func.coalesce(Exchange.code, ""),
        DataCoverage.symbol_id,
        DataCoverage.asset_id,
        DataCoverage.timeframe,
        func.coalesce(_BASE.is_simulated, _SUBJECT.is_simulated),
        DataCoverage.rows,
        DataCoverage.first_time,
        DataCoverage.last_time,
        case((_IS_REGULAR, DataCoverage.missing)),
        case((_IS_REGULAR, _GAPS)),
        DataCoverage.updated_at,
    )
    .outerjoin(Symbol, Symbol.id == DataCoverage.symbol_id)
    .outerjoin(Exchange, Exchange.id == Symbol.exchange_id)
    .outerjoin(_BASE, _BASE.id == Symbol.base_asset_id)
    .outerjoin(_SUBJECT, _SUBJECT.id == DataCoverage.asset_id)
)


def _covered(row: Sequence[Any]) -> CoverageFacts:
    found = CoverageFacts(*row)
    return found if row[6] is None else replace(found, timeframe=str(Timeframe(row[6])))


def _chosen_coverage(wanted: CoverageFilter) -> Query:
    query: Query = _COVERAGE
    if wanted.symbol is not None:
        query = query.where(or_(_named == wanted.symbol, _BASE.symbol == wanted.symbol))
    if wanted.exchange is not None:
        query = query.where(Exchange.code == wanted.exchange)
    if wanted.kind is not None:
        query = query.where(DataCoverage.kind == wanted.kind)
    return query


async def page_coverage(
    session: AsyncSession, wanted: CoverageFilter, span: Span
) -> list[CoverageFacts]:
    """Return the next series, by the name of what they are of."""
    query = page(_chosen_coverage(wanted), (_named, DataCoverage.id), span)
    return [_covered(row) for row in await session.execute(query)]


async def find_coverage(session: AsyncSession, coverage_id: int) -> CoverageFacts | None:
    """Return what is held of one series."""
    query = _COVERAGE.where(DataCoverage.id == coverage_id)
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _covered(row)


async def count_coverage(session: AsyncSession, wanted: CoverageFilter) -> int:
    """Count series."""
    return await _count(session, _chosen_coverage(wanted))


GAPS_BY: dict[str, tuple[Any, ...]] = {
    "start": (DataGap.start_time,),
    "missing": (DataGap.missing, DataGap.start_time),
}
"""What gaps are sorted by."""


def _gaps_of(coverage_id: int) -> Query:
    columns = DataGap.start_time, DataGap.end_time, DataGap.missing, DataGap.reason
    return select(*columns).join(DataCoverage).where(DataGap.coverage_id == coverage_id, TOLD)


async def page_gaps(session: AsyncSession, coverage_id: int, span: Span) -> list[GapFacts]:
    """Return the next gaps of a series, in an order of `GAPS_BY`."""
    return await _all(session, page(_gaps_of(coverage_id), GAPS_BY[span.order.by], span), GapFacts)


async def count_gaps(session: AsyncSession, coverage_id: int) -> int:
    """Count the gaps of a series."""
    return await _count(session, _gaps_of(coverage_id))
