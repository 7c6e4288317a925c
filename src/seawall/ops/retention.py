"""How long rows are kept: one policy for every table, in two profiles."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from seawall.core.errors import NotFoundError


class Profile(StrEnum):
    """Which of the policy's limits hold: the usual ones, or the designs' shorter ones."""

    STANDARD = "standard"
    LEAN = "lean"


@dataclass(frozen=True, slots=True)
class Rule:
    """How long the rows of a table are kept, from the instant in `time`; None is for ever.

    `condition` chooses rows of the table, in SQL. What is `archived` goes to Parquet before it
    leaves; the rest is aggregated already, or can be had again.
    """

    name: str
    table: str
    standard: timedelta | None
    lean: timedelta | None
    time: str = "time"
    condition: str = "true"
    archived: bool = False

    def keep(self, profile: Profile) -> timedelta | None:
        """Return how long rows are kept in a profile."""
        return self.standard if profile is Profile.STANDARD else self.lean

    def cutoff(self, profile: Profile, now: datetime) -> datetime | None:
        """Return the instant before which rows have expired."""
        keep = self.keep(profile)
        return None if keep is None else now - keep


def _days(number: int) -> timedelta:
    return timedelta(days=number)


YEAR = _days(365)


def _forever(table: str, time: str = "time") -> Rule:
    return Rule(table, table, None, None, time=time)


def _candles(table: str) -> tuple[Rule, ...]:
    minute, hour, day = "timeframe < 300", "timeframe >= 3600 AND timeframe < 86400", 86400
    between = "timeframe >= 300 AND timeframe < 3600"
    return (
        Rule(f"{table} below 5m", table, 2 * YEAR, _days(7), condition=minute),
        Rule(f"{table} 5m to below 1h", table, 5 * YEAR, _days(30), condition=between),
        Rule(f"{table} 1h to below 1d", table, 5 * YEAR, _days(90), condition=hour, archived=True),
        Rule(f"{table} 1d and above", table, None, None, condition=f"timeframe >= {day}"),
    )


# Fills go before the orders that they fill, so that neither is ever seen half.
POLICY: tuple[Rule, ...] = (
    *_candles("candles"),
    *_candles("candle_revisions"),
    Rule("price_history", "price_history", 5 * YEAR, _days(30)),
    Rule("price_revisions", "price_revisions", 5 * YEAR, _days(30)),
    Rule("quotes", "quotes", _days(30), _days(30)),
    Rule("order_books", "order_books", _days(30), _days(30)),
    Rule("market_trades", "market_trades", YEAR, YEAR),
    _forever("social_sentiment_history"),
    _forever("onchain_history"),
    _forever("risk_metrics"),
    _forever("portfolio_risk_metrics"),
    _forever("account_risk_metrics"),
    _forever("portfolio_snapshots"),
    _forever("market_regimes"),
    Rule("model_performance", "model_performance", 5 * YEAR, 5 * YEAR),
    Rule("performance_metrics", "performance_metrics", 5 * YEAR, 5 * YEAR),
    Rule("performance_analytics", "performance_analytics", 5 * YEAR, 5 * YEAR),
    Rule("fills", "fills", 7 * YEAR, 7 * YEAR, time="executed_at", archived=True),
    Rule(
        "orders, ended",
        "orders",
        7 * YEAR,
        7 * YEAR,
        time="updated_at",
        condition="status IN ('filled', 'canceled', 'rejected', 'expired')",
        archived=True,
    ),
    Rule(
        "positions, closed",
        "positions",
        7 * YEAR,
        7 * YEAR,
        time="closed_at",
        condition="status = 'closed'",
        archived=True,
    ),
    Rule(
        "risk_events, resolved",
        "risk_events",
        7 * YEAR,
        7 * YEAR,
        time="resolved_at",
        condition="resolved_at IS NOT NULL",
        archived=True,
    ),
    Rule("predictions", "predictions", 2 * YEAR, 2 * YEAR, time="target_date"),
    Rule("user_sessions", "user_sessions", _days(30), _days(30), time="expires_at"),
    Rule("one_time_tokens", "one_time_tokens", _days(30), _days(30), time="expires_at"),
    Rule("idempotency_keys", "idempotency_keys", _days(1), _days(1), time="expires_at"),
    Rule("notifications", "notifications", _days(90), _days(90), time="created_at", archived=True),
    Rule("system_logs", "system_logs", YEAR, YEAR),
    _forever("audit_logs"),
)


def find_rules(table: str) -> list[Rule]:
    """Return the rules of a table.

    Raises:
        NotFoundError: the policy says nothing of it, so its rows are kept.
    """
    found = [rule for rule in POLICY if rule.table == table]
    if not found:
        raise NotFoundError(f"The retention policy has no rule for {table}.")
    return found
