"""Everything that is somebody's own, as a ZIP of CSV files and a manifest.

It is read in one snapshot and written to a file without a name, piece by piece: neither memory nor
a connection grows with what there is, or waits for whoever fetches it.
"""

import asyncio
import hashlib
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import IO, Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.crypto import Place
from seawall.core.time import iso
from seawall.db.session import transaction
from seawall.identity.desk import Desk
from seawall.identity.errors import TooManyRequestsError
from seawall.identity.schemas import Client
from seawall.identity.store import export as store
from seawall.identity.store import journal

FORMAT = 1
EXPORTS, EXPORT_SECONDS = 5, 60 * 60
LEFT_OUT = {"idempotency_keys": "answers that are kept for a day to give them again"}
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Export:
    """A finished export, to be read from its beginning; closing it removes it."""

    file: IO[bytes]
    size_bytes: int
    rows: int

    def pieces(self) -> Iterator[bytes]:
        """Give the file, piece by piece, and close it."""
        with self.file:
            while piece := self.file.read(_PIECE):
                yield piece


async def count_export(desk: Desk, user_id: UUID) -> None:
    """Count one export of a user.

    Raises:
        TooManyRequestsError: there were enough in this hour.
        UnavailableError: the cache is away.
    """
    usage = await desk.cache.hit(str(user_id), "export", EXPORT_SECONDS)
    if usage.count > EXPORTS:
        raise TooManyRequestsError(
            f"More than {EXPORTS} exports an hour. Go on at {iso(usage.resets_at)}.",
            usage.resets_at,
        )


async def export_account(desk: Desk, user_id: UUID, client: Client) -> Export:
    """Write everything that is a user's own into a ZIP, without hashes, keys and what is sealed.

    Raises:
        UnavailableError: the database is away.
    """
    file = tempfile.TemporaryFile(prefix="seawall-export-")  # noqa: SIM115 - whoever reads it closes it
    try:
        frozen = desk.engine.execution_options(isolation_level="REPEATABLE READ")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            async with transaction(frozen, user_id) as session:
                manifest = await _write(desk, session, archive, user_id)
            archive.writestr("manifest.json", orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
        async with transaction(desk.engine, user_id) as session:
            rows = sum(each["rows"] for each in manifest["tables"])
            await journal.note(session, "EXPORT", client, rows=rows)
        size = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return Export(file, size, rows)


async def _write(
    desk: Desk, session: AsyncSession, archive: zipfile.ZipFile, user_id: UUID
) -> dict[str, Any]:
    columns = await store.list_columns(session)
    tables = []
    for table, found in groupby(columns, key=lambda each: each.table_name):
        if table not in LEFT_OUT:
            tables.append(await _write_table(session, archive, list(found)))
    names = {
        name: desk.vault.open(sealed, Place("users", name, user_id, user_id)).get_secret_value()
        for name, sealed in (await store.sealed_names(session)).items()
    }
    archive.writestr("names.json", orjson.dumps(names, option=orjson.OPT_INDENT_2))
    return {
        "format": FORMAT,
        "user_id": str(user_id),
        "as_of": iso(desk.clock()),
        "tables": tables,
        "left_out": LEFT_OUT,
    }


async def _write_table(
    session: AsyncSession, archive: zipfile.ZipFile, columns: list[store.Column]
) -> dict[str, Any]:
    table = columns[0].table_name
    with _member(archive, f"{table}.csv") as member:
        rows = await store.copy_rows(session, columns, member.take)
        await member.flush()
    return {
        "table": table,
        "file": f"{table}.csv",
        "rows": rows,
        "size_bytes": member.size,
        "sha256": member.digest.hexdigest(),
        "left_out": [each.name for each in columns if each.is_secret],
    }


class _Member:
    """One file of a ZIP, which is compressed away from the event loop."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._waiting = bytearray()
        self.size = 0
        self.digest = hashlib.sha256()

    async def take(self, piece: bytes) -> None:
        """Add a piece."""
        self._waiting += piece
        if len(self._waiting) >= _PIECE:
            await self.flush()

    async def flush(self) -> None:
        """Write what waits."""
        piece = bytes(self._waiting)
        self._waiting.clear()
        self.size += len(piece)
        self.digest.update(piece)
        await asyncio.to_thread(self._file.write, piece)


@contextmanager
def _member(archive: zipfile.ZipFile, name: str) -> Iterator[_Member]:
    with archive.open(name, "w", force_zip64=True) as file:
        yield _Member(file)
