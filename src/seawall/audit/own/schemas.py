"""The values that one's own part of the audit log travels in."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries are wanted; None wants them all. From `since` to before `until`."""

    table: str | None = None
    operation: str | None = None
    record: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class OwnChain:
    """What came of verifying one's own chain.

    Attributes:
        head: the last entry's hash in hexadecimal; kept elsewhere, it vouches for all before it.
        edited: the numbers of entries that do not fit their hash, the first hundred of all faults.
        unlinked: those that do not follow from the one before.
    """

    entries: int
    last_sequence: int
    head: str | None
    edited: tuple[int, ...]
    unlinked: tuple[int, ...]

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.edited and not self.unlinked
