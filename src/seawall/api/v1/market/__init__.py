"""Market data: the catalogue, candles, prices, books, trades, and what is held of each."""

from seawall.api.operations import routes
from seawall.api.v1.market import assets, candles, coverage, prices, symbols, ticks

router = routes("", "market")
for part in (assets, candles, coverage, prices, symbols, ticks):
    router.routes.extend(part.router.routes)
