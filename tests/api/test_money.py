"""Money is text and what the market says is a number, in every answer of the schema."""

import re
from typing import Any

from seawall.api.app import build_app
from seawall.api.v1.risk import MeasuredHolding

SCHEMAS = build_app().openapi()["components"]["schemas"]
OF_THE_MARKET = {
    "Asset",
    "BestPrices",
    "CandleColumns",
    "LatestPrice",
    "OrderBook",
    "PriceColumns",
    "PublicTrade",
}
MONEY = re.compile(
    r"(\w+_)?usd|(\w+_)?(price|quantity|cost_basis|cash_before|cash_after|fee|staked)|max_position_value"
)
OF_NEITHER = {"AskedDepeg.price"}
"""The peg that is lost to, as a share of a dollar."""


def _kinds(told: Any) -> set[str]:
    if "anyOf" in told:
        return set().union(*(_kinds(each) for each in told["anyOf"])) - {"null"}
    if told.get("type") == "array":
        return _kinds(told["items"])
    return {str(told.get("type"))}


def test_every_amount_is_of_the_type_that_the_rule_says() -> None:
    seen = 0
    for schema, told in SCHEMAS.items():
        for name, field in told.get("properties", {}).items():
            if MONEY.fullmatch(name) is None or f"{schema}.{name}" in OF_NEITHER:
                continue
            seen += 1
            wanted = "number" if schema in OF_THE_MARKET else "string"
            assert _kinds(field) == {wanted}, f"{schema}.{name}"
    assert seen > 60


def test_the_price_that_a_holding_was_measured_at_is_text_and_unknown_where_it_is() -> None:
    known: dict[str, Any] = {
        "asset": "BTC",
        "quantity": "0.1",
        "price_time": None,
        "price_source": "",
        "value_usd": None,
        "weight": 0.5,
    }
    for price, shown in ((0.1, "0.1"), (87_000.0, "87000"), (None, None), (float("nan"), None)):
        made = MeasuredHolding.model_validate(known | {"price_usd": price})
        assert made.model_dump(mode="json")["price_usd"] == shown
