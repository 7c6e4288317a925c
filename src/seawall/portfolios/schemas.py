"""The values that portfolios travel in."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from seawall.core.errors import InvalidError
from seawall.core.money import CONTEXT, ZERO, divide, fit, plain
from seawall.core.time import as_utc
from seawall.market.schemas import Rejected

CASH = "USD"
"""The one asset that is money: it is worth 1, has no lots and pays for trades."""
_SYMBOL_LIMIT = 32


class TransactionType(StrEnum):
    """What a transaction does to a portfolio."""

    BUY = "buy"
    SELL = "sell"
    TRANSFER = "transfer"
    STAKE = "stake"
    UNSTAKE = "unstake"
    REWARD = "reward"
    FEE = "fee"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"


class LotMethod(StrEnum):
    """Which lots leave first: the oldest, the newest, the dearest, or an even share of all."""

    FIFO = "fifo"
    LIFO = "lifo"
    HIFO = "hifo"
    AVERAGE = "average"


class VoidKind(StrEnum):
    """How a transaction was voided: by itself, to be replaced, or with all of its import."""

    ROW = "row"
    CORRECTION = "correction"
    IMPORT = "import"


_NOT_FOR_CASH = frozenset(
    {TransactionType.BUY, TransactionType.SELL, TransactionType.STAKE, TransactionType.UNSTAKE}
)
_PRICED = frozenset({TransactionType.BUY, TransactionType.SELL, TransactionType.DEPOSIT})


@dataclass(frozen=True, slots=True)
class Transaction:
    """One thing that happened to one asset.

    `quantity` is positive whatever the type; `price_usd` is for one unit. Transactions of the
    same time apply by `position`, the order in which they were entered.

    Raises:
        InvalidError: an amount cannot be stored or makes no sense for the type.
    """

    time: datetime
    type: TransactionType
    asset: str
    quantity: Decimal
    price_usd: Decimal | None = None
    fee_usd: Decimal = ZERO
    notes: str = ""
    position: int = 0
    id: UUID | None = None

    def __post_init__(self) -> None:
        if self.time.tzinfo is not UTC:
            object.__setattr__(self, "time", as_utc(self.time))
        _check_symbol(self.asset)
        if fit(self.quantity, "quantity") <= 0:
            raise InvalidError(f"quantity {plain(self.quantity)} is not above zero.")
        if fit(self.fee_usd, "fee_usd") < 0:
            raise InvalidError(f"fee_usd {plain(self.fee_usd)} is negative.")
        if self.price_usd is not None and fit(self.price_usd, "price_usd") < 0:
            raise InvalidError(f"price_usd {plain(self.price_usd)} is negative.")
        if self.asset == CASH:
            self._check_cash()
        elif self.price_usd is None and self.type in _PRICED:
            raise InvalidError(
                f"a {self.type} of {self.asset} needs price_usd.",
                hint="It becomes the cost basis." if self.type is TransactionType.DEPOSIT else "",
            )

    def _check_cash(self) -> None:
        if self.type in _NOT_FOR_CASH:
            raise InvalidError(
                f"{CASH} is the cash and has no {self.type}.",
                hint="Record it as a deposit or a withdrawal.",
            )
        if self.price_usd not in (None, 1):
            raise InvalidError(f"the price of {CASH} is 1, not {plain(self.price_usd)}.")


@dataclass(frozen=True, slots=True)
class Opening:
    """How a lot began: by which recorded transaction, and with how much."""

    transaction_id: UUID
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Lot:
    """A quantity acquired at one time, with what it cost in USD, fees included.

    Under the average method an asset has one lot, dated by the oldest acquisition in it, and
    opened with all that came into it. What is not recorded yet has no opening.
    """

    acquired: datetime
    quantity: Decimal
    cost_basis: Decimal
    opening: Opening | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """What a portfolio holds of one asset, and what became of the rest. Money is USD.

    `lots` are the oldest first, and `queue` the same in the order in which they will leave.
    `expenses` are fees that belong to no basis and no proceeds, with the basis of coins spent as
    fees; `reward_usd` is the value of rewards when they came, as far as their price was given;
    `withdrawn_basis` left with withdrawals.
    """

    asset: str
    quantity: Decimal
    staked: Decimal
    cost_basis: Decimal
    lots: tuple[Lot, ...]
    realised_profit: Decimal = ZERO
    expenses: Decimal = ZERO
    reward_quantity: Decimal = ZERO
    reward_usd: Decimal = ZERO
    withdrawn_basis: Decimal = ZERO
    queue: tuple[Lot, ...] = ()

    @property
    def free(self) -> Decimal:
        """The quantity that is not staked."""
        return CONTEXT.subtract(self.quantity, self.staked)

    @property
    def average_cost(self) -> Decimal | None:
        """The cost basis of one unit; None when nothing is held."""
        return divide(self.cost_basis, self.quantity, "average cost") if self.quantity else None


@dataclass(frozen=True, slots=True)
class Flow:
    """What crossed the portfolio's edge in one transaction; positive came in.

    `usd` is money. `quantity` is coins of `asset`, with the unit price recorded for them if any;
    performance values them at the market's price, for a recorded one may be an old cost basis.
    """

    time: datetime
    kind: TransactionType
    asset: str
    usd: Decimal
    quantity: Decimal = ZERO
    price_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """What one transaction changed: signed quantities by asset, cash as USD, and its flow."""

    time: datetime
    changes: tuple[tuple[str, Decimal], ...]
    flow: Flow | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all assets and cash, in USD; the fields mean what they mean in `Holding`."""

    cost_basis: Decimal
    realised_profit: Decimal
    expenses: Decimal
    reward_usd: Decimal
    withdrawn_basis: Decimal


