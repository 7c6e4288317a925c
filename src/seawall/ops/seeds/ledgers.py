"""Made-up users in arrays: portfolios, what was bought in them, and what follows from it.

Every figure follows from the number of its user and of its place, so that the same user is the
same in whatever portions users are made.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, auto
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from seawall.db.bulk import Column, Records, instant, record_dtype
from seawall.ops.seeds import wire
from seawall.ops.seeds.paths import DAY_STEPS, WEEK_STEPS, Paths
from seawall.ops.seeds.wire import NUMERIC, numeric, scatter, uniform, uuids
from seawall.quant.types import IntArray

NAMES = ("Main", "Trading", "Long term", "Staking", "Experiments")
HOLDINGS = 20
TIERS = ("free", "plus", "pro", "power-trader")
_TIER_SHARES = (0.7, 0.9, 0.98)
UNIT = 10_000
"""Quantities and prices are counted in 1/10,000, so that their products are exact in 1e-8."""
_FEE_SHARE = 1_000
_LEAST_USD, _MOST_USD = 50.0, 5_000.0


class Stream(IntEnum):
    """What numbers are drawn for."""

    USER = auto()
    TIER = auto()
    PORTFOLIO = auto()
    COIN = auto()
    STEP = auto()
    WORTH = auto()
    TRANSACTION = auto()
    LOT = auto()
    HOLDING = auto()


_OWNED = (Column("user_id", wire.UUID), Column("portfolio_id", wire.UUID))
_ASSET = Column("asset_id", "<i4")
TRANSACTIONS = (
    Column("id", wire.UUID),
    *_OWNED,
    Column("transaction_date", "<M8[us]"),
    _ASSET,
    Column("quantity", NUMERIC),
    Column("price_usd", NUMERIC),
    Column("fee_usd", NUMERIC),
)
LOTS = (
    Column("id", wire.UUID),
    *_OWNED,
    _ASSET,
    Column("opening_transaction_id", wire.UUID),
    Column("acquired_at", "<M8[us]"),
    Column("quantity", NUMERIC),
    Column("original_quantity", NUMERIC),
    Column("cost_basis_usd", NUMERIC),
)
HELD = (
    Column("id", wire.UUID),
    *_OWNED,
    _ASSET,
    Column("quantity", NUMERIC),
    Column("average_buy_price", NUMERIC),
    Column("total_invested_usd", NUMERIC),
    Column("current_price", NUMERIC),
    Column("price_change_24h", "<f8"),
    Column("price_change_7d", "<f8"),
)


@dataclass(frozen=True, slots=True)
class Market:
    """What the made-up users buy: coins by their ids, since a step of their paths."""

    paths: Paths
    asset_ids: IntArray
    first: int

    @property
    def began(self) -> datetime:
        """When the first of them may have bought."""
        return instant(self.paths.times[self.first])


@dataclass(frozen=True, slots=True)
class Buys:
    """One buy for every holding of some users, in the order of time.

    Shapes: (n,) each. `holding` counts through all users, `coin` is a column and `step` a row of
    the paths; quantities and prices are in units of 1/10,000, `unit_fee` is the fee for one coin.
    """

    holding: IntArray
    coin: IntArray
    step: IntArray
    quantity: IntArray
    price: IntArray
    unit_fee: IntArray
    current: IntArray

    @property
    def portfolio(self) -> IntArray:
        """The number of the portfolio of each."""
        return self.holding // HOLDINGS

    @property
    def basis(self) -> IntArray:
        """What each cost with its fee, in 1e-8 USD."""
        return self.quantity * (self.price + self.unit_fee)

    @property
    def value(self) -> IntArray:
        """What each is worth now, in 1e-8 USD."""
        return self.quantity * self.current


def make_buys(market: Market, first_user: int, last_user: int) -> Buys:
    """Make up what the users from one number to before another bought."""
    portfolios = np.arange(first_user * len(NAMES), last_user * len(NAMES))
    kinds = len(market.asset_ids)
    draws = scatter(portfolios[:, None] * kinds + np.arange(kinds), Stream.COIN)
    coin = np.argsort(draws, axis=1)[:, :HOLDINGS].reshape(-1)
    holding = (portfolios[:, None] * HOLDINGS + np.arange(HOLDINGS)).reshape(-1)
    steps = len(market.paths.prices) - market.first
    step = market.first + (uniform(holding, Stream.STEP) * steps).astype(np.int64)
    order = np.argsort(step, kind="stable")
    holding, coin, step = holding[order], coin[order], step[order]
    prices = market.paths.prices
    price = _units(prices[step, coin])
    worth = _LEAST_USD * (_MOST_USD / _LEAST_USD) ** uniform(holding, Stream.WORTH)
    quantity = np.maximum(_units(worth / prices[step, coin]), 1)
    current = _units(prices[-1])[coin]
    return Buys(holding, coin, step, quantity, price, price // _FEE_SHARE, current)


def _units(amounts: NDArray[np.float64]) -> IntArray:
    return np.rint(amounts * UNIT).astype(np.int64)


def transaction_records(market: Market, buys: Buys) -> Records:
    """Lay out the buys as rows of `transactions`."""
    made = _owned(buys, TRANSACTIONS, Stream.TRANSACTION, market)
    made["transaction_date"] = market.paths.times[buys.step]
    made["quantity"] = numeric(buys.quantity * UNIT)
    made["price_usd"] = numeric(buys.price * UNIT)
    made["fee_usd"] = numeric(buys.quantity * buys.unit_fee)
    return made


def lot_records(market: Market, buys: Buys) -> Records:
    """Lay out the lots that the buys opened."""
    made = _owned(buys, LOTS, Stream.LOT, market)
    made["opening_transaction_id"] = uuids(buys.holding, Stream.TRANSACTION)
    made["acquired_at"] = market.paths.times[buys.step]
    made["quantity"] = made["original_quantity"] = numeric(buys.quantity * UNIT)
    made["cost_basis_usd"] = numeric(buys.basis)
    return made


def holding_records(market: Market, buys: Buys) -> Records:
    """Lay out what the buys amount to, at the prices of the end."""
    prices = market.paths.prices
    made = _owned(buys, HELD, Stream.HOLDING, market)
    made["quantity"] = numeric(buys.quantity * UNIT)
    made["average_buy_price"] = numeric((buys.price + buys.unit_fee) * UNIT)
    made["total_invested_usd"] = numeric(buys.basis)
    made["current_price"] = numeric(buys.current * UNIT)
    for name, steps in (("24h", DAY_STEPS), ("7d", WEEK_STEPS)):
        changes = (prices[-1] / prices[-1 - steps] - 1) * 100
        made[f"price_change_{name}"] = changes[buys.coin]
    return made


def _owned(buys: Buys, columns: tuple[Column, ...], stream: Stream, market: Market) -> Records:
    made = np.empty(len(buys.holding), record_dtype(columns))
    made["id"] = uuids(buys.holding, stream)
    made["user_id"] = uuids(buys.portfolio // len(NAMES), Stream.USER)
    made["portfolio_id"] = uuids(buys.portfolio, Stream.PORTFOLIO)
    made["asset_id"] = market.asset_ids[buys.coin]
    return made


USER_COLUMNS = ("id", "username", "email", "email_verified", "tier", "created_at", "updated_at")


def user_rows(market: Market, first: int, last: int) -> list[tuple[object, ...]]:
    """Return rows of `users` with the columns above; nobody can log in as one of them."""
    numbers = np.arange(first, last)
    tiers = np.searchsorted(_TIER_SHARES, uniform(numbers, Stream.TIER), side="right")
    began = market.began
    return [
        (key, f"perf-{number:07}", email(number), True, TIERS[tier], began, began)
        for key, number, tier in zip(
            _as_uuids(uuids(numbers, Stream.USER)), numbers.tolist(), tiers.tolist(), strict=True
        )
    ]


def email(user: int) -> str:
    """Return the address of a made-up user, which no mail can ever reach."""
    return f"perf-{user:07}@seed.example"


def user_id(user: int) -> UUID:
    """Return the id of a made-up user by the user's number, counted from 0."""
    return _as_uuids(uuids(np.array([user]), Stream.USER))[0]


