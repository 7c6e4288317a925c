"""The keys: their names, and values that come back as they went in."""

import hashlib
import os
import pickle
from dataclasses import asdict
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.db.cache import keys
from seawall.db.cache.keys import KEYS, Entry, Key, Part
from seawall.db.cache.values import (
    CachedMetric,
    CachedOrderBook,
    CachedPrice,
    CachedRefreshToken,
    CachedRiskLimits,
    CachedSession,
    CachedStrategy,
    StrategyName,
)

UNHURRIED = settings(deadline=None)
MOMENT = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
HASH = hashlib.sha256(b"a token").digest()
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda it: timezone(timedelta(minutes=it)))
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(9998, 1, 1), timezones=OFFSETS)  # noqa: DTZ001
AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False)
LEVELS = st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=2).map(tuple)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=3)
VALUES = {
    keys.SESSION: st.builds(CachedSession, st.uuids(), st.uuids(), TIMES, TIMES),
    keys.REFRESH_TOKEN: st.builds(CachedRefreshToken, st.uuids(), st.uuids(), TIMES),
    keys.PRICE: st.builds(CachedPrice, AMOUNTS, TIMES, st.none() | AMOUNTS),
    keys.ORDER_BOOK: st.builds(CachedOrderBook, LEVELS, LEVELS, TIMES),
    keys.ACTIVE_STRATEGIES: st.lists(st.builds(StrategyName, st.uuids(), st.uuids())).map(tuple),
    keys.STRATEGY: st.builds(
        CachedStrategy,
        st.text(),
        st.integers(1, 10**9),
        OBJECTS,
        OBJECTS,
        st.lists(st.integers(1, 2**31)).map(tuple),
        st.booleans(),
    ),
    keys.RISK_LIMITS: st.lists(
        st.builds(
            CachedRiskLimits,
            st.none() | st.uuids(),
            st.none() | st.uuids(),
            st.none() | AMOUNTS,
            st.none() | AMOUNTS,
            st.none() | st.floats(0, 1),
            st.none() | st.integers(0, 10**6),
            st.none() | st.floats(0, 1),
            blocking=st.sampled_from([(), ("max_drawdown",)]),
        ),
        max_size=2,
    ).map(tuple),
    keys.METRIC: st.builds(CachedMetric, st.floats(allow_nan=False, allow_infinity=False), TIMES),
}
"""Values of every entry."""


def test_every_key_stands_in_the_list_once() -> None:
    declared = [each for each in vars(keys).values() if isinstance(each, Key)]
    assert declared == list(KEYS)
    assert [key for key in KEYS if isinstance(key, Entry)] == list(VALUES)
    assert [key.template.partition(":")[0] for key in KEYS] == [
        "session",
        "refresh_token",
        "price",
        "orderbook",
        "strategies",
        "strategy",
        "risk_limits",
        "metrics",
        "rate_limit",
    ]


def test_names_are_those_of_the_designs() -> None:
    user, strategy = UUID(int=1), UUID(int=2)
    digest = hashlib.sha256(HASH).hexdigest()
    assert [
        keys.SESSION(token_hash=HASH).name,
        keys.REFRESH_TOKEN(token_hash=HASH).name,
        keys.PRICE(exchange="binance", symbol="BTC/USDT").name,
        keys.ORDER_BOOK(exchange="binance", symbol="BTC/USDT").name,
        keys.ACTIVE_STRATEGIES().name,
        keys.STRATEGY(user_id=user, strategy_id=strategy).name,
        keys.RISK_LIMITS(user_id=user).name,
        keys.METRIC(component="market", metric="lag").name,
        keys.RATE_LIMIT(user_id=user, endpoint="GET /v1/risk", resets_at=60),
    ] == [
        f"session:{digest}",
        f"refresh_token:{digest}",
        "price:binance:BTC/USDT",
        "orderbook:binance:BTC/USDT",
        "strategies:active",
        f"strategy:{user}:{strategy}",
        f"risk_limits:{user}",
        "metrics:market:lag",
        f"rate_limit:{user}:GET%20/v1/risk:60",
    ]


@UNHURRIED
@given(*[st.text()] * 4)
def test_different_parts_make_different_names(a: str, b: str, c: str, d: str) -> None:
    one, other = (keys.PRICE(exchange=x, symbol=y).name for x, y in ((a, b), (c, d)))
    assert (one == other) == ((a, b) == (c, d))
    assert not set(one) & set("*?[]\\^ \r\n\0")


