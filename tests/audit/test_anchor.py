"""What only the anchors outside the database can tell, and what is told of the anchors."""

import asyncio
import errno
import json
import os
import re
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.audit.anchor import anchor_path
from seawall.audit.schemas import Fault, Verification
from seawall.audit.tables import AuditLog
from seawall.audit.verify import verify, write_anchor
from seawall.core.errors import ConflictError, UnavailableError
from seawall.core.settings import AuditSettings, Settings
from seawall.db.database import Location, open_admin
from seawall.db.engine import OWNER_ROLE, create_engine
from seawall.db.session import transaction

Attack = Callable[..., Awaitable[None]]
Rewrite = Callable[..., Awaitable[None]]
Verify = Callable[[], Awaitable[Verification]]
# ruff: noqa: ASYNC240 - the file has a few lines


async def _places(verified: Verify) -> list[tuple[Fault, int | None]]:
    found = await verified()
    assert found.anchored is None
    return [(each.fault, each.sequence) for each in found.findings]


async def _log_in(engine: AsyncEngine, user: UUID) -> None:
    async with transaction(engine, user) as session:
        await session.execute(insert(AuditLog).values(table_name="users", operation="LOGIN"))


async def test_a_tail_that_was_cut_off_is_missed(
    attack: Attack, verified: Verify, alice: UUID, bob: UUID
) -> None:
    assert (await verified()).is_intact
    cut = "DELETE FROM audit_logs WHERE sequence > 4 AND user_id = :alice OR user_id = :bob"
    await attack(cut, alice=alice, bob=bob)
    found = await verified()
    assert found.found == 2
    said = sorted(str(each).partition(", anchored at 20")[0] for each in found.findings)
    assert said == sorted(
        [
            f"Chain {alice}: entries 5 to 6 are gone from the chain's end",
            f"Chain {bob}: entries 1 to 3 are gone with the whole chain",
        ]
    )


async def test_a_cut_off_tail_is_missed_when_the_chain_has_grown_again(
    engine: AsyncEngine, attack: Attack, verified: Verify, bob: UUID
) -> None:
    assert (await verified()).is_intact
    await attack("DELETE FROM audit_logs WHERE sequence = 3 AND user_id = :bob", bob=bob)
    for _ in range(3):
        await _log_in(engine, bob)
    assert await _places(verified) == [(Fault.REWRITTEN, 3)]


async def test_a_chain_that_was_computed_anew_is_told_from_the_anchored_one(
    engine: AsyncEngine, rewrite: Rewrite, verified: Verify, alice: UUID
) -> None:
    assert (await verified()).is_intact
    for _ in range(4):
        await _log_in(engine, alice)
        assert (await verified()).is_intact
    await rewrite(alice, 8, operation="LOGOUT")
    found = await verified()
    (finding,) = found.findings
    assert (finding.fault, finding.chain, finding.sequence) == (Fault.REWRITTEN, alice, 10)
    assert "; entry 7, anchored at " in str(finding)


@pytest.mark.parametrize(
    "change",
    [
        {"old_data": '{"name": "forged"}'},
        {"actor_id": None},
        {"record_id": "forged"},
        {"table_name": "forged"},
    ],
    ids=str,
)
async def test_every_edit_that_was_computed_anew_is_found(
    rewrite: Rewrite, verified: Verify, alice: UUID, change: dict[str, object]
) -> None:
    assert (await verified()).is_intact
    await rewrite(alice, 4, **change)
    assert await _places(verified) == [(Fault.REWRITTEN, 6)]


async def test_anchors_reach_as_far_as_they_were_written(
    rewrite: Rewrite, verified: Verify, alice: UUID
) -> None:
    """As the documentation says: what was never anchored can be made up whole."""
    await rewrite(alice, 2, record_id="forged")
    assert (await verified()).is_intact


@asynccontextmanager
async def _copied(location: Location) -> AsyncIterator[Location]:
    """A copy of the database, as a backup has it."""
    copy = replace(location, admin_url=f"{location.name}_copy".join(_around(location)))

    async def command(statement: str) -> None:
        maintenance = create_engine(location.maintenance_url, role=None, pooled=False)
        autocommit = maintenance.execution_options(isolation_level="AUTOCOMMIT")
        async with autocommit.connect() as connection:
            await connection.execute(text(statement))
        await maintenance.dispose()

    made = f"CREATE DATABASE {location.name}_copy TEMPLATE {location.name} STRATEGY file_copy"
    await command(made)
    yield copy
    await command(f"DROP DATABASE {location.name}_copy WITH (FORCE)")


def _around(location: Location) -> list[str]:
    return location.admin_url.rsplit(location.name, 1)


