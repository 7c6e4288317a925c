"""What names mean: which assets are money, BTCUSDT is BTC/USDT, ^GSPC is SP500."""

import re
from collections.abc import Collection

from seawall.core.errors import InvalidError, name_some

_FIAT = "USD EUR GBP TRY JPY AUD BRL CHF CAD KRW RUB UAH PLN ZAR IDR MXN ARS"
_STABLECOINS = "USDT USDC BUSD TUSD FDUSD USDP DAI PYUSD GUSD USDD USDE"
_QUOTING_COINS = "BTC ETH BNB XRP TRX SOL DOGE"

FIAT = frozenset(_FIAT.split())
USD_STABLECOINS = frozenset(_STABLECOINS.split())
QUOTES = FIAT | USD_STABLECOINS | frozenset(_QUOTING_COINS.split())
"""What prices are quoted in, and so what the name of a pair may end with."""

SP500 = "SP500"
_INDEX_NAMES = {"GSPC": SP500, "SPX": SP500, "INX": SP500, "US500": SP500}
"""Other publishers' names of an index, by which it would not be found."""

_WELL_KNOWN_BASES = (
    "BTC ETH BNB XRP ADA SOL DOGE DOT LTC LINK AVAX TRX MATIC POL BCH ATOM XLM XMR ETC UNI FIL "
    "NEAR APT ARB OP SUI TON SHIB PEPE ICP HBAR VET ALGO EOS XTZ AAVE MKR COMP SNX CRV SAND MANA "
    "AXS FTM EGLD THETA XEM ZEC DASH NEO IOTA WBTC INJ SEI TIA RUNE GRT LDO IMX STX BONK FLOKI "
    "WIF USDT USDC DAI EUR GBP"
)
WELL_KNOWN_BASES = frozenset(_WELL_KNOWN_BASES.split())
"""Assets so common that they settle how a name splits when nothing else does."""

_ASSET = re.compile(r"[A-Z0-9]{1,20}")
_SEPARATOR = re.compile(r"[/\-_:]")


def split_pair(text: str, known_bases: Collection[str] = ()) -> tuple[str, str]:
    """Split the name of a pair into its base and its quote, both in upper case.

    A separator (/ - _ :) settles it. Without one the name must end with a known quote; where it
    does so in several ways, the one whose base is among `known_bases` is meant, then the one whose
    base is well known.

    Raises:
        InvalidError: it is not a pair, or may be split in several ways.
    """
    name = text.strip().upper()
    parts = _SEPARATOR.split(name)
    if len(parts) > 1:
        if len(parts) != 2 or not all(map(_ASSET.fullmatch, parts)) or parts[0] == parts[1]:  # noqa: PLR2004
            raise _not_a_pair(text)
        return parts[0], parts[1]
    candidates = _splits(name)
    if not candidates:
        raise _not_a_pair(text)
    for bases in ({base.upper() for base in known_bases}, WELL_KNOWN_BASES):
        settled = [pair for pair in candidates if pair[0] in bases]
        if len(settled) == 1:
            return settled[0]
    doubtful = len(candidates) == 1 and any(
        base in WELL_KNOWN_BASES for base, _ in _splits(candidates[0][0])
    )
    if doubtful:
        # BTCUSDTBTC: what would be the base is the name of a pair itself.
        raise _not_a_pair(text)
    if len(candidates) > 1:
        shown = " or ".join("/".join(pair) for pair in candidates)
        raise InvalidError(
            f"symbol {text!r} is ambiguous: it may be {shown}.",
            hint="Name it with --symbol BASE/QUOTE.",
            details={"candidates": ["/".join(pair) for pair in candidates]},
        )
    return candidates[0]


def kind_of(symbol: str) -> str:
    """Return fiat, stablecoin or crypto for an asset's symbol."""
    if symbol in FIAT:
        return "fiat"
    return "stablecoin" if symbol in USD_STABLECOINS else "crypto"


def plain_name(text: str) -> str:
    """Write the name of an index or asset in upper case, without Yahoo's leading ^.

    The S&P 500 is SP500, whatever its publisher calls it.

    Raises:
        InvalidError: it has characters that no such name has.
    """
    name = text.strip().upper().removeprefix("^")
    if not _ASSET.fullmatch(name):
        raise InvalidError(
            f"symbol {text!r} is not the name of an index or asset.",
            hint="Use letters and digits only, like SP500.",
        )
    return _INDEX_NAMES.get(name, name)


def _splits(name: str) -> list[tuple[str, str]]:
    """List the ways in which a name without separator splits; an asset's own name is no pair."""
    if name in QUOTES or not _ASSET.fullmatch(name):
        return []
    pairs = ((name[: -len(quote)], quote) for quote in QUOTES if name.endswith(quote))
    return sorted(pair for pair in pairs if pair[0] and pair[0] != pair[1])


def _not_a_pair(text: str) -> InvalidError:
    return InvalidError(
        f"symbol {text!r} is not a pair with a known quote.",
        hint=f"Write it as BASE/QUOTE; quotes are {name_some(sorted(QUOTES), 8)}.",
    )
