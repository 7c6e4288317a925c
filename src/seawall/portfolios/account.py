"""One asset of a portfolio as transactions apply to it."""

from decimal import Decimal

from seawall.core.errors import InvalidError
from seawall.core.money import ZERO, plain
from seawall.portfolios.lots import LotBook
from seawall.portfolios.schemas import (
    Holding,
    Lot,
    LotMethod,
    Opening,
    Transaction,
    TransactionType,
)

_COMES = frozenset({TransactionType.BUY, TransactionType.DEPOSIT, TransactionType.REWARD})
_LEAVES = frozenset({TransactionType.SELL, TransactionType.WITHDRAWAL, TransactionType.FEE})
_TRADES = frozenset({TransactionType.BUY, TransactionType.SELL})


def direction(kind: TransactionType) -> int:
    """Return 1 when the quantity comes in, -1 when it leaves, 0 when it stays."""
    return (kind in _COMES) - (kind in _LEAVES)


class Account:
    """The lots of one asset, how much of it is staked, and what it earned and cost.

    Sums are exact only inside `money.exact()`, which the ledger opens.
    """

    def __init__(self, asset: str, method: LotMethod) -> None:
        self.asset = asset
        self.unpriced = False
        self._book = LotBook(method)
        self._staked = ZERO
        self._realised_profit = ZERO
        self._expenses = ZERO
        self._reward_quantity = ZERO
        self._reward_usd = ZERO
        self._withdrawn_basis = ZERO

    def apply(self, transaction: Transaction, worth: Decimal) -> None:
        """Take in a transaction worth quantity times price, or refuse it and change nothing.

        Raises:
            InvalidError: it takes more than there is, or an amount grows too large.
        """
        way = direction(transaction.type)
        if way > 0:
            self._take_in(transaction, worth)
        else:
            self._require(transaction)
            if way < 0:
                self._let_out(transaction, worth)
            else:
                self._move(transaction)
        # A buy's or deposit's fee is in the basis, a sell's came off the proceeds.
        if transaction.type not in _TRADES and transaction.type is not TransactionType.DEPOSIT:
            self._expenses += transaction.fee_usd

    def holding(self) -> Holding:
        """Return what is held now."""
        return Holding(
            asset=self.asset,
            quantity=self._book.quantity,
            staked=self._staked,
            cost_basis=self._book.cost_basis,
            lots=self._book.lots(),
            realised_profit=self._realised_profit,
            expenses=self._expenses,
            reward_quantity=self._reward_quantity,
            reward_usd=self._reward_usd,
            withdrawn_basis=self._withdrawn_basis,
            queue=self._book.queue(),
        )

    def _take_in(self, transaction: Transaction, worth: Decimal) -> None:
        rewarded = transaction.type is TransactionType.REWARD
        basis = worth if rewarded else worth + transaction.fee_usd
        recorded = transaction.id
        opening = None if recorded is None else Opening(recorded, transaction.quantity)
        self._book.add(Lot(transaction.time, transaction.quantity, basis, opening))
        if rewarded:
            self.unpriced |= transaction.price_usd is None
            self._reward_quantity += transaction.quantity
            self._reward_usd += worth

    def _let_out(self, transaction: Transaction, worth: Decimal) -> None:
        basis = self._book.remove(transaction.quantity)
        if transaction.type is TransactionType.SELL:
            self._realised_profit += worth - transaction.fee_usd - basis
        elif transaction.type is TransactionType.WITHDRAWAL:
            self._withdrawn_basis += basis
        else:
            self._expenses += basis

    def _move(self, transaction: Transaction) -> None:
        if transaction.type is TransactionType.STAKE:
            self._staked += transaction.quantity
        elif transaction.type is TransactionType.UNSTAKE:
            self._staked -= transaction.quantity

    def _require(self, transaction: Transaction) -> None:
        held, staked, asked = self._book.quantity, self._staked, transaction.quantity
        available = {TransactionType.UNSTAKE: staked, TransactionType.TRANSFER: held}
        if asked <= available.get(transaction.type, held - staked):
            return
        asset = self.asset
        message = f"{plain(asked)} {asset} is asked, {plain(held)} {asset} is held"
        if staked or transaction.type is TransactionType.UNSTAKE:
            message += f", {plain(staked)} {asset} of it staked"
        raise InvalidError(
            f"{message}.",
            hint="Look for a transaction that is missing before it; those of the same time apply "
            "in the order in which they were entered.",
            details={
                "short": asset,
                "held": plain(held),
                "staked": plain(staked),
                "asked": plain(asked),
            },
        )
