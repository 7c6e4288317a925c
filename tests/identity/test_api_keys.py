"""API keys: told once, good for their scopes until their end, and revoked."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from seawall.core.errors import ConflictError, InvalidError, NotFoundError
from seawall.core.time import now
from seawall.db.session import transaction
from seawall.identity import api_keys
from seawall.identity.api_keys import MadeKey
from seawall.identity.schemas import Scope

Premises = Any  # what the fixture is
READ = frozenset({Scope.READ})


async def _make(premises: Premises, user_id: UUID, name: str = "bot", **more: Any) -> MadeKey:
    given = {"scopes": READ, "expires_at": None, "moment": now()} | more
    async with transaction(premises.desk.engine, user_id) as session:
        return await api_keys.create(session, name, **given)


async def test_a_key_is_found_with_its_scopes_until_it_is_revoked(premises: Premises) -> None:
    ada, bob = await premises.user("ada@example.com"), await premises.user("bob@example.com")
    scopes = frozenset({Scope.READ, Scope.TRADE})
    made = await _make(premises, ada.id, scopes=scopes, expires_at=now() + timedelta(days=1))
    assert made.key.get_secret_value().startswith(made.record.prefix + "_")
    assert made.key.get_secret_value() not in repr(made)
    found = await api_keys.find(premises.desk, made.key)
    assert found is not None
    assert (found.user_id, found.scopes) == (ada.id, scopes)
    await api_keys.note_use(premises.desk, found)
    async with transaction(premises.desk.engine, ada.id) as session:
        (listed,) = await api_keys.list_keys(session)
        held = str((await session.scalars(text("SELECT to_jsonb(k) FROM api_keys k"))).all())
    assert listed.last_used_at is not None
    assert made.key.get_secret_value() not in held
    async with transaction(premises.desk.engine, bob.id) as session:
        assert await api_keys.list_keys(session) == []
        with pytest.raises(NotFoundError):
            await api_keys.revoke(session, made.record.id)
    async with transaction(premises.desk.engine, ada.id) as session:
        await api_keys.revoke(session, made.record.id)
        with pytest.raises(NotFoundError):
            await api_keys.revoke(session, made.record.id)
    assert await api_keys.find(premises.desk, made.key) is None
    await _make(premises, ada.id)


@pytest.mark.parametrize("key", ["", "sw_", "sw_abcdef_", "Bearer x", "\ud800", "sw_\x00"])
async def test_what_is_no_key_is_nobody_s(premises: Premises, key: str) -> None:
    assert await api_keys.find(premises.desk, SecretStr(key)) is None


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"name": " "}, InvalidError, "name of a key"),
        ({"name": "x" * 101}, InvalidError, "name of a key"),
        ({"name": "a\x00"}, InvalidError, "name of a key"),
        ({"scopes": frozenset()}, InvalidError, "needs a scope"),
        ({"expires_at": now()}, InvalidError, "over already"),
        ({"name": "BOT"}, ConflictError, "a key 'BOT' already"),
    ],
)
async def test_a_key_that_cannot_be_is_refused(
    premises: Premises, wrong: dict[str, Any], error: type[Exception], said: str
) -> None:
    user = await premises.user("ada@example.com")
    await _make(premises, user.id)
    with pytest.raises(error, match=said):
        await _make(premises, user.id, **{"name": "other", **wrong})
