"""Verifying the audit log, within itself and against its anchors, and anchoring it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from seawall.audit import store
from seawall.audit.anchor import Anchor, AnchorFile, Anchors, open_anchors
from seawall.audit.schemas import (
    Anchored,
    Chain,
    Fault,
    Finding,
    Head,
    Point,
    Verification,
    chain_name,
)
from seawall.core.errors import ConflictError, name_some
from seawall.core.time import iso, now
from seawall.db.faults import translated

SHOWN = 100
"""Findings of a kind that are named; all are counted."""

_NEVER_ANCHORED = (
    "The log was not anchored before: that entries were cut from the end of a chain until now"
    " could not have been seen."
)


@dataclass(frozen=True, slots=True)
class _Log:
    """What anchors are compared with: where the chains end, and the hash of the first entry."""

    heads: Mapping[Chain, Head]
    identity: str


async def verify(engine: AsyncEngine, path: Path, database: str) -> Verification:
    """Verify every entry, compare the log with its anchors, and anchor it when nothing is wrong.

    Args:
        engine: acts as the database's owner, who sees the entries of every user.
        path: the file of anchors.
        database: the name by which the anchors know the database.

    Raises:
        UnavailableError: the file or the database cannot be reached.
    """
    async with open_anchors(path) as file:
        anchors = file.read(database)
        async with store.snapshot(engine) as connection:
            inner, unnamed = await _read_through(connection)
            log = await _read_log(connection)
            outer = await _compare(connection, file, anchors, log)
            entries = await store.count_entries(connection)
        found = len(inner) + unnamed + len(outer)
        anchored = None if found else await _write(engine, file, anchors, log)
    return Verification(
        entries=entries,
        chains=len(log.heads),
        found=found,
        findings=inner + outer[:SHOWN],
        anchored=anchored,
        notes=[] if anchors.lines else [_NEVER_ANCHORED],
    )


async def write_anchor(
    engine: AsyncEngine, path: Path, database: str, *, anew: bool = False
) -> Anchored:
    """Anchor the log as it is, unverified, when it holds all that was anchored before.

    With `anew` nothing is compared: the file must not have anchors of this database yet.

    Raises:
        ConflictError: something that was anchored is not there, or the file is not as it was; with
            `anew`, it has anchors.
        UnavailableError: the file or the database cannot be reached.
    """
    async with open_anchors(path) as file:
        anchors = file.read(database)
        if anew and (anchors.lines or anchors.problem):
            raise ConflictError(
                f"{path} has anchors already.", hint="Move it away first, and keep it."
            )
        async with store.snapshot(engine) as connection:
            log = await _read_log(connection)
            findings = [] if anew else await _compare(connection, file, anchors, log)
        if findings:
            raise ConflictError(
                f"Not anchored. {name_some([each.text for each in findings])}",
                hint="`seawall audit verify` tells more.",
            )
        return await _write(engine, file, anchors, log)


async def _read_log(connection: AsyncConnection) -> _Log:
    identity = await store.read_identity(connection)
    return _Log(await store.read_heads(connection), (identity or b"").hex())


async def _write(engine: AsyncEngine, file: AnchorFile, anchors: Anchors, log: _Log) -> Anchored:
    """Add a line to the file, and then say in the log that it is there."""
    known = anchors.points
    grown = {
        chain: head
        for chain, head in log.heads.items()
        if chain not in known or known[chain].hash != head.hash
    }
    moment = now()
    line = file.append(Anchor(moment, anchors.database, log.identity, grown, anchors.last))
    with translated():
        async with engine.begin() as connection:
            await store.log_anchor(connection, anchors.first or line, line)
    return Anchored(moment, line, len(log.heads))


async def _read_through(connection: AsyncConnection) -> tuple[list[Finding], int]:
    """Return what is wrong within the log, and how many faults there are besides."""
    edited, edited_count = await store.find_edited(connection, SHOWN)
    unlinked, unlinked_count = await store.find_unlinked(connection, SHOWN)
    findings = [
        Finding(
            Fault.EDITED, f"entry {sequence} was changed: it does not fit its hash", chain, sequence
        )
        for chain, sequence in edited
    ]
    findings += [_unlinked(*each) for each in unlinked]
    unnamed = edited_count + unlinked_count - len(findings)
    for table, trigger in await store.list_broken_triggers(connection):
        text = f"the trigger {trigger} of {table} does not fire"
        findings.append(Finding(Fault.TRIGGER, text))
    return findings, unnamed


def _unlinked(chain: Chain, sequence: int | None, last: int) -> Finding:
    """Say why an entry does not follow from the one before it, whose sequence is `last`."""
    if sequence is None:
        text = f"an entry without a number was inserted into chain {chain_name(chain)}"
        return Finding(Fault.INSERTED, text)
    if sequence <= last:
        return Finding(
            Fault.INSERTED, f"entry {sequence} was inserted: it follows {last}", chain, sequence
        )
    if sequence > last + 1:
        text = f"{_entries(last + 1, sequence - 1)} missing"
        return Finding(Fault.MISSING, text, chain, last + 1)
    text = f"entry {sequence} does not follow from {last}: one of the two was replaced"
    return Finding(Fault.UNLINKED, text, chain, sequence)


def _entries(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"


async def _compare(
    connection: AsyncConnection, file: AnchorFile, anchors: Anchors, log: _Log
) -> list[Finding]:
    """Return what the anchors say that is not so."""
    problem = anchors.problem or await _missing_anchor(connection, anchors)
    findings = [Finding(Fault.ANCHORS, problem)] if problem else []
    if not log.identity or anchors.log not in {None, log.identity}:
        text = "the log does not begin with the entry that it began with"
        return [*findings, Finding(Fault.REPLACED, text)]
    hashes = await store.read_hashes(connection, anchors.points.values())
    purged = await store.read_purged(connection)
    wrong = [
        point
        for point in anchors.points.values()
        if hashes.get((point.chain, point.sequence)) != point.hash
        and not _went(point, log.heads.get(point.chain), purged.get(point.chain))
    ]
    intact = await _last_intact(connection, file, anchors, wrong[:SHOWN])
    return findings + [_accuse(point, log.heads.get(point.chain), intact) for point in wrong]


def _went(point: Point, head: Head | None, last: Head | None) -> bool:
    """Tell whether an entry went with a chain that was purged as a whole, by what was said then."""
    if head is not None or last is None or last.sequence < point.sequence:
        return False
    return last.sequence > point.sequence or last.hash == point.hash


async def _missing_anchor(connection: AsyncConnection, anchors: Anchors) -> str:
    """Say which anchor the log knows of and the file has not; empty when there is none."""
    logged = await store.find_anchor(connection, anchors.first if anchors.lines else None)
    if logged is None:
        # The first line may stand there alone, when it was written and could not be logged.
        return "" if len(anchors.lines) <= 1 else "the log knows nothing of this file of anchors"
    moment, line = logged
    return "" if line in anchors.lines else f"the anchor of {iso(moment)} is not in the file"


async def _last_intact(
    connection: AsyncConnection, file: AnchorFile, anchors: Anchors, wrong: list[Point]
) -> dict[Chain, Point]:
    """Return, of chains whose latest point is wrong, the last point that is not."""
    earlier = file.history(anchors.database, {point.chain for point in wrong}) if wrong else []
    hashes = await store.read_hashes(connection, earlier)
    return {
        point.chain: point
        for point in earlier
        if hashes.get((point.chain, point.sequence)) == point.hash
    }


def _accuse(point: Point, head: Head | None, intact: Mapping[Chain, Point]) -> Finding:
    """Say what became of an entry that was anchored and is not there."""
    first = 1 if head is None else head.sequence + 1
    if first <= point.sequence:
        what = "with the whole chain" if head is None else "from the chain's end"
        text = f"{_entries(first, point.sequence)} gone {what}, anchored at {iso(point.time)}"
        return Finding(Fault.TRUNCATED, text, point.chain, first)
    text = f"entry {point.sequence} is not the one that was anchored at {iso(point.time)}"
    if good := intact.get(point.chain):
        text += f"; entry {good.sequence}, anchored at {iso(good.time)}, is as it was"
    return Finding(Fault.REWRITTEN, text, point.chain, point.sequence)
