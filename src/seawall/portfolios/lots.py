"""Tax lots of one asset: what was paid for what is held, and which part of it leaves first."""

import heapq
from collections.abc import Sequence
from decimal import Decimal

from seawall.core.errors import InvalidError
from seawall.core.money import CONTEXT, LIMIT, ZERO, divide, exact, plain
from seawall.portfolios.schemas import Lot, LotMethod, Opening


class LotBook:
    """The open lots of one asset under one method.

    Nothing is lost to rounding: what leaves a lot takes its share of the basis, rounded half-even
    to the stored scale, the remainder stays, and whoever empties a lot takes all of it.
    """

    def __init__(self, method: LotMethod) -> None:
        self.quantity = ZERO
        self.cost_basis = ZERO
        self._method = method
        self._added = 0
        # A heap of (rank, order of arrival, lot). A lot keeps its rank as it shrinks.
        self._heap: list[tuple[Decimal, int, Lot]] = []

    def add(self, lot: Lot) -> None:
        """Take in a lot that is younger than all lots here.

        Raises:
            InvalidError: the cost of one unit, or a sum, is too large to be stored.
        """
        divide(lot.cost_basis, lot.quantity, "the cost of one unit")
        with exact():
            if max(self.quantity + lot.quantity, self.cost_basis + lot.cost_basis) >= LIMIT:
                raise InvalidError(f"what is held grows out of range (below {LIMIT:.0e}).")
            if self._method is LotMethod.AVERAGE and self._heap:
                self._merge(lot)
            else:
                heapq.heappush(self._heap, (self._rank(lot), self._added, lot))
            self._added += 1
            self.quantity += lot.quantity
            self.cost_basis += lot.cost_basis

    def remove(self, quantity: Decimal) -> Decimal:
        """Let a quantity leave by the method; return the basis that left with it.

        Raises:
            InvalidError: there is less.
        """
        if quantity > self.quantity:
            raise InvalidError(f"cannot take {plain(quantity)} out of {plain(self.quantity)}.")
        removed, wanted = ZERO, quantity
        with exact():
            while wanted:
                taken, basis = self._take(wanted)
                wanted -= taken
                removed += basis
            self.quantity -= quantity
            self.cost_basis -= removed
        return removed

    def lots(self) -> tuple[Lot, ...]:
        """List the open lots, oldest first."""
        return tuple(lot for _, _, lot in sorted(self._heap, key=lambda entry: entry[1]))

    def queue(self) -> tuple[Lot, ...]:
        """List the open lots, the one that leaves next first."""
        return tuple(lot for _, _, lot in sorted(self._heap))

    def _rank(self, lot: Lot) -> Decimal:
        if self._method is LotMethod.LIFO:
            return Decimal(-self._added)
        if self._method is LotMethod.HIFO:
            return CONTEXT.divide(lot.cost_basis.copy_negate(), lot.quantity)
        return ZERO

    def _merge(self, lot: Lot) -> None:
        rank, order, pool = self._heap[0]
        opening = pool.opening
        if opening is not None:
            opening = Opening(opening.transaction_id, opening.quantity + lot.quantity)
        quantity, basis = pool.quantity + lot.quantity, pool.cost_basis + lot.cost_basis
        self._heap[0] = (rank, order, Lot(pool.acquired, quantity, basis, opening))

    def _take(self, wanted: Decimal) -> tuple[Decimal, Decimal]:
        rank, order, lot = self._heap[0]
        if wanted >= lot.quantity:
            heapq.heappop(self._heap)
            return lot.quantity, lot.cost_basis
        share = _share(lot, wanted)
        rest = Lot(lot.acquired, lot.quantity - wanted, lot.cost_basis - share, lot.opening)
        self._heap[0] = (rank, order, rest)
        return wanted, share


def leaving(queue: Sequence[Lot], quantity: Decimal) -> tuple[Lot, ...]:
    """Tell which parts of lots leave with a quantity, of lots in the order in which they leave.

    Together they have the basis that `LotBook.remove` returns.

    Raises:
        InvalidError: there is less.
    """
    parts, wanted = [], quantity
    with exact():
        for lot in queue:
            if not wanted:
                break
            taken = min(wanted, lot.quantity)
            basis = lot.cost_basis if taken == lot.quantity else _share(lot, taken)
            parts.append(Lot(lot.acquired, taken, basis, lot.opening))
            wanted -= taken
    if wanted:
        raise InvalidError(f"{plain(wanted)} more is asked to leave than the lots hold.")
    return tuple(parts)


def _share(lot: Lot, quantity: Decimal) -> Decimal:
    # Multiplied before divided, so that only one rounding happens, at the stored scale.
    return divide(CONTEXT.multiply(lot.cost_basis, quantity), lot.quantity, "cost basis")