@dataclass(frozen=True, slots=True)
class PortfolioState:
    """Where a portfolio stands after its transactions.

    `holdings` are sorted by asset and keep those of which nothing is left; `cash` is None while
    the portfolio has had no USD transaction. `movements` are in the order in which they applied.
    Profit since the beginning is market value - cost basis + realised profit + rewards - expenses.
    """

    method: LotMethod
    holdings: tuple[Holding, ...]
    cash: Decimal | None
    totals: Totals
    movements: tuple[Movement, ...]
    notes: tuple[str, ...]

    @property
    def flows(self) -> tuple[Flow, ...]:
        """What crossed the portfolio's edge, oldest first."""
        return tuple(moved.flow for moved in self.movements if moved.flow)

    @property
    def held(self) -> tuple[Holding, ...]:
        """What is held now; cash is the holding of USD, which cost what it is worth."""
        held = tuple(holding for holding in self.holdings if holding.quantity)
        if not self.cash:
            return held
        return (*held, Holding(CASH, self.cash, ZERO, self.cash, ()))


@dataclass(frozen=True, slots=True)
class ParsedRow:
    """A transaction read from a file, with the line on which it starts.

    The fingerprint is the same whenever the same row is read, and differs between identical rows
    of one file: storing each fingerprint once makes importing repeatable.
    """

    line: int
    transaction: Transaction
    fingerprint: str


@dataclass(frozen=True, slots=True)
class CheckedHistory:
    """New rows beside a history: with their ids, those that do not fit it, and where it leads.

    `state` is that of the history and the rows without the `rejected` ones.
    """

    rows: tuple[ParsedRow, ...]
    rejected: tuple[Rejected, ...]
    state: PortfolioState


@dataclass(frozen=True, slots=True)
class ParsedTransactions:
    """What one file of transactions holds, in its order, before anything is stored."""

    rows: tuple[ParsedRow, ...]
    rejected: tuple[Rejected, ...]
    rows_read: int


def _check_symbol(symbol: str) -> None:
    if not symbol:
        raise InvalidError("the asset is empty.")
    if len(symbol) > _SYMBOL_LIMIT or not symbol.isprintable() or " " in symbol:
        raise InvalidError(
            f"asset {symbol[:_SYMBOL_LIMIT]!r} is not a symbol.",
            hint=f"Write one like BTC, without spaces, in up to {_SYMBOL_LIMIT} characters.",
        )


@dataclass(frozen=True, slots=True)
class PortfolioRecord:
    """A portfolio by itself, with what was last known of what is in it.

    The totals are None while something held has no price; they and the risk are of `valued_at`.
    Percentages are in percent, the risk as in a risk report.
    """

    id: UUID
    user_id: UUID
    name: str
    description: str
    created_at: datetime
    is_primary: bool
    is_public: bool
    shows_quantities: bool
    color: str
    lot_method: LotMethod
    total_value_usd: Decimal | None
    total_invested_usd: Decimal | None
    total_profit_loss_usd: Decimal | None
    total_profit_loss_percentage: float | None
    risk_score: float | None
    volatility: float | None
    sharpe_ratio: float | None
    max_drawdown: float | None
    valued_at: datetime | None


@dataclass(frozen=True, slots=True)
class HoldingRecord:
    """What is stored of a holding: what its portfolio's transactions add up to, at the last price.

    What is not known is None. Percentages and changes of the price are in percent.
    """

    asset: str
    asset_name: str
    exchange_source: str
    wallet_address: str | None
    quantity: Decimal
    staked: Decimal
    average_buy_price: Decimal | None
    total_invested_usd: Decimal | None
    current_price: Decimal | None
    current_value_usd: Decimal | None
    price_change_24h: float | None
    price_change_7d: float | None
    profit_loss_usd: Decimal | None
    profit_loss_percentage: float | None
    notes: str
    created_at: datetime
    last_updated_at: datetime


@dataclass(frozen=True, slots=True)
class HoldingPrice:
    """The price in USD of one unit of what is held, and its changes in percent."""

    usd: Decimal | None
    change_24h: float | None
    change_7d: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a portfolio was worth, in USD, at `time` as it was known at `known_at`."""

    time: datetime
    known_at: datetime
    total_value_usd: Decimal
    total_invested_usd: Decimal
    cash_usd: Decimal
    holdings_count: int


@dataclass(frozen=True, slots=True)
class HeadlineRisk:
    """The figures of a risk report that a portfolio shows of itself; None where undefined."""

    volatility: float | None
    sharpe_ratio: float | None
    max_drawdown: float | None


@dataclass(frozen=True, slots=True)
class TransactionsImport:
    """What importing a file of transactions did; nothing of it when a row was rejected.

    `left_out` were voided by hand before. What was inserted can be voided together by
    `imported_at`, which is None where nothing was.
    """

    portfolio: str
    rows_read: int
    inserted: int
    unchanged: int
    rejected: tuple[Rejected, ...]
    left_out: int = 0
    imported_at: datetime | None = None
