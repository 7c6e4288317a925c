"""What the audit log is made of, for those who read or verify it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

Chain = UUID | None
"""Whose entries: a user's, or the system's, which are nobody's."""


def chain_name(chain: Chain) -> str:
    """Write a chain's name."""
    return "system" if chain is None else str(chain)


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a chain."""

    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Point:
    """An entry that was anchored: what a chain has to hold at a place, and since when."""

    chain: Chain
    sequence: int
    hash: bytes
    time: datetime


class Fault(StrEnum):
    """What can be wrong with the log."""

    EDITED = "edited"
    MISSING = "missing"
    INSERTED = "inserted"
    UNLINKED = "unlinked"
    REWRITTEN = "rewritten"
    TRUNCATED = "truncated"
    REPLACED = "replaced"
    ANCHORS = "anchors"
    TRIGGER = "trigger"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, with an entry of a chain when it has a `sequence`.

    The system's chain is None, as is the chain of what is of no entry.
    """

    fault: Fault
    text: str
    chain: Chain = None
    sequence: int | None = None

    def __str__(self) -> str:
        if self.sequence is None:
            return f"{self.text[:1].upper()}{self.text[1:]}."
        return f"Chain {chain_name(self.chain)}: {self.text}."


@dataclass(frozen=True, slots=True)
class Anchored:
    """An anchor that was written; its hash, kept elsewhere, vouches for the whole file."""

    time: datetime
    hash: str
    chains: int


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of verifying the log.

    Attributes:
        findings: what is wrong; of very many that are alike only the first.
        found: how many faults there are in all.
        anchored: the anchor that was written when nothing was wrong.
        notes: what could not be verified.
    """

    entries: int
    chains: int
    found: int
    findings: list[Finding]
    anchored: Anchored | None
    notes: list[str]

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return self.found == 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as readers get it; numbers of its data are exact decimals."""

    time: datetime
    user_id: Chain
    sequence: int
    table_name: str
    operation: str
    record_id: str | None
    old_data: Mapping[str, Any] | None
    new_data: Mapping[str, Any] | None
    actor_id: UUID | None
    actor_role: str

    @property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """What an update changed: the old and the new value of each column."""
        if self.old_data is None or self.new_data is None:
            return {}
        old = self.old_data
        return {
            name: (old.get(name), value)
            for name, value in self.new_data.items()
            if old.get(name) != value
        }


@dataclass(frozen=True, slots=True)
class Question:
    """Which entries to list: of a table, of a record, since when, and how many at most."""

    limit: int
    table: str | None = None
    record: str | None = None
    since: datetime | None = None
