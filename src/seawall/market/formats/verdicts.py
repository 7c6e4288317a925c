"""Which rows of a file are kept, and for what reason each of the others is not."""

from collections.abc import Callable

import numpy as np

from seawall.market.formats.base import Ints, Mask
from seawall.market.schemas import Rejected


class Verdicts:
    """The rows still kept; the first reason against a row is the one that stands.

    Shapes: `lines` and `kept` are (n,), one for each row of the table.
    """

    def __init__(self, lines: Ints) -> None:
        self.lines = lines
        self.kept: Mask = np.ones(len(lines), np.bool_)
        self.rejected: list[Rejected] = []

    def reject(self, at_fault: Mask, why: Callable[[int], str]) -> None:
        """Reject the rows at fault that are still kept, each with what `why` says of it."""
        for row in np.flatnonzero(at_fault & self.kept):
            self.rejected.append(Rejected(int(self.lines[row]), why(int(row))))
        self.kept &= ~at_fault
