"""The SQL of market data: the catalogue and the series."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import exists, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from seawall.db import series as chunks
from seawall.db.bulk import Column
from seawall.db.merge import KeyedSeries
from seawall.db.positions import CHANGED_SINCE, Position
from seawall.market.schemas import SeriesKind
from seawall.market.tables import SEARCHED, Asset, DataCoverage, Exchange, Symbol

TIME = Column("time", "<M8[us]")
_SYMBOL = Column("symbol_id", "<i4")
_WORD = re.compile(r"[^\s\0'\\]+")
_LONGEST_SEARCH = 200

_REPRICED = text(f"""
    SELECT DISTINCT base_asset_id FROM data_coverage JOIN symbols ON symbols.id = symbol_id
    WHERE kind = 'candles' AND base_asset_id = ANY(:assets)
        AND {CHANGED_SINCE.format(table="data_coverage")}
""")  # noqa: S608 - put together from constants

CANDLES = KeyedSeries(
    chunks.CANDLES,
    (_SYMBOL, Column("timeframe", "<i4")),
    (TIME,),
    (
        Column("open", "<f8"),
        Column("high", "<f8"),
        Column("low", "<f8"),
        Column("close", "<f8"),
        Column("volume", "<f8", float("nan")),
        Column("quote_volume", "<f8", float("nan")),
        Column("trade_count", "<i8", -1),
    ),
    chunks.CANDLE_REVISIONS,
)
PRICES = KeyedSeries(
    chunks.PRICE_HISTORY,
    (Column("asset_id", "<i4"),),
    (TIME,),
    (Column("price_usd", "<f8"),),
    chunks.PRICE_REVISIONS,
)
QUOTES = KeyedSeries(
    chunks.QUOTES,
    (_SYMBOL,),
    (TIME,),
    tuple(
        Column(name, "<f8", float("nan"))
        for name in ("bid_price", "bid_size", "ask_price", "ask_size")
    ),
)
TRADES = KeyedSeries(
    chunks.MARKET_TRADES,
    (_SYMBOL,),
    (TIME, Column("trade_id", "<i8")),
    (Column("side", "<i2", 0), Column("price", "<f8"), Column("quantity", "<f8")),
)

KEYED: dict[SeriesKind, KeyedSeries] = {
    SeriesKind.CANDLES: CANDLES,
    SeriesKind.PRICES: PRICES,
    SeriesKind.QUOTES: QUOTES,
    SeriesKind.TRADES: TRADES,
}


@dataclass(frozen=True, slots=True)
class AssetRecord:
    """An asset of the catalogue."""

    id: int
    symbol: str
    kind: str
    is_simulated: bool


@dataclass(frozen=True, slots=True)
class SymbolRecord:
    """A pair of the catalogue with the assets that it trades."""

    id: int
    symbol: str
    exchange: str
    base: AssetRecord
    quote: AssetRecord


@dataclass(frozen=True, slots=True)
class OrderRules:
    """What a pair's exchange asks of the size of an order; None where it is not known.

    Sizes are quantities of the base, and the precision is decimal places of them.
    """

    least: Decimal | None = None
    most: Decimal | None = None
    places: int | None = None


def _facts(asset: type[Asset] = Asset) -> tuple[InstrumentedAttribute[Any], ...]:
    """Name the columns of an `AssetRecord`; descriptions and links would only be carried along."""
    return asset.id, asset.symbol, asset.kind, asset.is_simulated


async def get_or_create_asset(
    session: AsyncSession, symbol: str, kind: str, *, name: str = "", is_simulated: bool = False
) -> AssetRecord:
    """Return an asset by its symbol, made when it is not there."""
    await session.execute(
        insert(Asset)
        .values(symbol=symbol, kind=kind, name=name or symbol, is_simulated=is_simulated)
        .on_conflict_do_nothing(index_elements=["symbol"])
    )
    found = await session.execute(select(*_facts()).where(Asset.symbol == symbol))
    return AssetRecord(*found.one())


async def find_assets(session: AsyncSession, symbols: Iterable[str]) -> dict[str, AssetRecord]:
    """Return those of these symbols that are in the catalogue, by symbol."""
    rows = await session.execute(select(*_facts()).where(Asset.symbol.in_(sorted(set(symbols)))))
    return {row.symbol: AssetRecord(*row) for row in rows}


async def find_chains(session: AsyncSession, symbols: Iterable[str]) -> dict[str, str]:
    """Return on which blockchain each of these assets lives, as far as the catalogue knows."""
    rows = await session.execute(
        select(Asset.symbol, Asset.blockchain).where(
            Asset.symbol.in_(sorted(set(symbols))), Asset.blockchain.is_not(None)
        )
    )
    return {row.symbol: row.blockchain for row in rows}


async def list_priced(session: AsyncSession) -> list[str]:
    """Return the symbols of the assets that a pair with candles prices, in order."""
    query = (
        select(Asset.symbol)
        .distinct()
        .join(Symbol, Symbol.base_asset_id == Asset.id)
        .join(DataCoverage, DataCoverage.symbol_id == Symbol.id)
        .where(DataCoverage.kind == SeriesKind.CANDLES, DataCoverage.rows > 0)
        .order_by(Asset.symbol)
    )
    return list(await session.scalars(query))


FOUND = text(f"{SEARCHED} @@ to_tsquery('simple', :beginnings)")
"""Whether an asset's symbol and name have words with these `beginnings_of` a search."""


