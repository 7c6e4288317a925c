"""A simulated sample in a database of its own: prices, a portfolio, and its risk report."""

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ConflictError
from seawall.core.money import plain
from seawall.core.time import midnight
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.portfolios.importers.csv import HEADER, parse_transactions
from seawall.portfolios.portfolios import create_portfolio
from seawall.portfolios.schemas import PortfolioRecord
from seawall.portfolios.store import find_portfolio
from seawall.portfolios.transactions import import_transactions
from seawall.portfolios.voiding.store import list_recorded
from seawall.quant.simulate import AssetSpec, CandleArrays, MarketSpec, SimulatedAsset, simulate
from seawall.risk.report import report
from seawall.risk.schemas import RiskQuestion, RiskReport

SEED = 20_260_374
EXCHANGE = "simulated"
PORTFOLIO = "Demo"
START = datetime(2023, 1, 1, tzinfo=UTC)
DAYS = 3 * 365
AS_OF = START + timedelta(days=DAYS)
HOURLY, DAILY = Timeframe(3_600), Timeframe(86_400)

LISTED_LATE, DELISTED_ON = 420, 760

ASSETS = (
    AssetSpec("BTC", 16_500, 0.42, loading=0.90, drift=0.10, turnover=2.5e10),
    AssetSpec("ETH", 1_200, 0.55, loading=0.88, drift=0.00, turnover=1.2e10),
    AssetSpec("BNB", 245, 0.47, loading=0.75, drift=-0.05, turnover=1.5e9),
    AssetSpec("SOL", 10, 0.81, loading=0.78, drift=0.25, turnover=2.0e9),
    AssetSpec("XRP", 0.34, 0.68, loading=0.65, drift=0.05, turnover=1.8e9),
    AssetSpec("ADA", 0.25, 0.68, loading=0.74, drift=-0.15, turnover=5e8),
    AssetSpec("DOGE", 0.07, 0.81, loading=0.66, drift=-0.15, turnover=1e9),
    AssetSpec("AVAX", 11, 0.77, loading=0.76, drift=-0.15, turnover=4e8),
    AssetSpec("LINK", 5.6, 0.68, loading=0.74, drift=-0.15, turnover=5e8),
    AssetSpec("LTC", 70, 0.55, loading=0.72, drift=-0.15, turnover=5e8),
    AssetSpec("DOT", 4.3, 0.68, loading=0.76, drift=-0.35, turnover=2e8),
    AssetSpec("ATOM", 9.4, 0.68, loading=0.72, drift=-0.35, turnover=2e8),
    AssetSpec("UNI", 5.2, 0.72, loading=0.72, drift=-0.15, turnover=1.5e8),
    AssetSpec("NEAR", 1.3, 0.85, loading=0.72, drift=-0.15, turnover=2e8),
    AssetSpec("AAVE", 52, 0.72, loading=0.74, drift=0.05, turnover=2e8),
    AssetSpec("FIL", 3.0, 0.77, loading=0.70, drift=-0.35, turnover=2e8),
    AssetSpec("ALGO", 0.17, 0.72, loading=0.70, drift=-0.15, turnover=8e7),
    AssetSpec("USDT", 1.0, 0.004, loading=0.0, turnover=4e10, pegged=True),
    AssetSpec("ARB", 1.2, 0.85, loading=0.74, drift=-0.15, turnover=3e8, listed=LISTED_LATE),
    AssetSpec("WAVES", 1.5, 0.94, loading=0.60, drift=-0.65, turnover=5e7, delisted=DELISTED_ON),
)

TRADES = (
    # day, type, asset, USD (or coins where there is no price), notes
    (0, "deposit", "USD", 100_000, "first deposit"),
    (1, "buy", "BTC", 30_000, ""),
    (1, "buy", "ETH", 18_000, ""),
    (15, "buy", "SOL", 6_000, ""),
    (30, "buy", "BNB", 5_000, ""),
    (45, "buy", "WAVES", 3_000, "delisted later"),
    (60, "buy", "USDT", 8_000, "dry powder"),
    (120, "buy", "LINK", 4_000, ""),
    (200, "deposit", "USD", 40_000, "second deposit"),
    (201, "buy", "AVAX", 5_000, ""),
    (201, "buy", "XRP", 5_000, ""),
    (260, "stake", "ETH", 6_000, "staked for rewards"),
    (400, "buy", "AAVE", 5_000, ""),
    (430, "buy", "ARB", 4_000, "listed late"),
    (500, "reward", "ETH", 250, "staking reward"),
    (520, "sell", "BTC", 9_000, "taking profit"),
    (600, "transfer", "BTC", 10_000, "to the cold wallet"),
    (700, "sell", "WAVES", 0, "all of it, before the delisting"),
    (800, "buy", "DOT", 3_000, ""),
    (900, "withdrawal", "USD", 10_000, "for the roof"),
    (1_000, "buy", "ETH", 6_000, ""),
)
FEE = Decimal("0.001")
CENT, COIN = Decimal("0.01"), Decimal("0.000001")