async def test_an_old_state_that_was_restored_is_found(
    location: Location, engine: AsyncEngine, anchors: Path, verified: Verify, alice: UUID, bob: UUID
) -> None:
    assert alice != bob
    assert (await verified()).is_intact
    await engine.dispose()
    async with _copied(location) as old:
        await _log_in(engine, alice)
        assert (await verified()).is_intact
        async with open_admin(old, OWNER_ROLE) as owner:
            found = await verify(owner, anchors, "seawall")
            (finding,) = found.findings  # Bob has done nothing since.
            assert (finding.fault, finding.chain) == (Fault.TRUNCATED, alice)
            with pytest.raises(ConflictError, match="has anchors already"):
                await write_anchor(owner, anchors, "seawall", anew=True)
            anchors.rename(anchors.with_suffix(".kept"))
            with pytest.raises(ConflictError, match="Not anchored"):
                await write_anchor(owner, anchors, "seawall")
            await write_anchor(owner, anchors, "seawall", anew=True)
            assert (await verify(owner, anchors, "seawall")).is_intact


async def test_another_log_in_the_place_of_this_one_is_found(
    location: Location, attack: Attack, verified: Verify
) -> None:
    assert (await verified()).is_intact
    await attack("DELETE FROM audit_logs")
    async with open_admin(location, OWNER_ROLE) as owner, owner.begin() as connection:
        begin = insert(AuditLog).values(user_id=None, table_name="audit_logs", operation="BEGIN")
        await connection.execute(begin)
    assert (await _places(verified))[-1] == (Fault.REPLACED, None)


async def test_an_anchor_without_a_look_at_every_entry(
    engine: AsyncEngine, owner: AsyncEngine, anchors: Path, attack: Attack, alice: UUID, bob: UUID
) -> None:
    done = await write_anchor(owner, anchors, "seawall")
    assert done.chains == 3
    await _log_in(engine, alice)
    await write_anchor(owner, anchors, "seawall")
    await attack("DELETE FROM audit_logs WHERE user_id = :bob AND sequence = 3", bob=bob)
    with pytest.raises(ConflictError, match="entry 3 is gone from the chain's end") as caught:
        await write_anchor(owner, anchors, "seawall")
    assert "seawall audit verify" in caught.value.hint
    assert len(anchors.read_text().splitlines()) == 2


async def test_the_file_is_its_owner_s_and_holds_what_grew(
    engine: AsyncEngine, anchors: Path, verified: Verify, alice: UUID, bob: UUID
) -> None:
    await verified()
    await _log_in(engine, alice)
    found = await verified()
    assert stat.S_IMODE(anchors.stat().st_mode) == 0o600
    lines = anchors.read_bytes().splitlines()
    first, second = map(json.loads, lines)
    assert set(first["heads"]) == {"system", str(alice), str(bob)}
    assert set(second["heads"]) == {"system", str(alice)}
    assert second["heads"][str(alice)][0] == 7
    assert (first["previous"], second["previous"]) == (None, sha256(lines[0]).hexdigest())
    assert found.anchored is not None
    assert found.anchored.hash == sha256(lines[1]).hexdigest()


async def test_several_databases_share_a_file(
    location: Location, engine: AsyncEngine, anchors: Path, verified: Verify, alice: UUID
) -> None:
    assert (await verified()).is_intact
    await engine.dispose()
    async with _copied(location) as other, open_admin(other, OWNER_ROLE) as owner:
        await write_anchor(owner, anchors, "demo", anew=True)
        await _log_in(engine, alice)
        assert (await verified()).is_intact
        assert (await verify(owner, anchors, "demo")).is_intact
        assert (await verified()).is_intact


async def test_a_file_of_another_database_is_not_this_one_s(
    location: Location, engine: AsyncEngine, anchors: Path, verified: Verify, alice: UUID
) -> None:
    assert (await verified()).is_intact
    await engine.dispose()
    async with _copied(location) as other, open_admin(other, OWNER_ROLE) as owner:
        anchors.unlink()
        await write_anchor(owner, anchors, "demo", anew=True)
    await _log_in(engine, alice)
    (finding,) = (await verified()).findings
    assert re.match("The anchor of .* is not in the file", str(finding))


def _drop_first(lines: list[bytes]) -> list[bytes]:
    return lines[1:]


def _drop_second(lines: list[bytes]) -> list[bytes]:
    return [lines[0], *lines[2:]]


def _drop_last(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def _drop_all(_: list[bytes]) -> list[bytes]:
    return []


def _edit_first(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b'"seawall"', b'"seaward"'), *lines[1:]]


def _edit_last(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], lines[-1].replace(b'"time":"2', b'"time":"1')]


