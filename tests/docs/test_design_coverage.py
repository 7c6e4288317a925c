"""Every column that the designs define has a home, and the data model's tables are there."""

import csv
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from seawall.db.cache.keys import KEYS
from seawall.db.database import Location
from seawall.db.engine import create_engine

HEADER = ["design", "table", "column", "home", "note"]
COLUMNS_OF_THE_DESIGNS = 698
DATA_MODEL = {
    "identity": """
        users profiles user_settings user_sessions one_time_tokens api_keys subscriptions
        idempotency_keys system_settings audit_logs
    """,
    "market": """
        assets exchanges symbols candles price_history quotes order_books market_trades
        social_sentiment_history onchain_history data_coverage
    """,
    "portfolios": """
        portfolios exchange_connections transactions lots holdings portfolio_snapshots
    """,
    "trading and strategies": """
        trading_accounts ledger_entries orders fills positions strategies strategy_versions
        backtests performance_metrics performance_analytics
    """,
    "risk": """
        risk_metrics portfolio_risk_metrics account_risk_metrics risk_scores risk_limits
        risk_events stress_tests
    """,
    "learning, insights, alerts, ops": """
        model_versions predictions model_performance market_regimes adaptation_history
        experience_replay ai_insights alerts alert_history notifications system_logs backups
        restore_drills
    """,
    "views": """
        latest_risk_scores active_portfolio model_performance_summary price_history_daily
        daily_price_summary
    """,
    "rollups": "candles_by_day price_history_by_day",
}
"""The tables, views and rollups of the data model, by its chapters."""


@pytest.fixture(scope="module")
def coverage(root: Path) -> list[dict[str, str]]:
    path = root / "docs" / "reference" / "design-coverage.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        found = list(rows)
    assert rows.fieldnames == HEADER
    return found


@pytest.fixture
async def connection(module_location: Location) -> AsyncIterator[AsyncConnection]:
    engine = create_engine(module_location.url, pooled=False)
    async with engine.connect() as opened:
        yield opened
    await engine.dispose()


async def _columns(connection: AsyncConnection) -> dict[str, set[str]]:
    """Return the columns of each table and view; partitions and chunks are parts of theirs."""
    rows = await connection.execute(
        text(
            "SELECT relname, array_agg(attname::text) FROM pg_class"
            " JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')"
            " AND NOT relispartition GROUP BY relname"
        )
    )
    return {table: set(columns) for table, columns in rows}


def _key(row: dict[str, str]) -> tuple[str, str, str]:
    return row["design"], row["table"], row["column"]


def test_each_column_of_the_designs_is_named_once(coverage: list[dict[str, str]]) -> None:
    assert len(coverage) == COLUMNS_OF_THE_DESIGNS
    assert {row: times for row, times in Counter(map(_key, coverage)).items() if times > 1} == {}


def test_the_columns_are_those_of_the_designs(root: Path, coverage: list[dict[str, str]]) -> None:
    designs = root.parent / "shared" / "designs" / "columns.csv"
    if not designs.is_file():
        pytest.skip("the designs are not in ../shared/designs")
    with designs.open(encoding="utf-8", newline="") as file:
        assert [_key(row) for row in csv.DictReader(file)] == [_key(row) for row in coverage]


async def test_every_home_exists(
    connection: AsyncConnection, coverage: list[dict[str, str]]
) -> None:
    homes = {
        f"{table}.{column}"
        for table, columns in (await _columns(connection)).items()
        for column in columns
    } | {f"cache:{key.template}" for key in KEYS}
    homeless = [row for row in coverage if row["home"] not in homes and row["home"]]
    assert homeless == []
    assert [row for row in coverage if not row["home"] and not row["note"]] == []


async def test_what_the_notes_point_to_exists(
    connection: AsyncConnection, coverage: list[dict[str, str]]
) -> None:
    tables = await _columns(connection)
    pointers = [
        (table, column.rstrip(".,;:)"))
        for row in coverage
        for word in row["note"].split()
        if "." in word.strip(".,;:)")
        for table, _, column in [word.partition(".")]
    ]
    assert len(pointers) > 20
    assert [each for each in pointers if each[1] not in tables.get(each[0], set())] == []


async def test_everything_of_the_data_model_is_there(connection: AsyncConnection) -> None:
    found = await _columns(connection)
    missing = {
        chapter: absent
        for chapter, names in DATA_MODEL.items()
        if (absent := sorted(set(names.split()) - found.keys()))
    }
    assert missing == {}