Advance = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Demo:
    """What a run of the demo found or made."""

    assets: int
    candles_inserted: int
    transactions_inserted: int
    report: RiskReport


async def build_demo(engine: AsyncEngine, advance: Advance) -> Demo:
    """Fill the sample as far as it is missing, and report the demo portfolio's risk.

    Raises:
        ConflictError: the portfolio is another demo's, or was changed so that it no longer fits.
    """
    advance("Simulating a market", 0, len(ASSETS))
    market = simulate(MarketSpec(ASSETS, np.datetime64(START.replace(tzinfo=None)), DAYS), SEED)
    inserted = 0
    for done, asset in enumerate(market, 1):
        async with transaction(engine, OWNER_ID) as session:
            await ensure_owner(session)
            inserted += await _store_asset(session, asset)
        advance(f"Storing {asset.symbol}", done, len(market))
    async with transaction(engine, OWNER_ID) as session:
        portfolio = await _ensure_portfolio(session)
        parsed = parse_transactions(_transactions(market).encode(), AS_OF, "the demo")
        was_filled = bool((await list_recorded(session, portfolio.id)).held)
        recorded = await import_transactions(session, portfolio, parsed)
        if recorded.rejected or (was_filled and recorded.inserted):
            raise ConflictError(
                f"The portfolio {PORTFOLIO!r} is not the one that this demo makes.",
                hint="Start over in another folder: SEAWALL_HOME=… seawall demo.",
            )
        made = await report(session, portfolio, AS_OF, RiskQuestion())
    return Demo(len(market), inserted, recorded.inserted, made)


async def _store_asset(session: AsyncSession, asset: SimulatedAsset) -> int:
    inserted = 0
    for timeframe, candles in ((DAILY, asset.daily), (HOURLY, asset.hourly)):
        if len(candles.time):
            parsed = _as_file(asset.symbol, timeframe, candles)
            inserted += (await ingest(session, parsed, "the demo", is_simulated=True)).inserted
    return inserted


def _as_file(symbol: str, timeframe: Timeframe, candles: CandleArrays) -> ParsedFile:
    records = np.zeros(len(candles.time), CANDLE_DTYPE)
    for name in ("time", "open", "high", "low", "close", "volume"):
        records[name] = getattr(candles, name)
    records["quote_volume"] = np.nan
    records["trade_count"] = -1
    return ParsedFile(
        format="simulated",
        kind=SeriesKind.CANDLES,
        records=records,
        rows_read=len(records),
        symbol=f"{symbol}/USD",
        exchange=EXCHANGE,
        timeframe=timeframe,
    )


async def _ensure_portfolio(session: AsyncSession) -> PortfolioRecord:
    found = await find_portfolio(session, PORTFOLIO)
    return found or await create_portfolio(
        session, OWNER_ID, PORTFOLIO, "Simulated: a made-up portfolio in a made-up market."
    )


def _transactions(market: Iterable[SimulatedAsset]) -> str:
    """Write the demo's transactions as a file, at the simulated prices of their days."""
    daily = {asset.symbol: asset.daily for asset in market}
    held: dict[str, Decimal] = {}
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(HEADER.split(","))
    for day, kind, asset, usd, notes in TRADES:
        date = (START + timedelta(days=day)).date()
        if asset == "USD":
            rows.writerow([date, kind, asset, usd, "", "", notes])
            continue
        price = _open(daily[asset], midnight(date))
        coins = _coins(Decimal(usd), price) if usd else held[asset]
        fee = (coins * price * FEE).quantize(CENT, ROUND_HALF_EVEN)
        traded = kind in {"buy", "sell"}
        sign = {"buy": 1, "reward": 1, "sell": -1}.get(kind, 0)
        held[asset] = held.get(asset, Decimal(0)) + sign * coins
        unit = plain(price) if traded or kind == "reward" else ""
        rows.writerow([date, kind, asset, plain(coins), unit, fee if traded else "", notes])
    return text.getvalue()


def _open(candles: CandleArrays, moment: datetime) -> Decimal:
    at = np.searchsorted(candles.time, np.datetime64(moment.replace(tzinfo=None)))
    return Decimal(repr(float(candles.open[at])))


def _coins(usd: Decimal, price: Decimal) -> Decimal:
    return (usd / price).quantize(COIN, ROUND_HALF_EVEN)
