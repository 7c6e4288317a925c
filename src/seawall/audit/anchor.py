"""The anchors of the audit log: a file outside the database that says what the log has to hold.

Each line names the chains that grew since the line before it, with the sequence and hash of their
last entries, and the hash of the line before it. So the lines of a database together name every
chain's head, an idle chain costs nothing, and a line cannot be changed alone.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import orjson

from seawall.audit.schemas import Chain, Head, Point, chain_name
from seawall.core.errors import InvalidError, UnavailableError
from seawall.core.settings import Settings
from seawall.core.time import iso, parse_time

_LOCK_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Anchor:
    """One line of the file; `log` is the hash of the log's very first entry, its identity."""

    time: datetime
    database: str
    log: str
    heads: Mapping[Chain, Head]
    previous: str | None

    def points(self) -> Iterator[Point]:
        """Return what it says of each chain."""
        for chain, head in self.heads.items():
            yield Point(chain, head.sequence, head.hash, self.time)


@dataclass(slots=True)
class Anchors:
    """What the file says of one database.

    Attributes:
        database: the database's name.
        points: the latest point of every chain.
        lines: the hashes of the lines that are of this database.
        log: the identity that they name.
        first: hash of the file's first line, which is the file's name.
        last: hash of its last line.
        problem: why the file cannot be believed; empty when it can.
    """

    database: str
    points: dict[Chain, Point] = field(default_factory=dict)
    lines: set[str] = field(default_factory=set)
    log: str | None = None
    first: str | None = None
    last: str | None = None
    problem: str = ""


class AnchorFile:
    """The file, open and locked."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def read(self, database: str) -> Anchors:
        """Put together what the lines say of a database, as far as they can be believed."""
        found = Anchors(database)
        for number, line in enumerate(self._lines(), start=1):
            anchor = _parse(line)
            if anchor is None or anchor.previous != found.last:
                what = "is no anchor" if anchor is None else "does not follow from the one before"
                found.problem = f"Line {number} of {self._path} {what}: the file was changed."
                return found
            found.last = _hash(line)
            found.first = found.first or found.last
            if anchor.database == database:
                found.lines.add(found.last)
                found.log = anchor.log
                found.points |= {point.chain: point for point in anchor.points()}
        return found

    def history(self, database: str, chains: Collection[Chain]) -> list[Point]:
        """Return every point of some chains, the earliest first."""
        anchors = filter(None, map(_parse, self._lines()))
        return [
            point
            for anchor in anchors
            if anchor.database == database
            for point in anchor.points()
            if point.chain in chains
        ]

    def append(self, anchor: Anchor) -> str:
        """Add a line, onto the disk, whole or not at all; return its hash.

        Raises:
            UnavailableError: it cannot be written.
        """
        line = _render(anchor)
        size = os.fstat(self._descriptor).st_size
        try:
            rest = memoryview(line + b"\n")
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, size)
            raise _unreachable(self._path, error) from error
        return _hash(line)

    def _lines(self) -> Iterator[bytes]:
        """Return the lines; one without an end is made no anchor, for it was cut."""
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            for line in file:
                yield line[:-1] if line.endswith(b"\n") else line + b" (cut)"


def anchor_path(settings: Settings) -> Path:
    """Return where the file is; only the home's own folder for it is made."""
    if settings.audit.anchor_file is not None:
        return settings.audit.anchor_file
    folder = settings.home / "audit"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unreachable(folder, error) from error
    return folder / "anchors.jsonl"


@asynccontextmanager
async def open_anchors(path: Path) -> AsyncIterator[AnchorFile]:
    """Open the file for one process at a time; it is made, for its owner alone, when not there.

    Raises:
        UnavailableError: it cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unreachable(path, error) from error
    try:
        while not _try_lock(descriptor):  # noqa: ASYNC110 - another process will let go of it
            await asyncio.sleep(_LOCK_POLL)
        yield AnchorFile(path, descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unreachable(path: Path, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"The audit log's anchors in {path} cannot be reached: {error.strerror}.",
        hint="See that the disk is there and has space, and that whoever runs Seawall may write to"
        " it; or name another file with SEAWALL_AUDIT__ANCHOR_FILE.",
    )


def _hash(line: bytes) -> str:
    return sha256(line).hexdigest()


def _render(anchor: Anchor) -> bytes:
    heads = {
        chain_name(chain): [head.sequence, head.hash.hex()] for chain, head in anchor.heads.items()
    }
    return orjson.dumps(
        {
            "time": iso(anchor.time),
            "database": anchor.database,
            "log": anchor.log,
            "heads": heads,
            "previous": anchor.previous,
        }
    )


def _parse(line: bytes) -> Anchor | None:
    """Read a line; None when it is no anchor."""
    try:
        read = orjson.loads(line)
        heads = {
            None if name == "system" else UUID(name): Head(int(sequence), bytes.fromhex(hash_))
            for name, (sequence, hash_) in read["heads"].items()
        }
        return Anchor(
            parse_time(read["time"]), read["database"], read["log"], heads, read["previous"]
        )
    except (ValueError, KeyError, TypeError, AttributeError, InvalidError):
        return None
