"""Sessions are refreshed once by each token, listed by login, and revoked at once."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text, update

from seawall.core.errors import NotFoundError
from seawall.db.session import transaction, unbound_transaction
from seawall.identity import operators, sessions
from seawall.identity.errors import NotAuthenticatedError
from seawall.identity.schemas import OpenedSession, UserStatus
from seawall.identity.store import sessions as store
from seawall.identity.tables import UserSession
from seawall.identity.tokens import hash_token

Premises = Any  # what the fixture is
ADA = "ada@example.com"


async def _refresh(premises: Premises, opened: OpenedSession) -> OpenedSession:
    assert opened.refresh_token is not None
    return await sessions.refresh(premises.desk, opened.refresh_token, premises.client)


async def _is_live(premises: Premises, opened: OpenedSession) -> bool:
    return await sessions.find(premises.desk, opened.token) is not None


async def test_a_refresh_goes_on_with_the_family_and_ends_the_session_before(
    premises: Premises,
) -> None:
    user = await premises.user(ADA)
    first = (await premises.log_in(ADA)).session
    second = await _refresh(premises, first)
    assert second.family_id == first.family_id
    assert second.token != first.token
    assert [await _is_live(premises, each) for each in (first, second)] == [False, True]
    async with transaction(premises.desk.engine, user.id) as session:
        query = select(UserSession).order_by(UserSession.rotated_at.is_(None))
        old, new = (await session.scalars(query)).all()
        assert (old.replaced_by, new.replaced_by) == (new.id, None)
        assert old.rotated_at is not None
        assert new.token_hash == hash_token(second.token)
        listed = await sessions.list_sessions(session)
    assert [(each.id, each.device_name) for each in listed] == [(first.family_id, "laptop")]
    assert listed[0].created_at == old.created_at


async def test_a_refresh_token_that_comes_again_ends_the_family_and_no_other(
    premises: Premises,
) -> None:
    user = await premises.user(ADA)
    first = (await premises.log_in(ADA)).session
    other = (await premises.log_in(ADA)).session
    second = await _refresh(premises, first)
    third = await _refresh(premises, second)
    for stale in (first, second, third):
        with pytest.raises(NotAuthenticatedError, match="over"):
            await _refresh(premises, stale)
    assert not await _is_live(premises, third)
    assert await _is_live(premises, other)
    reasons = [data.get("reason") for _, data in await premises.entries(user.id)]
    assert reasons.count("refresh token used twice") == 1


async def test_of_many_refreshes_at_once_one_wins_and_the_family_ends(premises: Premises) -> None:
    await premises.user(ADA)
    first = (await premises.log_in(ADA)).session
    found = await asyncio.gather(
        *(_refresh(premises, first) for _ in range(10)), return_exceptions=True
    )
    won = [each for each in found if isinstance(each, OpenedSession)]
    assert len(won) == 1
    assert all(isinstance(each, NotAuthenticatedError) for each in found if each not in won)
    assert not await _is_live(premises, won[0])


async def test_what_is_no_refresh_token_is_refused(premises: Premises) -> None:
    await premises.user(ADA)
    opened = (await premises.log_in(ADA, refreshable=False)).session
    assert opened.refresh_token is None
    for token in (opened.token, SecretStr(""), SecretStr("x"), SecretStr("\ud800")):
        with pytest.raises(NotAuthenticatedError):
            await sessions.refresh(premises.desk, token, premises.client)
    assert await _is_live(premises, opened)


async def test_a_refresh_token_ends_with_its_time_and_its_user(premises: Premises) -> None:
    user = await premises.user(ADA)
    first = (await premises.log_in(ADA)).session
    await operators.set_status(premises.desk, ADA, UserStatus.SUSPENDED)
    with pytest.raises(NotAuthenticatedError):
        await _refresh(premises, first)
    await operators.set_status(premises.desk, ADA, UserStatus.ACTIVE)
    second = (await premises.log_in(ADA)).session
    before = text("now() - interval '1 second'")
    async with transaction(premises.desk.engine, user.id) as session:
        times = {"created_at": text("now() - interval '1 day'")}
        times |= dict.fromkeys(("expires_at", "refresh_expires_at"), before)
        await session.execute(update(UserSession).values(times))
    with pytest.raises(NotAuthenticatedError):
        await _refresh(premises, second)
    async with transaction(premises.desk.engine, user.id) as session:
        assert await sessions.list_sessions(session) == []


async def test_one_session_or_all_but_one_or_all_are_ended(premises: Premises) -> None:
    user = await premises.user(ADA)
    opened = [(await premises.log_in(ADA)).session for _ in range(4)]
    async with transaction(premises.desk.engine, user.id) as session:
        await sessions.log_out(session, opened[0].family_id, premises.client)
        with pytest.raises(NotFoundError):
            await sessions.log_out(session, opened[0].family_id, premises.client)
        with pytest.raises(NotFoundError):
            await sessions.log_out(session, uuid4(), premises.client)
    assert [await _is_live(premises, each) for each in opened] == [False, True, True, True]
    async with transaction(premises.desk.engine, user.id) as session:
        kept = opened[1].family_id
        assert await sessions.log_out_everywhere(session, premises.client, but=kept) == 2
    assert [await _is_live(premises, each) for each in opened] == [False, True, False, False]
    assert await operators.log_out_user(premises.desk, ADA) == 1
    assert not await _is_live(premises, opened[1])


async def test_nobody_ends_another_s_session(premises: Premises) -> None:
    await premises.user(ADA)
    bob = await premises.user("bob@example.com")
    hers = (await premises.log_in(ADA)).session
    async with transaction(premises.desk.engine, bob.id) as session:
        with pytest.raises(NotFoundError):
            await sessions.log_out(session, hers.family_id, premises.client)
        assert await sessions.log_out_everywhere(session, premises.client) == 0
        assert await sessions.list_sessions(session) == []
    assert await _is_live(premises, hers)


async def test_only_hashes_are_held(premises: Premises) -> None:
    user = await premises.user(ADA)
    opened = (await premises.log_in(ADA)).session
    assert opened.refresh_token is not None
    async with transaction(premises.desk.engine, user.id) as session:
        held = str((await session.scalars(text("SELECT to_jsonb(s) FROM user_sessions s"))).all())
    for token in (opened.token, opened.refresh_token):
        assert token.get_secret_value() not in held
        assert hash_token(token).hex() in held


async def test_a_refresh_token_opens_one_door_and_an_access_token_another(
    premises: Premises,
) -> None:
    await premises.user(ADA)
    opened = (await premises.log_in(ADA)).session
    assert opened.refresh_token is not None
    async with unbound_transaction(premises.desk.engine) as session:
        access, refresh = hash_token(opened.token), hash_token(opened.refresh_token)
        assert await store.find_session(session, refresh) is None
        assert await store.find_refresh_token(session, access) is None
        assert await store.find_refresh_token(session, refresh) is not None
