"""The market of the seed for measuring: fifty coins for five years."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.ops.seeds import market
from seawall.ops.seeds.market import Advance
from seawall.ops.seeds.paths import DAY_STEPS, WEEK_STEPS, Coin, Paths, walk
from seawall.ops.seeds.predictions import add_predictions

SEED = 20_260_375
DAYS = 5 * 365

_SYMBOLS = (
    "BTC ETH BNB SOL XRP ADA DOGE AVAX LINK LTC DOT ATOM UNI NEAR AAVE FIL ALGO TRX BCH XLM ETC APT"
    " ARB OP SUI TON ICP HBAR VET EOS XTZ MKR COMP SNX CRV SAND MANA AXS EGLD THETA ZEC DASH NEO"
    " IOTA INJ SEI TIA RUNE GRT LDO"
)
COINS = tuple(
    Coin(
        symbol,
        symbol,
        price=round(40_000 / place**2.5 + 1, 4),
        volatility=0.45 + 0.01 * place,
        supply=1e7 * place**1.5,
        turnover=round(2e10 / place**1.5),
    )
    for place, symbol in enumerate(_SYMBOLS.split(), 1)
)


def make_paths(until: datetime, days: int = DAYS) -> Paths:
    """Make up the coins' prices for so many days, and for the week before."""
    return walk(COINS, days + WEEK_STEPS // DAY_STEPS, until, SEED)


async def add_market(session: AsyncSession, paths: Paths, advance: Advance) -> None:
    """Store the coins with prices, daily candles, quotes of the last days, and predictions."""
    pairs = await market.add_coins(session, paths)
    asset_ids = [pair.base.id for pair in pairs]
    for done, coin in enumerate(paths.coins):
        advance("Storing candles", done, len(pairs))
        await market.add_candles(session, coin.symbol, market.DAILY, paths.day_candles(done))
    await market.add_prices(session, paths, asset_ids, WEEK_STEPS, advance)
    await market.add_quotes(session, paths, [pair.id for pair in pairs], advance)
    await add_predictions(session, paths, asset_ids)
