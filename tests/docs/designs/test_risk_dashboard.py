"""The constraints that the Crypto Risk Dashboard design lists, looked for in the schema.

It gives no query. The names of its tables and columns stand beside ours.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

Ask = Callable[..., Awaitable[list[tuple[Any, ...]]]]

FOREIGN_KEYS = """
    SELECT true FROM pg_constraint
    WHERE contype = 'f' AND conrelid = $1::text::regclass AND confrelid = $3::text::regclass
        AND EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = conrelid AND attname = $2 AND attnum = ANY (conkey)
        )
"""
INDEXES = """
    SELECT true FROM pg_index
    WHERE indrelid = $1::text::regclass AND indisunique AND (
        SELECT string_agg(pg_get_indexdef(indexrelid, place, false), ', ' ORDER BY place)
        FROM generate_series(1, indnkeyatts) place
    ) = $2
"""


@pytest.mark.parametrize(
    ("theirs", "table", "column", "referred"),
    [
        ("portfolios.user_id", "portfolios", "user_id", "users"),
        ("portfolio_holdings.portfolio_id", "holdings", "portfolio_id", "portfolios"),
        ("portfolio_holdings.crypto_asset_id", "holdings", "asset_id", "assets"),
        ("risk_metrics.portfolio_id", "portfolio_risk_metrics", "portfolio_id", "portfolios"),
        (
            "portfolio_risk_metrics.portfolio_id",
            "portfolio_risk_metrics",
            "portfolio_id",
            "portfolios",
        ),
        ("ai_insights.user_id", "ai_insights", "user_id", "users"),
        ("ai_insights.portfolio_id", "ai_insights", "portfolio_id", "portfolios"),
        ("ai_insights.crypto_asset_id", "ai_insights", "asset_id", "assets"),
        ("alerts.user_id", "alerts", "user_id", "users"),
        ("alerts.portfolio_id", "alerts", "portfolio_id", "portfolios"),
        ("alerts.crypto_asset_id", "alerts", "asset_id", "assets"),
        ("user_settings.user_id", "user_settings", "user_id", "users"),
    ],
)
async def test_a_reference_is_enforced(
    ask: Ask, theirs: str, table: str, column: str, referred: str
) -> None:
    assert (True,) in await ask(FOREIGN_KEYS, table, column, referred), theirs


@pytest.mark.parametrize("table", ["price_history", "risk_metrics"])
async def test_series_without_tenants_refer_to_nothing(ask: Ask, table: str) -> None:
    """They are written by COPY, of assets that were looked up: a key would only cost time."""
    assert await ask(FOREIGN_KEYS, table, "asset_id", "assets") == []


@pytest.mark.parametrize(
    ("theirs", "table", "columns"),
    [
        ("ix_users_email", "users", "lower(email)"),
        ("ix_users_username", "users", "lower(username)"),
        ("ix_crypto_assets_symbol", "assets", "symbol"),
        ("ix_crypto_assets_coingecko_id", "assets", "coingecko_id"),
        ("ix_user_settings_user_id", "user_settings", "user_id"),
        ("idx_price_history_crypto_timestamp", "price_history", 'asset_id, "time"'),
    ],
)
async def test_what_it_wants_unique_is(ask: Ask, theirs: str, table: str, columns: str) -> None:
    assert (True,) in await ask(INDEXES, table, columns), theirs