def portfolio_id(user: int, place: int) -> UUID:
    """Return the id of a made-up user's portfolio, of those in `NAMES` the one at a place."""
    number = np.array([user * len(NAMES) + place])
    return _as_uuids(uuids(number, Stream.PORTFOLIO))[0]


PORTFOLIO_COLUMNS = (
    "id",
    "user_id",
    "name",
    "is_primary",
    "created_at",
    "updated_at",
    "total_value_usd",
    "total_invested_usd",
    "valued_at",
)


def portfolio_rows(market: Market, buys: Buys) -> list[tuple[object, ...]]:
    """Return rows of `portfolios` with the columns above, which sum up what is in each."""
    numbers, place = np.unique(buys.portfolio, return_inverse=True)
    values, invested = np.zeros_like(numbers), np.zeros_like(numbers)
    np.add.at(values, place, buys.value)
    np.add.at(invested, place, buys.basis)
    began, until = market.began, market.paths.until
    return [
        (key, owner, NAMES[at], at == 0, began, began, _decimal(value), _decimal(cost), until)
        for key, owner, at, value, cost in zip(
            _as_uuids(uuids(numbers, Stream.PORTFOLIO)),
            _as_uuids(uuids(numbers // len(NAMES), Stream.USER)),
            (numbers % len(NAMES)).tolist(),
            values.tolist(),
            invested.tolist(),
            strict=True,
        )
    ]


def _decimal(units: int) -> Decimal:
    return Decimal(units).scaleb(-wire.NUMERIC_SCALE)


def _as_uuids(made: wire.Wire) -> list[UUID]:
    return [UUID(bytes=bytes(each)) for each in made]
