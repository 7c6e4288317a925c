"""How long rows are kept: one policy for every table, in two profiles."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Profile(StrEnum):
    """Which of the policy's limits hold: the usual ones, or the designs' shorter ones."""

    STANDARD = "standard"
    LEAN = "lean"


@dataclass(frozen=True, slots=True)
class Rule:
    """How long the rows of a table are kept, from the instant in `time`; None is for ever.

    `condition` chooses rows of the table, in SQL, in which `:cutoff` is the instant before which
    rows expire. What is `archived` goes to Parquet before it leaves; the rest is aggregated
    already, or can be had again.
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

    @property
    def then(self) -> str:
        """What becomes of rows that have expired, in a word."""
        if self.archived:
            return "archived"
        return "-" if self.standard is None else "deleted"


def in_words(keep: timedelta | None) -> str:
    """Write how long rows are kept; years have 365 days."""
    if keep is None:
        return "for ever"
    years, rest = divmod(keep.days, 365)
    unit, number = ("day", keep.days) if rest else ("year", years)
    return f"{number} {unit}{'' if number == 1 else 's'}"


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


def _prices(table: str) -> tuple[Rule, ...]:
    index = "EXISTS (SELECT FROM assets WHERE id = asset_id AND kind = 'index')"
    return (
        Rule(table, table, 5 * YEAR, _days(30), condition=f"NOT {index}"),
        # A close a day, beside the daily candles that they are compared with.
        Rule(f"{table} of an index", table, None, None, condition=index),
    )


# Fills go before the orders that they fill, and no order before all of its fills have expired: so
# no fill that stays loses its order.
POLICY: tuple[Rule, ...] = (
    *_candles("candles"),
    *_candles("candle_revisions"),
    *_prices("price_history"),
    *_prices("price_revisions"),
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
        condition="status IN ('filled', 'canceled', 'rejected', 'expired') AND NOT EXISTS ("
        "SELECT FROM fills WHERE order_id = orders.id AND executed_at >= :cutoff)",
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
    # One that can be refreshed lives on until it cannot be any more, which is never earlier.
    Rule("user_sessions", "user_sessions", _days(30), _days(30), time="refresh_expires_at"),
    Rule(
        "user_sessions without refresh",
        "user_sessions",
        _days(30),
        _days(30),
        time="expires_at",
        condition="refresh_expires_at IS NULL",
    ),
    Rule("one_time_tokens", "one_time_tokens", _days(30), _days(30), time="expires_at"),
    Rule("billing_events", "billing_events", _days(90), _days(90), time="created_at"),
    Rule("outbox", "outbox", _days(30), _days(30), time="created_at"),
    Rule("idempotency_keys", "idempotency_keys", _days(1), _days(1), time="expires_at"),
    Rule("guesses", "guesses", _days(1), _days(1), time="resets_at"),
    Rule("notifications", "notifications", _days(90), _days(90), time="created_at", archived=True),
    Rule("system_logs", "system_logs", YEAR, YEAR),
    Rule("job_failures", "job_failures", _days(90), _days(90), time="failed_at"),
    _forever("audit_logs"),
    _forever("transactions", "transaction_date"),
    _forever("ledger_entries", "created_at"),
    _forever("backtests", "created_at"),
    _forever("stress_tests", "created_at"),
    _forever("risk_scores", "calculated_at"),
    _forever("ai_insights", "created_at"),
    _forever("alert_history", "triggered_at"),
    _forever("adaptation_history"),
    _forever("backups", "started_at"),
    _forever("restore_drills", "started_at"),
    _forever("archives", "created_at"),
)
