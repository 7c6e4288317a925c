"""What the names of files say."""

import pytest

from seawall.core.errors import InvalidError
from seawall.market.formats.base import Layout, ParseHints
from seawall.market.formats.names import identify
from seawall.market.schemas import SeriesKind, Timeframe

CANDLES = Layout(SeriesKind.CANDLES, {}, 0)
PRICES = Layout(SeriesKind.PRICES, {}, 0)


def said(
    *names: str, layout: Layout = CANDLES, hints: ParseHints | None = None
) -> tuple[object, ...]:
    identity = identify(names, layout, hints or ParseHints())
    timeframe = str(identity.stated.timeframe) if identity.stated else None
    return identity.symbol, identity.exchange, timeframe


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BTCUSDT-1d.csv", ("BTC/USDT", None, "1d")),
        ("ADAUSDT-4h.csv.gz", ("ADA/USDT", None, "4h")),
        ("BTC-USD.yahoo.csv", ("BTC/USD", "yahoo", None)),
        ("BTCUSD-coinbase-1d.csv", ("BTC/USD", "coinbase", "1d")),
        ("coinbase-btcusd-20180405-minute-trade.zip", ("BTC/USD", "coinbase", "1m")),
        ("20180405_btcusd_second_quote.csv", ("BTC/USD", None, "1s")),
        ("ETHBTC-5m.feather", ("ETH/BTC", None, "5m")),
        ("ETH_BTC-5m.feather", ("ETH/BTC", None, "5m")),
        ("XRPETH-trades.parquet", ("XRP/ETH", None, None)),
        ("Binance_BTCUSDT_1h.csv", ("BTC/USDT", "binance", "1h")),
        ("BTCUSDT-1h-2024-01.zip", ("BTC/USDT", None, "1h")),
        ("gdax_ethusd_daily.csv", ("ETH/USD", "coinbase", "1d")),
        ("kraken XRP EUR 15 min.csv", ("XRP/EUR", "kraken", "15m")),
        ("1INCHUSDT-1d.csv", ("1INCH/USDT", None, "1d")),
        ("BTCUSDT-1M.csv", ("BTC/USDT", None, None)),
        ("download.csv", (None, None, None)),
        ("prices", (None, None, None)),
        ("données.csv", (None, None, None)),
        (".csv", (None, None, None)),
    ],
)
def test_names_of_candles(name: str, expected: tuple[object, ...]) -> None:
    assert said(name) == expected


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("SP500-close.csv", "SP500"),
        ("^GSPC.csv", "SP500"),
        ("daily_closes.csv", None),
        ("dax.csv", "DAX"),
    ],
)
def test_names_of_indices(name: str, symbol: str | None) -> None:
    assert said(name, layout=PRICES)[0] == symbol


def test_inner_names_come_first() -> None:
    names = ("20180405_ethusd_minute_trade.csv", "coinbase-btcusd-1h.zip")
    assert said(*names) == ("ETH/USD", "coinbase", "1m")


def test_the_format_comes_before_the_name() -> None:
    layout = Layout(SeriesKind.CANDLES, {}, 0, exchange="yahoo", timeframe=Timeframe.parse("1s"))
    assert said("BTCUSD-kraken-1h.csv", layout=layout) == ("BTC/USD", "yahoo", "1s")


def test_hints_come_before_all() -> None:
    layout = Layout(SeriesKind.CANDLES, {}, 0, exchange="yahoo")
    hints = ParseHints(symbol="eth-eur", exchange=" Kraken ", timeframe=Timeframe.parse("4h"))
    found = said("BTCUSD-coinbase-1h.csv", layout=layout, hints=hints)
    assert found == ("ETH/EUR", "kraken", "4h")


def test_an_index_may_be_hinted() -> None:
    assert said("x.csv", layout=PRICES, hints=ParseHints(symbol="^gspc"))[0] == "SP500"
    with pytest.raises(InvalidError, match="not the name of an index"):
        said("x.csv", layout=PRICES, hints=ParseHints(symbol="S&P 500"))


def test_an_ambiguous_name_needs_a_symbol() -> None:
    with pytest.raises(InvalidError, match="'ABUSD' is ambiguous: it may be A/BUSD or AB/USD"):
        said("ABUSD-1d.csv")
    assert said("ABUSD-1d.csv", hints=ParseHints(known_bases={"AB"}))[0] == "AB/USD"
    assert said("ABUSD-1d.csv", hints=ParseHints(symbol="A/BUSD"))[0] == "A/BUSD"


def test_a_hint_that_is_no_pair() -> None:
    with pytest.raises(InvalidError, match="is not a pair"):
        said("BTCUSD.csv", hints=ParseHints(symbol="SP500"))
