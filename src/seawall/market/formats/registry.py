"""Every known file format, the most particular first."""

from seawall.market.formats.binance import BINANCE
from seawall.market.formats.columnar import ARROW, PARQUET
from seawall.market.formats.index import INDEX
from seawall.market.formats.lean import LEAN
from seawall.market.formats.ohlcv import OHLCV
from seawall.market.formats.unix_timestamp import UNIX_TIMESTAMP
from seawall.market.formats.yahoo import YAHOO

FORMATS = (BINANCE, YAHOO, UNIX_TIMESTAMP, LEAN, INDEX, OHLCV, ARROW, PARQUET)
