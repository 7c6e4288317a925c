"""An export has everything that is somebody's own, nothing of others, and no secret."""

import asyncio
import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import text, update

from seawall.core.crypto import Place
from seawall.db.base import Base
from seawall.db.session import transaction
from seawall.identity import export
from seawall.identity.errors import TooManyRequestsError
from seawall.identity.schemas import Client
from seawall.identity.tables import User

Premises = Any  # what the fixture is
FillTenant = Callable[..., Awaitable[None]]
TENANTS = {name for name, each in Base.metadata.tables.items() if each.info.get("tenant")}


async def _read(premises: Premises, user: Any) -> tuple[Mapping[str, bytes], bytes]:
    made = await export.export_account(premises.desk, user, Client())
    raw = b"".join(made.pieces())
    assert len(raw) == made.size_bytes
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}, raw


async def test_every_table_is_in_it_and_no_secret(
    premises: Premises, fill_tenant: FillTenant
) -> None:
    ada, bob = uuid4(), uuid4()
    engine = premises.desk.engine
    await fill_tenant(engine, ada, "ada-1")
    await fill_tenant(engine, bob, "bob-1")
    async with transaction(engine, ada) as session:
        place = Place("users", "first_name", ada, ada)
        sealed = await premises.desk.vault.seal(session, SecretStr("Ada"), place)
        await session.execute(update(User).values(first_name=sealed))
        await session.execute(text("UPDATE portfolios SET description = E'\\t@x', name = '''-x'"))
    files, raw = await _read(premises, ada)
    manifest = json.loads(files["manifest.json"])
    told = {each["table"]: each for each in manifest["tables"]}
    assert set(told) == TENANTS - set(export.LEFT_OUT)
    assert json.loads(files["names.json"]) == {"first_name": "Ada"}
    assert not any(
        b"bob-1" in content or str(bob).encode() in content for content in files.values()
    )
    for table, said in told.items():
        content = files[said["file"]]
        assert hashlib.sha256(content).hexdigest() == said["sha256"]
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        assert 0 < len(rows) == said["rows"], table
        assert len(content) == said["size_bytes"]
        columns = Base.metadata.tables[table].columns
        audit = Base.metadata.tables[table].info.get("audit")
        secret = {each.name for each in columns if each.info.get("sealed")}
        secret |= set(audit.redacted) if audit else set()
        assert not secret & set(rows[0])
        assert secret <= set(said["left_out"])
        assert not [name for name in rows[0] if "hash" in name and name != "data_fingerprint"]
    for word in (b"$argon2id$", b"SWS", sealed):
        assert not any(word in content for content in files.values())
    bought = list(csv.DictReader(io.StringIO(files["transactions.csv"].decode())))
    assert Decimal(bought[0]["quantity"]) == 2
    # A spreadsheet would compute these.
    (held, *_) = csv.DictReader(io.StringIO(files["portfolios.csv"].decode()))
    assert (held["description"], held["name"]) == ("'\t@x", "''-x")
    assert bought[0]["transaction_date"] == "2024-05-06T12:00:00.000000Z"
    assert raw
    entries = await premises.entries(ada)
    assert entries == [("LOGIN", {"note": "ada-1"})]


async def test_it_is_one_snapshot_and_in_pieces(
    premises: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_PIECE", 1 << 12)
    user = await premises.user("ada@example.com")
    many = text(
        "INSERT INTO notifications (type, title, message)"
        " SELECT 'note', n::text, repeat(md5(n::text), 8) FROM generate_series(1, :n) n"
    )
    engine = premises.desk.engine
    async with transaction(engine, user.id) as session:
        await session.execute(many, {"n": 3000})
    begun = asyncio.Event()
    written: list[int] = []
    flush = export._Member.flush

    async def slowly(member: Any) -> None:
        # After the first table: what is added from here on is not of the snapshot.
        written.append(len(member._waiting))
        if not begun.is_set():
            begun.set()
            async with transaction(engine, user.id) as session:
                await session.execute(many, {"n": 5})
        await flush(member)

    monkeypatch.setattr(export._Member, "flush", slowly)
    files, _ = await _read(premises, user.id)
    manifest = json.loads(files["manifest.json"])
    (told,) = [each for each in manifest["tables"] if each["table"] == "notifications"]
    assert told["rows"] == 3000
    assert max(written) < 1 << 18, "never all of it at once"
    (mine,) = [each for each in manifest["tables"] if each["table"] == "users"]
    assert mine["rows"] == 1


async def test_five_an_hour(premises: Premises) -> None:
    user = await premises.user("ada@example.com")
    for _ in range(export.EXPORTS):
        await export.count_export(premises.desk, user.id)
    with pytest.raises(TooManyRequestsError):
        await export.count_export(premises.desk, user.id)
