"""Replay of transactions into holdings, lots and cash."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from seawall.core.errors import InvalidError
from seawall.core.money import LIMIT, ZERO, exact, multiply, plain
from seawall.core.time import as_utc, iso
from seawall.portfolios.account import Account, direction
from seawall.portfolios.schemas import (
    CASH,
    Flow,
    LotMethod,
    Movement,
    PortfolioState,
    Totals,
    Transaction,
    TransactionType,
)

_CROSSES = frozenset({TransactionType.DEPOSIT, TransactionType.WITHDRAWAL})


def replay(
    transactions: Iterable[Transaction], method: LotMethod, as_of: datetime | None = None
) -> PortfolioState:
    """Apply all transactions of one portfolio up to and including a time.

    Raises:
        InvalidError: as `Ledger.apply`.
    """
    end = None if as_of is None else as_utc(as_of)
    ledger = Ledger(method)
    for transaction in in_order(transactions):
        if end is not None and transaction.time > end:
            break
        ledger.apply(transaction)
    return ledger.state()


def in_order(transactions: Iterable[Transaction]) -> list[Transaction]:
    """Sort by time, then by the order of entry."""
    return sorted(transactions, key=lambda each: (each.time, each.position))


def sift(
    transactions: Iterable[Transaction], method: LotMethod
) -> tuple[PortfolioState, list[tuple[Transaction, InvalidError]]]:
    """Apply, in the given order, what fits the history before it; list the rest with the reason."""
    ledger = Ledger(method)
    refused = []
    for transaction in transactions:
        try:
            ledger.apply(transaction)
        except InvalidError as error:
            refused.append((transaction, error))
    return ledger.state(), refused


class Ledger:
    """One portfolio as transactions apply, oldest first.

    Cash is kept from the first USD transaction on and pays for everything after it; what is
    bought and sold before is paid from and to outside.
    """

    def __init__(self, method: LotMethod) -> None:
        self._method = method
        self._accounts: dict[str, Account] = {}
        self._cash: Decimal | None = None
        self._cash_since: datetime | None = None
        self._cash_expenses = ZERO
        self._cash_rewards = ZERO
        self._movements: list[Movement] = []

    def apply(self, transaction: Transaction) -> None:
        """Take in the next transaction, or refuse it and change nothing.

        Raises:
            InvalidError: it takes more than there is, or an amount grows too large. The details
                name its `position`, and what is `short`, `held` and `asked` where something is.
        """
        try:
            with exact():
                if transaction.asset == CASH:
                    self._apply_cash(transaction)
                else:
                    self._apply_asset(transaction)
        except InvalidError as error:
            what = f"{transaction.type} of {plain(transaction.quantity)} {transaction.asset}"
            raise InvalidError(
                f"{what} on {iso(transaction.time)}: {error.message}",
                hint=error.hint,
                details={"position": transaction.position, **error.details},
            ) from None

    def state(self) -> PortfolioState:
        """Return where the portfolio stands now."""
        holdings = tuple(self._accounts[asset].holding() for asset in sorted(self._accounts))
        with exact():
            totals = Totals(
                cost_basis=sum((each.cost_basis for each in holdings), ZERO),
                realised_profit=sum((each.realised_profit for each in holdings), ZERO),
                expenses=sum((each.expenses for each in holdings), self._cash_expenses),
                reward_usd=sum((each.reward_usd for each in holdings), self._cash_rewards),
                withdrawn_basis=sum((each.withdrawn_basis for each in holdings), ZERO),
            )
        return PortfolioState(
            method=self._method,
            holdings=holdings,
            cash=self._cash,
            totals=totals,
            movements=tuple(self._movements),
            notes=self._notes(),
        )

    def _apply_asset(self, transaction: Transaction) -> None:
        asset, cash = transaction.asset, self._cash
        account = self._accounts.get(asset) or Account(asset, self._method)
        worth = ZERO
        if transaction.price_usd is not None:
            worth = multiply(transaction.quantity, transaction.price_usd, "quantity times price")
        paid = _payment(transaction, worth)
        if cash is not None:
            cash = _spend(cash, paid)
        account.apply(transaction, worth)
        self._accounts[asset], self._cash = account, cash

        moved = direction(transaction.type) * transaction.quantity
        flow = Flow(
            transaction.time,
            transaction.type,
            asset,
            usd=ZERO if cash is not None else paid.copy_negate(),
            quantity=moved if transaction.type in _CROSSES else ZERO,
            price_usd=transaction.price_usd,
        )
        self._note_movement((asset, moved), (CASH, ZERO if cash is None else paid), flow)

    def _apply_cash(self, transaction: Transaction) -> None:
        kind, quantity, fee = transaction.type, transaction.quantity, transaction.fee_usd
        moved = direction(kind) * quantity
        if self._cash is None and moved - fee < 0:
            raise InvalidError(
                f"no {CASH} is recorded before it; what was sold until then was paid to outside.",
                hint=f"Leave it out, or record a deposit of {CASH} before the first trade.",
                details={"short": CASH, "held": "0", "asked": plain(fee - moved)},
            )
        if kind is TransactionType.TRANSFER:
            _spend(self._cash or ZERO, -quantity - fee)
        self._cash = _spend(self._cash or ZERO, moved - fee)
        self._cash_since = self._cash_since or transaction.time
        self._cash_expenses += fee + (quantity if kind is TransactionType.FEE else ZERO)
        self._cash_rewards += quantity if kind is TransactionType.REWARD else ZERO

        crossed = moved if kind in _CROSSES else ZERO
        flow = Flow(transaction.time, kind, CASH, usd=crossed)
        self._note_movement((CASH, ZERO), (CASH, moved - fee), flow)

    def _note_movement(
        self, coins: tuple[str, Decimal], money: tuple[str, Decimal], flow: Flow
    ) -> None:
        changes = tuple(change for change in (coins, money) if change[1])
        crossed = flow if flow.usd or flow.quantity else None
        if changes or crossed:
            self._movements.append(Movement(flow.time, changes, crossed))

    def _notes(self) -> tuple[str, ...]:
        notes = []
        paid_outside = any(
            moved.flow and moved.flow.asset != CASH and moved.flow.usd for moved in self._movements
        )
        if paid_outside and self._cash_since:
            notes.append(
                f"Cash is counted from {iso(self._cash_since)} on; "
                "trades and fees before it were paid from and to outside."
            )
        elif paid_outside:
            notes.append(
                "No USD is recorded: trades and fees are paid from and to outside the portfolio."
            )
        unpriced = [name for name in sorted(self._accounts) if self._accounts[name].unpriced]
        if unpriced:
            notes.append(f"Rewards without a price have no cost basis: {', '.join(unpriced)}.")
        return tuple(notes)


def _payment(transaction: Transaction, worth: Decimal) -> Decimal:
    """Return what a transaction of coins adds to the money, negative when it costs."""
    if transaction.type is TransactionType.BUY:
        return -worth - transaction.fee_usd
    if transaction.type is TransactionType.SELL:
        return worth - transaction.fee_usd
    return ZERO - transaction.fee_usd


def _spend(cash: Decimal, change: Decimal) -> Decimal:
    left = cash + change
    if left < 0:
        raise InvalidError(
            f"it needs {plain(-change)} {CASH}, {plain(cash)} {CASH} cash is held.",
            hint=f"Record a deposit of {CASH} before it.",
            details={"short": CASH, "held": plain(cash), "asked": plain(-change)},
        )
    if left >= LIMIT:
        raise InvalidError(f"the cash grows out of range (below {LIMIT:.0e}).")
    return left