def _swap(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[2], lines[1]]


def _cut_short(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], lines[-1][:-20]]


def _keep(lines: list[bytes]) -> list[bytes]:
    return lines


def _misdate(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], lines[-1].replace(b'"time":"2', b'"time":"x')]


def _spoil(lines: list[bytes]) -> list[bytes]:
    return [lines[0], b'{"heads": {"x": 1}}', *lines[2:]]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_drop_first, "Line 1 of .* does not follow"),
        (_drop_second, "Line 2 of .* does not follow"),
        (_drop_last, "The anchor of .* is not in the file"),
        (_drop_all, "The anchor of .* is not in the file"),
        (_edit_first, "Line 2 of .* does not follow"),
        (_edit_last, "The anchor of .* is not in the file"),
        (_swap, "Line 2 of .* does not follow"),
        (_cut_short, "Line 3 of .* is no anchor"),
        (_keep, "Line 3 of .* is no anchor"),
        (_misdate, "Line 3 of .* is no anchor"),
        (_spoil, "Line 2 of .* is no anchor"),
    ],
)
async def test_a_file_that_was_changed_is_told(
    anchors: Path,
    verified: Verify,
    spoil: Callable[[list[bytes]], list[bytes]],
    said: str,
) -> None:
    for _ in range(3):
        assert (await verified()).is_intact
    lines = anchors.read_bytes().splitlines()
    anchors.write_bytes(b"".join(each + b"\n" for each in spoil(lines)))
    if spoil in {_cut_short, _keep}:
        anchors.write_bytes(anchors.read_bytes()[:-1])
    found = await verified()
    assert found.findings[0].fault is Fault.ANCHORS
    assert re.match(said, str(found.findings[0]))
    anchors.write_bytes(b"".join(each + b"\n" for each in lines))
    assert (await verified()).is_intact


async def test_a_file_that_the_log_never_heard_of_is_told(
    anchors: Path, owner: AsyncEngine, verified: Verify
) -> None:
    for _ in range(2):
        assert (await verified()).is_intact
    lines = [json.loads(each) for each in anchors.read_bytes().splitlines()]
    lines[0]["time"] = "2020-01-01T00:00:00Z"
    first = orjson.dumps(lines[0])
    lines[1]["previous"] = sha256(first).hexdigest()
    anchors.write_bytes(first + b"\n" + orjson.dumps(lines[1]) + b"\n")
    (finding,) = (await verified()).findings
    assert str(finding) == "The log knows nothing of this file of anchors."
    with pytest.raises(ConflictError, match="knows nothing of this file"):
        await write_anchor(owner, anchors, "seawall")


async def test_an_anchor_that_could_not_be_logged_any_more_does_no_harm(
    anchors: Path, attack: Attack, verified: Verify
) -> None:
    assert (await verified()).is_intact
    await attack("DELETE FROM audit_logs WHERE operation = 'ANCHOR'")
    assert (await verified()).is_intact
    assert len(anchors.read_bytes().splitlines()) == 2


async def test_two_at_once_write_one_after_the_other(
    anchors: Path, owner: AsyncEngine, verified: Verify
) -> None:
    found = await asyncio.gather(*(verified() for _ in range(4)))
    assert all(each.is_intact for each in found)
    assert len(anchors.read_bytes().splitlines()) == 4
    await write_anchor(owner, anchors, "seawall")


async def test_a_full_disk_leaves_the_file_as_it_was(
    anchors: Path, verified: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await verified()).is_intact
    before = anchors.read_bytes()
    write = os.write

    def fill(descriptor: int, data: memoryview) -> int:
        if len(data) > 10:
            return write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fill)
        with pytest.raises(UnavailableError, match="No space left on device"):
            await verified()
    assert anchors.read_bytes() == before
    assert (await verified()).is_intact


async def test_a_file_that_cannot_be_there_is_unavailable(
    tmp_path: Path, owner: AsyncEngine
) -> None:
    for path in (tmp_path / "no disk" / "anchors", tmp_path):
        with pytest.raises(UnavailableError, match="cannot be reached") as caught:
            await verify(owner, path, "seawall")
        assert "SEAWALL_AUDIT__ANCHOR_FILE" in caught.value.hint
    assert not (tmp_path / "no disk").exists(), "another disk would have been there"


def test_the_file_is_in_the_home_unless_it_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert anchor_path(Settings(home=home)) == home / "audit" / "anchors.jsonl"
    assert stat.S_IMODE((home / "audit").stat().st_mode) == 0o700
    chosen = Settings(home=home, audit=AuditSettings(anchor_file=tmp_path / "x"))
    assert anchor_path(chosen) == tmp_path / "x"