@pytest.mark.parametrize(
    ("exchange", "symbol", "other"),
    [("a:b", "c", ("a", "b:c")), ("", "a", ("a", "")), ("*", "x", ("a", "x"))],
)
def test_a_separator_in_a_part_does_not_separate(
    exchange: str, symbol: str, other: tuple[str, str]
) -> None:
    name = keys.PRICE(exchange=exchange, symbol=symbol).name
    assert name != keys.PRICE(exchange=other[0], symbol=other[1]).name
    assert name.count(":") == 2


@pytest.mark.parametrize("parts", [{}, {"exchange": "a"}, {"exchange": "a", "symbol": "b", "x": 1}])
def test_a_name_needs_exactly_its_parts(parts: dict[str, Part]) -> None:
    with pytest.raises(TypeError, match="is not named by"):
        keys.PRICE(**parts)


@pytest.mark.parametrize("token", ["a raw token", b"a raw token", HASH.hex(), b""])
def test_a_token_itself_makes_no_name(token: Part) -> None:
    with pytest.raises(TypeError, match="never the token itself") as caught:
        keys.SESSION(token_hash=token)
    assert "raw" not in str(caught.value)


def assert_in_utc(value: object) -> None:
    """Look through a value for times."""
    if isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            assert_in_utc(each)
    if isinstance(value, datetime):
        assert value.tzinfo is UTC


@UNHURRIED
@given(st.data())
@pytest.mark.parametrize("entry", VALUES, ids=lambda it: it.template)
def test_values_come_back_exactly(entry: Entry[Any], data: st.DataObject) -> None:
    value: Any = data.draw(VALUES[entry])
    found = entry.decode(entry.encode(value))
    assert found == value
    assert type(found) is type(value)
    if not isinstance(found, tuple):
        assert_in_utc(asdict(found))


@UNHURRIED
@given(AMOUNTS)
def test_decimals_keep_every_digit(amount: Decimal) -> None:
    found = keys.PRICE.decode(keys.PRICE.encode(CachedPrice(amount, MOMENT)))
    assert found is not None
    assert found.price.as_tuple() == amount.as_tuple()


def test_values_are_readable_json() -> None:
    price = CachedPrice(Decimal("65000.10"), MOMENT.astimezone(timezone(timedelta(hours=2))))
    assert keys.PRICE.encode(price) == (
        b'{"price":"65000.10","time":"2026-03-04T07:06:07.890123+02:00","volume":null}'
    )
    assert keys.PRICE.decode(keys.PRICE.encode(price)) == price


def test_values_are_frozen() -> None:
    with pytest.raises(AttributeError):
        CachedPrice(Decimal(1), MOMENT).price = Decimal(2)  # type: ignore[misc]


class Bomb:
    """What makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "found",
    [
        None,
        7,
        "{}",
        b"",
        b"7",
        b"null",
        b"{}",
        b"[]",
        b"not json",
        b"\xff\xfe",
        b'{"price":"NaN","time":"2026-03-04T05:06:07Z"}',
        b'{"price":"Infinity","time":"2026-03-04T05:06:07Z"}',
        b'{"price":"1","time":"yesterday"}',
        b'{"price":"1"}',
        b'{"price":[],"time":"2026-03-04T05:06:07Z"}',
        pickle.dumps(CachedPrice(Decimal(1), MOMENT)),
    ],
)
def test_what_is_no_value_is_none(found: object) -> None:
    assert keys.PRICE.decode(found) is None


def test_what_is_not_finite_is_not_read_back() -> None:
    for value in (float("nan"), float("inf")):
        assert keys.METRIC.decode(keys.METRIC.encode(CachedMetric(value, MOMENT))) is None
    not_a_number = CachedPrice(Decimal("NaN"), MOMENT)
    assert keys.PRICE.decode(keys.PRICE.encode(not_a_number)) is None


def test_what_has_no_place_in_json_is_refused() -> None:
    strategy = CachedStrategy("t", 60, {"bomb": Bomb(Path())}, {}, (), is_active=True)
    with pytest.raises(TypeError):
        keys.STRATEGY.encode(strategy)


def test_a_session_is_good_until_it_expires_and_a_week_at_most() -> None:
    def remaining(expires_in: timedelta) -> timedelta:
        session = CachedSession(uuid4(), uuid4(), MOMENT + expires_in, MOMENT)
        return keys.SESSION.remaining(session, MOMENT)

    assert remaining(timedelta(hours=1)) == timedelta(hours=1)
    assert remaining(timedelta(days=30)) == timedelta(days=7)
    assert remaining(timedelta(hours=-1)) < timedelta()
