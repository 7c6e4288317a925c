"""Registering, confirming, new passwords and addresses, and that strangers learn nothing."""

import asyncio
from dataclasses import replace
from time import perf_counter
from typing import Any

import pytest
from pydantic import SecretStr

from seawall.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from seawall.core.settings import CacheSettings, Settings
from seawall.db.cache import open_cache
from seawall.db.session import transaction
from seawall.identity import accounts, operators, sessions
from seawall.identity.errors import NotAuthenticatedError
from seawall.identity.evenly import evenly
from seawall.identity.owner import OWNER_ID
from seawall.identity.store import outbox

Premises = Any  # what the fixture is
ADA, BOB = "ada@example.com", "bob@example.com"
NEW = SecretStr("another long password")
CONFIRM, RESET, CHANGE = (
    "Confirm your address",
    "Choose a new password",
    "Confirm your new address",
)


async def _register(premises: Premises, email: str = ADA, password: str | None = None) -> SecretStr:
    chosen = SecretStr(password or premises.password)
    await accounts.register(premises.desk, email, chosen)
    found: SecretStr = await premises.token(email, CONFIRM)
    return found


async def test_who_registers_confirms_with_link_and_password_and_logs_in(
    premises: Premises,
) -> None:
    token = await _register(premises)
    with pytest.raises(ForbiddenError, match="not confirmed"):
        await premises.log_in(ADA)
    with pytest.raises(NotAuthenticatedError):
        await accounts.verify_email(premises.desk, token, NEW)
    password = SecretStr(premises.password)
    done = await asyncio.gather(
        *(accounts.verify_email(premises.desk, token, password) for _ in range(2)),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in done) == ["NoneType", "NotFoundError"]
    found = await premises.log_in(ADA)
    assert (await sessions.find(premises.desk, found.session.token)) is not None


async def test_nobody_s_address_is_confirmed_by_a_stranger_s_registration(
    premises: Premises,
) -> None:
    stranger_s = await _register(premises, password="the stranger's password")  # noqa: S106
    # Whoever reads the mail does not know the stranger's password, and registers themselves.
    hers = await _register(premises)
    with pytest.raises(NotFoundError):
        await accounts.verify_email(premises.desk, stranger_s, SecretStr("the stranger's password"))
    await accounts.verify_email(premises.desk, hers, SecretStr(premises.password))
    with pytest.raises(NotAuthenticatedError):
        await premises.log_in(ADA, "the stranger's password")


async def test_who_has_an_account_is_told_by_mail_and_keeps_it(premises: Premises) -> None:
    await premises.user(ADA)
    await accounts.register(premises.desk, ADA.upper(), NEW)
    assert [each.subject for each in await premises.mails(ADA)] == ["You are registered already"]
    await premises.log_in(ADA)
    with pytest.raises(NotAuthenticatedError):
        await premises.log_in(ADA, NEW.get_secret_value())


async def test_many_at_once_make_one_account(premises: Premises) -> None:
    await asyncio.gather(*(accounts.register(premises.desk, ADA, NEW) for _ in range(3)))
    await accounts.verify_email(premises.desk, await premises.token(ADA, CONFIRM), NEW)


async def test_registration_can_be_closed_and_refuses_what_cannot_be(premises: Premises) -> None:
    for email, word in (("no address", "long enough for that"), (ADA, "short"), (ADA, ADA)):
        with pytest.raises(InvalidError):
            await accounts.register(premises.desk, email, SecretStr(word))
    closed = {"identity": {"registration": "closed"}}
    premises.desk = replace(
        premises.desk, settings=Settings.model_validate(dict(premises.desk.settings) | closed)
    )
    with pytest.raises(ForbiddenError, match="Nobody can register"):
        await accounts.register(premises.desk, ADA, NEW)


async def test_a_new_password_ends_every_session(premises: Premises) -> None:
    user = await premises.user(ADA)
    opened = (await premises.log_in(ADA)).session
    await accounts.request_reset(premises.desk, f" {ADA.upper()}")
    token = await premises.token(ADA, RESET)
    with pytest.raises(InvalidError):
        await accounts.reset_password(premises.desk, token, SecretStr("short"))
    done = await asyncio.gather(
        *(accounts.reset_password(premises.desk, token, NEW) for _ in range(3)),
        return_exceptions=True,
    )
    assert [each for each in done if not isinstance(each, NotFoundError)] == [None]
    assert await sessions.find(premises.desk, opened.token) is None
    with pytest.raises(NotAuthenticatedError):
        await premises.log_in(ADA)
    await premises.log_in(ADA, NEW.get_secret_value())
    told = [each.subject for each in await premises.mails(ADA)]
    assert told == ["Your password was changed", RESET]
    async with transaction(premises.desk.engine, user.id) as session:
        (rows) = await outbox.list_mail(session, 9)
    assert token.get_secret_value() not in str(rows)


