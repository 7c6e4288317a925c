"""What is sent: one body for both kinds of streams, written once for all who get the same."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import orjson

from seawall.core.money import plain
from seawall.core.time import iso
from seawall.market.prices import Price
from seawall.risk.news.store import KeptReport, LimitNews


@dataclass(frozen=True, slots=True)
class News:
    """One thing that is told of a topic, as JSON."""

    topic: str
    body: bytes


@dataclass(frozen=True)
class Message:
    """What one or many readers are sent; `id` is where to go on from once it has come."""

    kind: str
    id: str
    body: bytes

    @cached_property
    def text(self) -> str:
        """As a WebSocket has it."""
        return self.body.decode()

    @cached_property
    def event(self) -> bytes:
        """As Server-Sent Events have it."""
        name = f"id: {self.id}\n" if self.id else ""
        return f"{name}event: {self.kind}\n".encode() + b"data: " + self.body + b"\n\n"


def say(kind: str, id_: str = "", /, **more: object) -> Message:
    """Make a message of a few facts."""
    told: dict[str, object] = {"type": kind} | ({"id": id_} if id_ else {}) | more
    return Message(kind, id_, orjson.dumps(told))


def bring(id_: str, news: Iterable[News]) -> Message:
    """Make a message of news, which come together or not at all."""
    head = b'{"type":"events","id":' + orjson.dumps(id_) + b',"events":['
    return Message("events", id_, head + b",".join(each.body for each in news) + b"]}")


def tell_price(topic: str, asset: str, price: Price | None) -> News:
    """Tell what an asset costs now; null when nothing knows."""
    told: dict[str, object] = {"topic": topic, "asset": asset}
    if price is None:
        told |= {"price_usd": None, "time": None, "source": "", "note": ""}
    else:
        told |= {"price_usd": price.usd, "time": iso(price.time)}
        told |= {"source": price.source, "note": price.note}
    return News(topic, orjson.dumps(told))


def tell_report(kept: KeptReport, topics: frozenset[str]) -> Sequence[News]:
    """Tell what a portfolio was worth, and what was measured of it, to whom it concerns."""
    value, risk = f"portfolio:{kept.portfolio_id}", f"risk:{kept.portfolio_id}"
    about: dict[str, object] = {
        "portfolio_id": str(kept.portfolio_id),
        "as_of": iso(kept.as_of),
        "known_at": iso(kept.known_at),
        "total_value_usd": _money(kept.total_value_usd),
    }
    worth = {
        "total_invested_usd": _money(kept.total_invested_usd),
        "cash_usd": _money(kept.cash_usd),
        "holdings_count": kept.holdings_count,
    }
    measured = {
        "report_id": str(kept.id),
        "window": kept.window,
        "confidence": kept.confidence,
        "benchmark": kept.benchmark,
        "observations": kept.observations,
        "figures": dict(kept.figures),
    }
    found = ((value, worth), (risk, measured))
    return [
        News(topic, orjson.dumps({"topic": topic} | about | more))
        for topic, more in found
        if topic in topics
    ]


def tell_limit(event: LimitNews) -> News:
    """Tell that a limit is broken, is broken worse, or is kept again."""
    told = {
        "topic": "alerts",
        "kind": "limit",
        "event_id": str(event.id),
        "event_type": event.event_type,
        "limit": event.limit_name,
        "severity": event.severity,
        "description": event.description,
        "triggered_at": iso(event.triggered_at),
        "resolved_at": _time(event.resolved_at),
    }
    return News("alerts", orjson.dumps(told))


def _money(amount: Any) -> str | None:
    return None if amount is None else plain(amount)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
