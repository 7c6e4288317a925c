"""The demo's market and portfolio: what they are made of, and that they stay believable."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import ConflictError
from seawall.core.time import DAY
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.ops import demo
from seawall.portfolios.importers.csv import parse_transactions
from seawall.portfolios.ledger import replay
from seawall.portfolios.portfolios import create_portfolio
from seawall.portfolios.schemas import LotMethod
from seawall.portfolios.transactions import import_transactions
from seawall.quant.simulate import MarketSpec, SimulatedAsset, simulate

DEPOSITED = 140_000
WITHDRAWN = 10_000


@pytest.fixture(scope="module")
def market() -> dict[str, SimulatedAsset]:
    """Simulate the demo's market."""
    start = np.datetime64(demo.START.replace(tzinfo=None))
    made = simulate(MarketSpec(demo.ASSETS, start, demo.DAYS), demo.SEED)
    return {asset.symbol: asset for asset in made}


def _values(market: dict[str, SimulatedAsset]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Value the portfolio at the close of every day."""
    text = demo._transactions(market.values())
    rows = parse_transactions(text.encode(), demo.AS_OF, "the demo").rows
    transactions = [row.transaction for row in rows]
    values = []
    for day in range(demo.DAYS):
        end = demo.START + timedelta(days=day + 1) - timedelta(microseconds=1)
        state = replay(transactions, LotMethod.FIFO, end)
        value = float(state.cash or 0)
        for holding in state.holdings:
            candles = market[holding.asset].daily
            moment = np.datetime64((demo.START + day * DAY).replace(tzinfo=None))
            at = np.searchsorted(candles.time, moment, side="right") - 1
            value += float(holding.quantity) * float(candles.close[at])
        values.append(value)
    return np.array(values)


def test_twenty_assets_for_three_years_by_day_and_one_by_hour(
    market: dict[str, SimulatedAsset],
) -> None:
    assert len(market) == 20
    for symbol in market.keys() - {"ARB", "WAVES"}:
        assert (len(market[symbol].daily.time), len(market[symbol].hourly.time)) == (1_095, 8_760)
    end = np.datetime64(demo.AS_OF.replace(tzinfo=None))
    late, gone = market["ARB"].daily.time, market["WAVES"].daily.time
    assert late[0] == np.datetime64("2023-01-01") + demo.LISTED_LATE
    assert late[-1] == end - np.timedelta64(1, "D")
    assert gone[-1] < end - np.timedelta64(300, "D")


def test_the_stablecoin_holds_its_peg(market: dict[str, SimulatedAsset]) -> None:
    coin = market["USDT"].daily
    assert coin.low.min() > 0.99
    assert coin.high.max() < 1.01


def test_prices_move_together_and_in_regimes(market: dict[str, SimulatedAsset]) -> None:
    returns = {s: np.diff(np.log(market[s].daily.close)) for s in ("BTC", "ETH", "SOL", "LTC")}
    together = np.corrcoef(list(returns.values()))
    assert together[np.triu_indices(4, 1)].min() > 0.4
    monthly = [returns["BTC"][at : at + 30].std() for at in range(0, 1_080, 30)]
    assert max(monthly) > 2.5 * min(monthly)


def test_the_market_is_sober(market: dict[str, SimulatedAsset]) -> None:
    grown = {s: each.daily.close[-1] / each.daily.open[0] for s, each in market.items()}
    assert 1 < grown["BTC"] < 4
    assert 0.1 < min(grown.values()) < max(grown.values()) < 6
    assert np.median(list(grown.values())) < 1.5


def test_the_portfolio_ends_believably_after_a_visible_drawdown(
    market: dict[str, SimulatedAsset],
) -> None:
    values = _values(market)
    assert 0.8 < values[-1] / (DEPOSITED - WITHDRAWN) < 2.2
    depth = 1 - values / np.maximum.accumulate(values)
    assert 0.15 < depth.max() < 0.6


def test_the_transactions_are_in_order_and_of_every_kind() -> None:
    days = [day for day, *_ in demo.TRADES]
    assert all(before <= after for before, after in pairwise(days))
    kinds = {kind for _, kind, *_ in demo.TRADES}
    assert kinds >= {"deposit", "buy", "sell", "stake", "reward", "transfer", "withdrawal"}


async def test_a_portfolio_of_that_name_that_is_another_is_left_alone(engine: AsyncEngine) -> None:
    rows = b"date,type,asset,quantity\n2023-01-01,deposit,USD,5\n"
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        portfolio = await create_portfolio(session, OWNER_ID, demo.PORTFOLIO)
        await import_transactions(session, portfolio, parse_transactions(rows, demo.AS_OF))
    steps: list[str] = []
    with pytest.raises(ConflictError, match="not the one that this demo makes"):
        await demo.build_demo(engine, lambda step, _done, _total: steps.append(step))
    assert steps[0] == "Simulating a market"
    assert len(steps) == 21
