"""The history of what is held, by the method asked for, with BTC as the proxy where it is known."""

from seawall.quant.histories import History, HistoryMethod, Proxy, build_history
from seawall.quant.returns import simple_returns
from seawall.quant.types import FloatArray
from seawall.risk.benchmarks import BTC
from seawall.risk.exposure import ClosesGrid


def choose_history(grid: ClosesGrid, method: HistoryMethod, btc: FloatArray | None) -> History:
    """Turn the closes of what is held into returns, by a method that the history names.

    `btc` (days + 1,) are BTC's closes on the same midnights, NaN where none is held. Without any
    the proxy is the equal-weighted mean of the other holdings.

    Raises:
        InvalidError: a close is negative or infinite.
    """
    proxy = None if btc is None else Proxy(BTC, simple_returns(btc))
    return build_history(grid.assets, grid.closes, method, proxy)