async def test_the_newest_link_is_good_and_the_others_are_not(premises: Premises) -> None:
    await premises.user(ADA)
    await accounts.request_reset(premises.desk, ADA)
    first = await premises.token(ADA, RESET)
    await accounts.request_reset(premises.desk, ADA)
    with pytest.raises(NotFoundError):
        await accounts.reset_password(premises.desk, first, NEW)
    with pytest.raises(NotFoundError):
        await accounts.verify_email(premises.desk, await premises.token(ADA, RESET), NEW)
    await accounts.reset_password(premises.desk, await premises.token(ADA, RESET), NEW)


async def test_nobody_s_mailbox_is_filled_and_strangers_learn_nothing(premises: Premises) -> None:
    await premises.user(ADA)
    for email in (ADA, "nobody@example.com", "no address"):
        for _ in range(5):
            await accounts.request_reset(premises.desk, email)
    assert len(await premises.mails(ADA)) == 3
    settings = Settings(cache=CacheSettings(url=SecretStr("redis://127.0.0.1:1/0")))
    async with open_cache(settings, premises.desk.engine) as dead:
        desk = replace(premises.desk, cache=dead)
        for email in (ADA, "nobody@example.com"):
            with pytest.raises(UnavailableError):
                await accounts.request_reset(desk, email)


async def test_answers_take_equally_long(
    premises: Premises, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "evenly", lambda: evenly(0.3))
    await premises.user(ADA)
    for email in (ADA, "nobody@example.com"):
        start = perf_counter()
        await accounts.request_reset(premises.desk, email)
        await accounts.register(premises.desk, email, NEW)
        assert 0.6 <= perf_counter() - start < 1.1


async def test_a_user_changes_the_password_and_stays_on_this_device(premises: Premises) -> None:
    user = await premises.user(ADA)
    here, there = [(await premises.log_in(ADA)).session for _ in range(2)]
    with pytest.raises(NotAuthenticatedError, match="password is wrong"):
        await accounts.change_password(premises.desk, user, accounts.Proof(NEW), NEW, None)
    old = accounts.Proof(SecretStr(premises.password))
    await accounts.change_password(premises.desk, user, old, NEW, here.family_id)
    assert await sessions.find(premises.desk, here.token) is not None
    assert await sessions.find(premises.desk, there.token) is None
    await premises.log_in(ADA, NEW.get_secret_value())


async def test_an_address_is_changed_by_who_reads_the_new_one(premises: Premises) -> None:
    user = await premises.user(ADA)
    password = accounts.Proof(SecretStr(premises.password))
    with pytest.raises(NotAuthenticatedError):
        await accounts.request_email_change(
            premises.desk, user, accounts.Proof(NEW), "ada@example.org"
        )
    await accounts.request_email_change(premises.desk, user, password, "ada@example.org")
    token = await premises.token(ADA, CHANGE)
    await premises.log_in(ADA)
    await accounts.confirm_email_change(premises.desk, token)
    with pytest.raises(NotFoundError):
        await accounts.confirm_email_change(premises.desk, token)
    mails = await premises.mails("ada@example.org")
    assert [(each.recipient, each.subject) for each in mails] == [
        (ADA, "The address of your account was changed"),
        ("ada@example.org", CHANGE),
    ]
    await premises.log_in("ada@example.org")


async def test_another_s_address_is_not_to_be_had(premises: Premises) -> None:
    user = await premises.user(ADA)
    password = accounts.Proof(SecretStr(premises.password))
    await premises.user(BOB)
    await accounts.request_email_change(premises.desk, user, password, BOB.upper())
    assert await premises.mails(ADA) == []
    # It is taken between the mail and the link.
    await accounts.request_email_change(premises.desk, user, password, "carol@example.com")
    token = await premises.token(ADA, CHANGE)
    await premises.user("carol@example.com")
    with pytest.raises(NotFoundError):
        await accounts.confirm_email_change(premises.desk, token)
    await premises.log_in(ADA)


async def test_an_operator_invites_and_lets_the_owner_log_in(premises: Premises) -> None:
    invited = await operators.create_user(premises.desk, operators.NewUser(BOB, "bob"))
    assert not invited.has_password
    token = await premises.token(BOB, "Welcome to Seawall")
    await accounts.reset_password(premises.desk, token, NEW)
    await premises.log_in(BOB, NEW.get_secret_value())
    with pytest.raises(ConflictError, match="already"):
        await premises.user(BOB.upper())
    with pytest.raises(ConflictError):
        await operators.create_user(premises.desk, operators.NewUser(ADA, "BOB"))
    password = SecretStr(premises.password)
    owner = operators.NewUser(ADA, password=password, is_owner=True)
    made = await operators.create_user(premises.desk, owner)
    assert (made.id, made.username) == (OWNER_ID, "owner")
    assert (await premises.log_in(ADA)).session.user_id == OWNER_ID