def beginnings_of(words: str) -> str:
    """Write a search as words that begin so, all of which are to be there; empty for no word."""
    return " & ".join(f"'{word}':*" for word in _WORD.findall(words[:_LONGEST_SEARCH]))


async def list_repriced(session: AsyncSession, assets: Iterable[int], since: Position) -> set[int]:
    """Return those of these assets of which candles were taken in since a position."""
    given = {"assets": sorted(assets), "since": since.snapshot}
    return set(await session.scalars(_REPRICED, given))


async def search_assets(session: AsyncSession, words: str, limit: int = 20) -> list[AssetRecord]:
    """Return active assets in whose symbol and name each of these words begins one.

    The best known come first: by rank, then by symbol.
    """
    beginnings = beginnings_of(words)
    if not beginnings:
        return []
    rows = await session.execute(
        select(*_facts())
        .where(FOUND, Asset.is_active)
        .order_by(Asset.rank, Asset.symbol)
        .limit(limit),
        {"beginnings": beginnings},
    )
    return [AssetRecord(*row) for row in rows]


async def read_kind(session: AsyncSession, asset_id: int, *, to_change: bool = False) -> str:
    """Return what kind of thing an asset is, which nobody changes until the transaction ends."""
    query = select(Asset.kind).where(Asset.id == asset_id).with_for_update(read=not to_change)
    return (await session.scalars(query)).one()


async def is_traded(session: AsyncSession, asset_id: int) -> bool:
    """Tell whether any pair has the asset as its base or quote."""
    pairs = exists().where(or_(Symbol.base_asset_id == asset_id, Symbol.quote_asset_id == asset_id))
    return bool(await session.scalar(select(pairs)))


async def set_kind(session: AsyncSession, asset: AssetRecord, kind: str) -> AssetRecord:
    """Change what kind of thing an asset is."""
    await session.execute(update(Asset).where(Asset.id == asset.id).values(kind=kind))
    return replace(asset, kind=kind)


async def list_assets(session: AsyncSession) -> list[AssetRecord]:
    """Return every asset, by symbol."""
    rows = await session.execute(select(*_facts()).order_by(Asset.symbol))
    return [AssetRecord(*row) for row in rows]


async def get_or_create_symbol(
    session: AsyncSession, exchange: str, base: AssetRecord, quote: AssetRecord
) -> SymbolRecord:
    """Return a pair on an exchange, both made when they are not there."""
    await session.execute(
        insert(Exchange).values(code=exchange).on_conflict_do_nothing(index_elements=["code"])
    )
    exchange_id = await session.scalar(select(Exchange.id).where(Exchange.code == exchange))
    pair = f"{base.symbol}/{quote.symbol}"
    await session.execute(
        insert(Symbol)
        .values(
            exchange_id=exchange_id, base_asset_id=base.id, quote_asset_id=quote.id, symbol=pair
        )
        .on_conflict_do_nothing()
    )
    symbol_id = (
        await session.scalars(
            select(Symbol.id).where(
                Symbol.exchange_id == exchange_id,
                Symbol.base_asset_id == base.id,
                Symbol.quote_asset_id == quote.id,
            )
        )
    ).one()
    return SymbolRecord(symbol_id, pair, exchange, base, quote)


async def list_symbols_of(
    session: AsyncSession, base_asset_ids: Sequence[int]
) -> list[SymbolRecord]:
    """Return the pairs that price these assets, by exchange and pair."""
    base, quote = aliased(Asset), aliased(Asset)
    rows = await session.execute(
        select(Symbol.id, Symbol.symbol, Exchange.code, *_facts(base), *_facts(quote))
        .join(Exchange, Exchange.id == Symbol.exchange_id)
        .join(base, base.id == Symbol.base_asset_id)
        .join(quote, quote.id == Symbol.quote_asset_id)
        .where(Symbol.base_asset_id.in_(base_asset_ids))
        .order_by(Exchange.code, Symbol.symbol)
    )
    return [
        SymbolRecord(row[0], row[1], row[2], AssetRecord(*row[3:7]), AssetRecord(*row[7:]))
        for row in rows
    ]


async def read_order_rules(
    session: AsyncSession, symbol_ids: Sequence[int]
) -> dict[int, OrderRules]:
    """Return what each of these pairs asks of the size of an order, by the pair's id."""
    rows = await session.execute(
        select(
            Symbol.id, Symbol.min_order_size, Symbol.max_order_size, Symbol.quantity_precision
        ).where(Symbol.id.in_(symbol_ids))
    )
    return {row.id: OrderRules(*row[1:]) for row in rows}


async def neighbours(
    session: AsyncSession,
    table: KeyedSeries,
    subject: dict[str, int],
    first: datetime,
    last: datetime,
) -> tuple[datetime | None, datetime | None]:
    """Return the last time held before `first` and the first held after `last`."""
    name = table.series.table
    where = " AND ".join(f"{column.name} = :{column.name}" for column in table.subject)
    row = (
        await session.execute(
            text(
                f"SELECT (SELECT max(time) FROM {name} WHERE {where} AND time < :first),"  # noqa: S608
                f" (SELECT min(time) FROM {name} WHERE {where} AND time > :last)"
            ),
            {**subject, "first": first, "last": last},
        )
    ).one()
    return row[0], row[1]
