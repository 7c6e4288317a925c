"""The second factor: on with a code, each code once, off, and sealed."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pyotp
import pytest
from sqlalchemy import text

from seawall.core.errors import ConflictError, InvalidError
from seawall.db.session import transaction
from seawall.identity import two_factor
from seawall.identity.store import users

Premises = Any  # what the fixture is
ADA, STEP = "ada@example.com", timedelta(seconds=30)


async def _begin(premises: Premises, user_id: UUID) -> pyotp.TOTP:
    async with transaction(premises.desk.engine, user_id) as session:
        enrolment = await two_factor.begin(premises.desk, session, user_id)
    assert enrolment.secret.get_secret_value() not in repr(enrolment)
    return pyotp.TOTP(enrolment.secret.get_secret_value())


async def _confirm(premises: Premises, user_id: UUID, code: str) -> list[str]:
    async with transaction(premises.desk.engine, user_id) as session:
        codes = await two_factor.confirm(premises.desk, session, user_id, code)
    return [each.get_secret_value() for each in codes]


async def _check(premises: Premises, user_id: UUID, code: str) -> bool:
    async with transaction(premises.desk.engine, user_id) as session:
        return await two_factor.check(premises.desk, session, user_id, code)


async def test_it_is_on_once_a_code_was_confirmed(premises: Premises) -> None:
    user = await premises.user(ADA)
    with pytest.raises(ConflictError, match="no second factor"):
        await _confirm(premises, user.id, "123456")
    totp = await _begin(premises, user.id)
    await premises.log_in(ADA)
    with pytest.raises(InvalidError, match="not the one of now"):
        await _confirm(premises, user.id, totp.at(premises.moment + 5 * STEP))
    codes = await _confirm(premises, user.id, totp.at(premises.moment))
    assert len(codes) == 10
    for again in (_begin(premises, user.id), _confirm(premises, user.id, "123456")):
        with pytest.raises(ConflictError):
            await again
    async with transaction(premises.desk.engine, user.id) as session:
        found = await users.find_user(session)
        held = str((await session.scalars(text("SELECT to_jsonb(u) FROM users u"))).all())
        logged = str((await session.scalars(text("SELECT to_jsonb(a) FROM audit_logs a"))).all())
    assert found is not None
    assert (found.two_factor_enabled, found.recovery_codes_left) == (True, 10)
    for secret in (totp.secret, *codes):
        assert secret not in held + logged
    async with transaction(premises.desk.engine, user.id) as session:
        await two_factor.turn_off(session)
    assert not await _check(premises, user.id, totp.at(premises.moment + STEP))
    assert not await _check(premises, user.id, codes[0])


async def test_one_code_in_fifty_hands_is_taken_once(premises: Premises) -> None:
    user = await premises.user(ADA)
    totp = await _begin(premises, user.id)
    codes = await _confirm(premises, user.id, totp.at(premises.moment - STEP))
    for code in (totp.at(premises.moment), codes[3]):
        taken = await asyncio.gather(*(_check(premises, user.id, code) for _ in range(50)))
        assert taken.count(True) == 1
    # And what is older than a code that was used is none any more.
    assert await _check(premises, user.id, totp.at(premises.moment + STEP))
    assert not await _check(premises, user.id, totp.at(premises.moment))
