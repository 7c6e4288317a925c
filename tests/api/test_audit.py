"""The audit log is read by whom it is of: all of theirs, nothing of others, and no secrets."""

from typing import Any

from sqlalchemy import text

from seawall.db.database import Location, open_admin
from seawall.db.session import transaction

Web = Any  # what the fixture is
V1 = "/api/v1"
ENTRIES = f"{V1}/audit/entries"


async def _numbers(client: Any, query: str = "") -> list[int]:
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = (await client.get(f"{ENTRIES}?limit=3{query}{more}")).json()
        seen += [each["sequence"] for each in page["items"]]
        cursor = page["next_cursor"]
    return seen


async def test_one_s_own_entries_are_told_and_paged_and_chosen(web: Web, problem: Any) -> None:
    ada, bob = await web.known("ada@example.com"), await web.known("bob@example.com")
    made = (await ada.post(f"{V1}/portfolios", json={"name": "Main"})).json()
    await ada.patch(f"{V1}/portfolios/{made['id']}", json={"name": "Savings"})
    await bob.post(f"{V1}/portfolios", json={"name": "canary"})
    numbers = await _numbers(ada)
    assert numbers == list(range(len(numbers), 0, -1))
    told = (await ada.get(f"{ENTRIES}?total=true")).json()
    assert told["total"] == len(numbers)
    newest = told["items"][0]
    assert (newest["table_name"], newest["operation"]) == ("portfolios", "UPDATE")
    assert (newest["old_data"]["name"], newest["new_data"]["name"]) == ("Main", "Savings")
    me = (await ada.get(f"{V1}/profile")).json()["id"]
    assert newest["actor_id"] == me
    everything = (await ada.get(f"{ENTRIES}?limit=200")).text
    assert "canary" not in everything
    assert "BEGIN" not in everything  # which is the first of the system's chain
    chosen = (await ada.get(f"{ENTRIES}?table=portfolios&operation=INSERT")).json()["items"]
    assert [each["record_id"] for each in chosen] == [made["id"]]
    assert await _numbers(ada, f"&until={newest['time']}") == numbers[1:]
    assert await _numbers(ada, f"&since={newest['time']}") == numbers[:1]
    for wrong in ("operation=SELECT", "table=%00", "cursor=WyJ4Il0", "cursor=WzFlOTld", "since=x"):
        problem(await ada.get(f"{ENTRIES}?{wrong}"), 422, "invalid")


async def test_no_secret_stands_in_it(web: Web, location: Location) -> None:
    ada = await web.known("ada@example.com")
    key = (await ada.post(f"{V1}/api-keys", json={"name": "bot", "scopes": ["read"]})).json()
    armed = await ada.post(f"{V1}/auth/two-factor", json={"password": web.password})
    assert armed.status_code < 500
    everything = (await ada.get(f"{ENTRIES}?limit=200")).text
    assert key["key"] not in everything
    assert web.password not in everything
    async with open_admin(location) as admin, admin.connect() as connection:
        secrets = await connection.execute(
            text(
                "SELECT password_hash FROM users WHERE password_hash IS NOT NULL"
                " UNION ALL SELECT encode(key_hash, 'hex') FROM api_keys"
                " UNION ALL SELECT encode(token_hash, 'hex') FROM user_sessions"
            )
        )
        held = [row[0] for row in secrets]
    assert len(held) >= 3
    assert not [each for each in held if each in everything]
    assert "[redacted]" in everything


async def test_a_chain_that_was_tampered_with_is_told(web: Web, location: Location) -> None:
    ada, bob = await web.known("ada@example.com"), await web.known("bob@example.com")
    await ada.post(f"{V1}/portfolios", json={"name": "Main"})
    me = (await ada.get(f"{V1}/profile")).json()["id"]
    fine = (await ada.get(f"{V1}/audit/verification")).json()
    assert fine["is_intact"]
    assert fine["entries"] == fine["last_sequence"] > 1
    assert len(bytes.fromhex(fine["head"])) == 32
    async with open_admin(location) as admin, admin.begin() as connection:
        await connection.execute(text("SET session_replication_role = replica"))
        await connection.execute(
            text(
                "UPDATE audit_logs SET actor_role = 'nobody' WHERE user_id = :user AND sequence = 2"
            ),
            {"user": me},
        )
        await connection.execute(
            text("DELETE FROM audit_logs WHERE user_id = :user AND sequence = 1"), {"user": me}
        )
    told = (await ada.get(f"{V1}/audit/verification")).json()
    assert not told["is_intact"]
    assert told["unlinked"] == [2]
    assert (await bob.get(f"{V1}/audit/verification")).json()["is_intact"]
    async with transaction(web.desk.engine, me) as session:
        assert await session.scalar(text("SELECT count(*) FROM audit_logs")) == told["entries"]
