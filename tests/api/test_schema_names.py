"""Names in the schema say of what each is, and none is made up by a collision."""

import re
from typing import Any

import pytest

from seawall.api.app import build_app
from seawall.api.schema_names import NAMES, rename, shown_name

SCHEMA = build_app().openapi()
SHOWN = SCHEMA["components"]["schemas"]
OF_ONE_WORD = {
    # Words of the field, of each of which there is one kind here.
    "Asset",
    "Attribution",
    "Candles",
    "Correlations",
    "Coverage",
    "Credentials",
    "Entitlements",
    "Exchange",
    "Holding",
    "Holdings",
    "Lot",
    "Lots",
    "Optimisation",
    "Portfolio",
    "Problem",
    "Scenarios",
    "Session",
    "Sessions",
    "Symbol",
    "Tier",
    "Tiers",
    "Transaction",
}


def test_a_name_says_of_what_it_is() -> None:
    assert not [name for name in SHOWN if not re.fullmatch(r"([A-Z][a-z]*)+", name)]
    assert {name for name in SHOWN if len(re.findall("[A-Z]", name)) == 1} == OF_ONE_WORD


def test_every_name_that_is_another_in_the_schema_is_in_use() -> None:
    assert set(NAMES.values()) <= SHOWN.keys()
    assert not NAMES.keys() & SHOWN.keys()
    assert shown_name("Page_Book_") == "OrderBookPage"
    assert "OrderBookPage" in SHOWN


def test_what_is_pointed_at_is_there_and_all_that_is_there_is_pointed_at() -> None:
    pointed = set(re.findall(r"#/components/schemas/([^'\"]+)", str(SCHEMA)))
    assert pointed == SHOWN.keys()


def test_no_two_are_called_the_same() -> None:
    schema: dict[str, Any] = {"components": {"schemas": {"Book": {}, "OrderBook": {}}}}
    with pytest.raises(ValueError, match="one name"):
        rename(schema)
