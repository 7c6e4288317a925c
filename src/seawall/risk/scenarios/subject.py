"""What scenarios are run on: what a portfolio holds at an instant, its past and its betas."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.market import store as market_store
from seawall.market.pairs import USD_STABLECOINS
from seawall.market.prices import USD
from seawall.portfolios.schemas import PortfolioRecord
from seawall.portfolios.valuation import Moment, Valuation
from seawall.quant.returns import common_returns, simple_returns
from seawall.quant.stress.factor import MIN_OBSERVATIONS, STUDENT_DEGREES, BetaFit, fit_beta
from seawall.quant.types import FloatArray
from seawall.risk.benchmarks import BTC, read_benchmarks
from seawall.risk.exposure import Window
from seawall.risk.measure import value_for
from seawall.risk.scenarios.schemas import Basis
from seawall.risk.schemas import RiskQuestion

_ITSELF = BetaFit(1.0, 0.0, 1.0, 0.0, 0)
_MONEY = BetaFit(0.0, 0.0, float("nan"), 0.0, 0)


@dataclass(frozen=True, slots=True)
class Subject:
    """A valued portfolio with what scenarios need to know of each holding.

    `closes` are each asset's on the window's midnights, None for what counts as money; `betas` are
    against BTC, of whose daily returns `factor_deviation` is the deviation. `reason` says why
    nothing can be said of the portfolio, and is empty otherwise.
    """

    valuation: Valuation
    basis: Basis
    values: Mapping[str, Decimal]
    kinds: Mapping[str, str]
    chains: Mapping[str, str]
    closes: Mapping[str, FloatArray | None]
    betas: Mapping[str, BetaFit]
    factor_deviation: float
    reason: str

    @property
    def moment(self) -> Moment:
        """Of when it is, and what was known."""
        return self.valuation.moment

    @property
    def as_of(self) -> datetime:
        """Of when it is."""
        return self.valuation.moment.as_of

    @property
    def assets(self) -> tuple[str, ...]:
        """What is held and priced, the most valuable first."""
        return tuple(self.values)

    @property
    def total(self) -> Decimal:
        """The portfolio's value; 0 where there is a reason why it has none."""
        return self.valuation.total_value or Decimal(0)

    @property
    def weights(self) -> FloatArray:
        """Weights by value, in the order of the assets."""
        total = float(self.total)
        return np.array([float(value) / total for value in self.values.values()])

    def is_money(self, asset: str) -> bool:
        """Tell whether an asset counts as money, for no price of it is held."""
        return self.closes[asset] is None

    def is_stable(self, asset: str) -> bool:
        """Tell whether an asset is money or a stablecoin."""
        return self.is_money(asset) or self.kinds.get(asset) == "stablecoin"

    def covariance(self) -> tuple[FloatArray, int]:
        """Return the sample covariance of daily returns (ddof 1) on common days, and their number.

        All NaN from fewer than 30 days.
        """
        days = self.basis.window + 1
        grids = [np.ones(days) if grid is None else grid for grid in self.closes.values()]
        returns = common_returns(np.column_stack(grids)).returns
        if len(returns) < MIN_OBSERVATIONS:
            return np.full((len(grids), len(grids)), np.nan), len(returns)
        return np.atleast_2d(np.cov(returns, rowvar=False, ddof=1)), len(returns)

    def deviation(self, asset: str) -> float:
        """Return the daily standard deviation of an asset's own returns; NaN from fewer than 30."""
        grid = self.closes[asset]
        return 0.0 if grid is None else _deviation(grid)


async def read_subject(
    session: AsyncSession, portfolio: PortfolioRecord, moment: Moment, basis: Basis
) -> Subject:
    """Value a portfolio, and measure how each holding moved with BTC until then."""
    valuation = await value_for(session, portfolio, moment, RiskQuestion(window=basis.window))
    window = Window(moment.as_of, basis.window)
    benchmarks = await read_benchmarks(session, {BTC}, window, moment.known_at)
    values = {each.asset: each.value for each in valuation.holdings if each.value is not None}
    known = await market_store.find_assets(session, values)
    kinds = {symbol: asset.kind for symbol, asset in known.items()}
    kinds |= {symbol: "stablecoin" for symbol in values if symbol in USD_STABLECOINS}
    closes = {asset: _closes(valuation, asset, window) for asset in values}
    return Subject(
        valuation=valuation,
        basis=basis,
        values=values,
        kinds={**kinds, USD: "fiat"},
        chains=await market_store.find_chains(session, values),
        closes=closes,
        betas={
            asset: _beta(asset, grid, benchmarks.get(BTC), basis) for asset, grid in closes.items()
        },
        factor_deviation=float("nan") if BTC not in benchmarks else _deviation(benchmarks[BTC]),
        reason=_unusable(valuation),
    )


def _deviation(grid: FloatArray) -> float:
    returns = simple_returns(grid)
    returns = returns[~np.isnan(returns)]
    return float(returns.std(ddof=1)) if returns.size >= MIN_OBSERVATIONS else float("nan")


def _closes(valuation: Valuation, asset: str, window: Window) -> FloatArray | None:
    pair = None if asset == USD else valuation.prices[asset].best(window.end)
    return None if pair is None else window.grid(pair.closes)


def _beta(asset: str, grid: FloatArray | None, btc: FloatArray | None, basis: Basis) -> BetaFit:
    if asset == BTC:
        return _ITSELF
    if grid is None:
        return _MONEY
    factor = np.full(basis.window, np.nan) if btc is None else simple_returns(btc)
    degrees = STUDENT_DEGREES if basis.t_tailed else None
    return fit_beta(simple_returns(grid), factor, degrees=degrees)


def _unusable(valuation: Valuation) -> str:
    if valuation.unpriced:
        return f"no price of {', '.join(valuation.unpriced)} is known"
    if not valuation.holdings:
        return "nothing is held"
    if valuation.total_value is None or valuation.total_value <= 0:
        return "the portfolio is worth nothing"
    return ""
