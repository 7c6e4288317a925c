"""Whatever a superuser does to the log itself is found and named, and an untouched log is not."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.audit.schemas import Fault, Verification, chain_name
from seawall.db.session import transaction
from seawall.identity.tables import Profile, SystemSetting
from seawall.portfolios.tables import Portfolio

Attack = Callable[..., Awaitable[None]]
Verify = Callable[[], Awaitable[Verification]]
Written = Callable[[Mapping[str, Any]], bytes]
Rows = Callable[[UUID | None], Awaitable[list[dict[str, Any]]]]
# ruff: noqa: S608 - the statements are put together from constants alone

OF_ALICE = "user_id = :alice AND sequence ="
COPIED = "table_name, operation, record_id, old_data, new_data, actor_id, actor_role"


def _places(found: Verification) -> list[tuple[Fault, int | None]]:
    return [(each.fault, each.sequence) for each in found.findings]


def _named(found: Verification, chain: UUID | None) -> bool:
    return all(f"Chain {chain_name(chain)}: " in str(each) for each in found.findings)


async def test_an_untouched_log_is_not_accused(
    engine: AsyncEngine, verified: Verify, alice: UUID, bob: UUID
) -> None:
    assert alice != bob
    odd = "'\"\\\n\t\x01\x7f é 🌊 [redacted] \\u0041"
    async with transaction(engine, bob) as session:
        await session.execute(insert(Portfolio).values(name="x", description=odd))
        await session.execute(insert(Profile).values(preferences={odd: [None, 1e300, 0.1, odd]}))
        await session.execute(insert(SystemSetting).values(setting_key=odd, setting_value=None))
    first, second = await verified(), await verified()
    assert (first.found, second.found) == (0, 0)
    assert (first.entries, first.chains) == (6 + 5 + 2, 3)
    assert second.entries == first.entries + 1, "it was anchored in between"
    assert "not anchored before" in first.notes[0]
    assert second.notes == []


async def test_the_hash_is_what_the_documentation_says(
    rows: Rows, written: Written, alice: UUID
) -> None:
    for chain in (alice, None):
        previous = None
        for row in await rows(chain):
            assert row["previous_hash"] == previous
            assert row["hash"] == written(row)
            previous = row["hash"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "gen_random_uuid()"),
        ("time", "time + interval '1 microsecond'"),
        ("table_name", "'Portfolios'"),
        ("operation", "'UPDATE', old_data = new_data"),
        ("record_id", "record_id || ' '"),
        ("record_id", "NULL"),
        ("new_data", 'new_data || \'{"name": "other"}\''),
        ("new_data", "new_data - 'color'"),
        ("new_data", "'null'"),
        ("old_data", "'null', operation = 'UPDATE'"),
        ("actor_id", "NULL"),
        ("actor_id", "gen_random_uuid()"),
        ("actor_role", "'seawall_worker'"),
        ("hash", "sha256('')"),
    ],
)
async def test_an_edited_entry_is_named(
    attack: Attack, verified: Verify, alice: UUID, column: str, value: str
) -> None:
    await attack(f"UPDATE audit_logs SET {column} = {value} WHERE {OF_ALICE} 2", alice=alice)
    found = await verified()
    assert _places(found)[0] == (Fault.EDITED, 2)
    assert set(_places(found)[1:]) <= {(Fault.UNLINKED, 3)}
    assert _named(found, alice)
    assert (found.anchored, found.is_intact) == (None, False)


async def test_an_edit_of_a_link_is_named(attack: Attack, verified: Verify, alice: UUID) -> None:
    await attack(
        f"UPDATE audit_logs SET previous_hash = sha256('') WHERE {OF_ALICE} 3", alice=alice
    )
    assert _places(await verified()) == [(Fault.EDITED, 3), (Fault.UNLINKED, 3)]


async def test_json_null_is_not_nothing(attack: Attack, verified: Verify, alice: UUID) -> None:
    await attack(f"UPDATE audit_logs SET new_data = 'null' WHERE {OF_ALICE} 6", alice=alice)
    assert _places(await verified()) == [(Fault.EDITED, 6)]


@pytest.mark.parametrize("sequence", [1, 3, 5])
async def test_a_deleted_entry_is_missed(
    attack: Attack, verified: Verify, alice: UUID, sequence: int
) -> None:
    await attack(f"DELETE FROM audit_logs WHERE {OF_ALICE} {sequence}", alice=alice)
    found = await verified()
    assert _places(found) == [(Fault.MISSING, sequence)]
    assert _named(found, alice)


async def test_a_deleted_entry_is_missed_though_the_rest_was_computed_anew(
    attack: Attack, rewrite: Callable[..., Awaitable[None]], verified: Verify, alice: UUID
) -> None:
    await attack(f"DELETE FROM audit_logs WHERE {OF_ALICE} 3", alice=alice)
    await rewrite(alice, 4)
    assert _places(await verified()) == [(Fault.MISSING, 3)]


async def test_several_deleted_entries_are_missed_together(
    attack: Attack, verified: Verify, alice: UUID
) -> None:
    await attack("DELETE FROM audit_logs WHERE user_id = :alice AND sequence < 4", alice=alice)
    found = await verified()
    assert [str(each) for each in found.findings] == [f"Chain {alice}: entries 1 to 3 are missing."]


async def test_a_gap_that_is_closed_by_renumbering_is_found(
    attack: Attack, verified: Verify, alice: UUID
) -> None:
    await attack(
        f"DELETE FROM audit_logs WHERE {OF_ALICE} 3",
        "UPDATE audit_logs SET sequence = sequence - 1 WHERE user_id = :alice AND sequence > 3",
        alice=alice,
    )
    found = set(_places(await verified()))
    assert {(Fault.EDITED, 3), (Fault.EDITED, 5), (Fault.UNLINKED, 3)} <= found


async def test_two_entries_that_changed_places_are_found(
    attack: Attack, verified: Verify, alice: UUID
) -> None:
    await attack(
        f"UPDATE audit_logs SET sequence = 99 WHERE {OF_ALICE} 3",
        f"UPDATE audit_logs SET sequence = 3 WHERE {OF_ALICE} 4",
        f"UPDATE audit_logs SET sequence = 4 WHERE {OF_ALICE} 99",
        alice=alice,
    )
    found = set(_places(await verified()))
    assert {(Fault.EDITED, 3), (Fault.EDITED, 4), (Fault.UNLINKED, 3)} <= found


async def test_an_entry_that_was_given_to_another_user_is_found(
    attack: Attack, verified: Verify, alice: UUID, bob: UUID
) -> None:
    move = f"UPDATE audit_logs SET user_id = :bob, sequence = 4 WHERE {OF_ALICE} 3"
    await attack(move, alice=alice, bob=bob)
    found = await verified()
    assert {(each.chain, each.fault, each.sequence) for each in found.findings} == {
        (bob, Fault.EDITED, 4),
        (bob, Fault.UNLINKED, 4),
        (alice, Fault.MISSING, 3),
    }


_FORGE = (
    f"INSERT INTO audit_logs (user_id, sequence, time, previous_hash, hash, {COPIED})"
    f" SELECT user_id, %s, time, previous_hash, hash, {COPIED} FROM audit_logs"
    f" WHERE {OF_ALICE} 3"
)


@pytest.mark.parametrize(
    ("sequence", "fault"), [(3, Fault.INSERTED), (7, Fault.UNLINKED), ("NULL", Fault.INSERTED)]
)
async def test_an_inserted_entry_is_found(
    attack: Attack, verified: Verify, alice: UUID, sequence: int | str, fault: Fault
) -> None:
    await attack(
        "ALTER TABLE audit_logs DROP CONSTRAINT uq_audit_logs_chain",
        "ALTER TABLE audit_logs ALTER sequence DROP NOT NULL",
        _FORGE % sequence,
        alice=alice,
    )
    found = await verified()
    place = None if sequence == "NULL" else sequence
    assert (fault, place) in _places(found)
    assert (Fault.EDITED, place) in _places(found)
    assert str(alice) in str(found.findings)


async def test_an_entry_that_was_squeezed_in_is_found(
    attack: Attack, verified: Verify, alice: UUID
) -> None:
    await attack(
        "ALTER TABLE audit_logs DROP CONSTRAINT uq_audit_logs_chain",
        "UPDATE audit_logs SET sequence = sequence + 1 WHERE user_id = :alice AND sequence > 3",
        _FORGE % 4,
        alice=alice,
    )
    found = set(_places(await verified()))
    assert {(Fault.EDITED, each) for each in (4, 5, 6, 7)} <= found
    assert (Fault.UNLINKED, 4) in found


async def test_an_edit_with_a_hash_of_its_own_breaks_the_link_after_it(
    rows: Rows, written: Written, attack: Attack, verified: Verify, alice: UUID
) -> None:
    row = (await rows(alice))[2]
    row["record_id"] = "forged"
    edit = f"UPDATE audit_logs SET record_id = 'forged', hash = :hash WHERE {OF_ALICE} 3"
    await attack(edit, alice=alice, hash=written(row))
    found = await verified()
    assert [str(each) for each in found.findings] == [
        f"Chain {alice}: entry 4 does not follow from 3: one of the two was replaced."
    ]


async def test_what_was_edited_in_the_system_s_chain_is_named(
    attack: Attack, verified: Verify
) -> None:
    await attack("UPDATE audit_logs SET actor_role = 'x' WHERE user_id IS NULL")
    found = await verified()
    assert _places(found) == [(Fault.EDITED, 1)]
    assert _named(found, None)


async def test_very_many_faults_are_counted_and_the_first_named(
    engine: AsyncEngine, attack: Attack, verified: Verify, alice: UUID
) -> None:
    async with transaction(engine, alice) as session:
        await session.execute(
            text("INSERT INTO portfolios (name) SELECT 'p' || n FROM generate_series(1, 500) AS n")
        )
    await attack("UPDATE audit_logs SET actor_id = NULL WHERE user_id = :alice", alice=alice)
    found = await verified()
    assert (found.found, len(found.findings)) == (506, 100)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("ALTER TABLE portfolios DISABLE TRIGGER audit_portfolios", "audit_portfolios of portf"),
        ("ALTER TABLE users DISABLE TRIGGER keep_users", "keep_users of users"),
        ("ALTER TABLE audit_logs DISABLE TRIGGER keep_audit_logs", "keep_audit_logs of audit_logs"),
        ("DROP TRIGGER link_audit_logs ON audit_logs", "link_audit_logs of audit_logs"),
    ],
)
async def test_a_trigger_that_is_off_is_told(
    admin: AsyncEngine, verified: Verify, statement: str, named: str
) -> None:
    async with admin.begin() as connection:
        await connection.execute(text(statement))
    found = await verified()
    assert [each.fault for each in found.findings] == [Fault.TRIGGER]
    assert named in str(found.findings[0])


async def test_an_empty_log_is_not_a_log(attack: Attack, verified: Verify) -> None:
    await attack("DELETE FROM audit_logs")
    found = await verified()
    assert _places(found) == [(Fault.REPLACED, None)]
    assert found.entries == 0
