"""How names of pairs split, and when they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.core.errors import InvalidError
from seawall.market.pairs import QUOTES, WELL_KNOWN_BASES, plain_name, split_pair


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("BTCUSDT", ("BTC", "USDT")),
        ("btcusd", ("BTC", "USD")),
        ("ETHBTC", ("ETH", "BTC")),
        ("BTCBUSD", ("BTC", "BUSD")),
        ("ETHFDUSD", ("ETH", "FDUSD")),
        ("BNBTUSD", ("BNB", "TUSD")),
        ("USDTUSD", ("USDT", "USD")),
        ("USDCUSDT", ("USDC", "USDT")),
        ("EURUSDT", ("EUR", "USDT")),
        ("BTC-USD", ("BTC", "USD")),
        ("abc/xyz", ("ABC", "XYZ")),
        ("AB_USD", ("AB", "USD")),
        (" BTC:EUR ", ("BTC", "EUR")),
        ("XYZUSDT", ("XYZ", "USDT")),
    ],
)
def test_certain(text: str, pair: tuple[str, str]) -> None:
    assert split_pair(text) == pair


def test_ambiguous_names_its_candidates() -> None:
    with pytest.raises(InvalidError, match="A/BUSD or AB/USD") as caught:
        split_pair("ABUSD")
    assert "--symbol BASE/QUOTE" in caught.value.hint


def test_known_bases_settle_and_come_before_the_well_known() -> None:
    assert split_pair("ABUSD", {"AB"}) == ("AB", "USD")
    assert split_pair("ABUSD", ["a"]) == ("A", "BUSD")
    assert split_pair("BTCBUSD", {"BTCB"}) == ("BTCB", "USD")
    with pytest.raises(InvalidError, match="ambiguous"):
        split_pair("ABUSD", {"A", "AB"})


@pytest.mark.parametrize(
    "text", ["SP500", "USDT", "FDUSD", "", "/", "BTC/", "BTC/USD/X", "BTC/BTC", "BTCBTC", "B C-USD"]
)
def test_no_pair(text: str) -> None:
    with pytest.raises(InvalidError, match="is not a pair"):
        split_pair(text)


@given(st.sampled_from(sorted(WELL_KNOWN_BASES)), st.sampled_from(sorted(QUOTES)))
def test_a_separator_always_settles(base: str, quote: str) -> None:
    if base != quote:
        assert split_pair(f"{base}/{quote}") == (base, quote)


@given(st.text(max_size=12), st.sets(st.text(max_size=5), max_size=3))
def test_any_text_splits_into_itself_or_is_refused(text: str, bases: set[str]) -> None:
    try:
        base, quote = split_pair(text, bases)
    except InvalidError:
        return
    assert base != quote
    assert base + quote == "".join(letter for letter in text.strip().upper() if letter.isalnum())


@pytest.mark.parametrize(
    ("text", "name"), [("sp500", "SP500"), ("^GSPC", "SP500"), ("spx", "SP500"), (" DAX ", "DAX")]
)
def test_plain_names(text: str, name: str) -> None:
    assert plain_name(text) == name


@pytest.mark.parametrize("text", ["", "S&P 500", "BTC/USD", "x" * 21])
def test_no_plain_name(text: str) -> None:
    with pytest.raises(InvalidError, match="is not the name of an index"):
        plain_name(text)


def test_a_base_that_is_a_pair_itself_is_no_base() -> None:
    with pytest.raises(InvalidError, match="not a pair"):
        split_pair("BTCUSDTBTC")
    # A coin whose name happens to end like a quote is one.
    assert split_pair("STETHUSDT") == ("STETH", "USDT")
    assert split_pair("BTCUSDTBTC", {"BTCUSDT"}) == ("BTCUSDT", "BTC")
