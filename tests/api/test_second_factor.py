"""Whatever gives lasting power over an account asks for the second factor too, where it is on."""

from typing import Any

import pyotp
import pytest
from sqlalchemy import text

from seawall.db.session import transaction
from seawall.identity import login
from seawall.identity.mail import list_outbox

Web = Any  # what the fixture is
ADA, V1, NEW = "ada@example.com", "/api/v1", "another long password"


async def _guarded(web: Web) -> tuple[Any, list[str]]:
    """A user whose second factor is on, and their recovery codes."""
    client = await web.known(ADA)
    proof = {"password": web.password}
    begun = (await client.post(f"{V1}/auth/two-factor", json=proof)).json()
    totp = pyotp.parse_uri(begun["uri"])
    assert isinstance(totp, pyotp.TOTP)
    code = {"code": totp.at(web.desk.clock())}
    told = await client.post(f"{V1}/auth/two-factor/confirm", json=code)
    return client, told.json()["recovery_codes"]


OPERATIONS: list[tuple[str, dict[str, Any], int]] = [
    ("/auth/change-email", {"email": "ada@example.org"}, 202),
    ("/auth/change-password", {"new_password": NEW}, 204),
    ("/account/deletion", {}, 200),
]


@pytest.mark.parametrize(("path", "body", "status"), OPERATIONS)
async def test_the_password_alone_is_not_enough(
    web: Web, problem: Any, path: str, body: dict[str, Any], status: int
) -> None:
    client, codes = await _guarded(web)
    given = body | {"password": web.password}
    problem(await client.post(V1 + path, json=given), 401, "second-factor-needed")
    wrong = await client.post(V1 + path, json=given | {"code": "000000"})
    problem(wrong, 401, "not-authenticated")
    done = await client.post(V1 + path, json=given | {"code": codes[0]})
    assert done.status_code == status, done.text


async def test_a_key_that_changes_things_needs_a_code_and_one_that_reads_does_not(
    web: Web, problem: Any
) -> None:
    client, codes = await _guarded(web)

    async def make(name: str, *scopes: str, **more: Any) -> Any:
        given = {"name": name, "scopes": scopes} | more
        return await client.post(f"{V1}/api-keys", json=given, headers={"Idempotency-Key": name})

    assert (await make("reads", "read")).status_code == 201
    for scopes in (["manage"], ["trade"], ["read", "manage"]):
        problem(await make("bot", *scopes), 401, "second-factor-needed")
    made = await make("bot", "manage", "read", code=codes[0])
    assert made.status_code == 201
    # The same request again has the same answer, though its code is used up.
    assert (await make("bot", "manage", "read", code=codes[0])).content == made.content
    problem(await make("other", "manage", code=codes[0]), 401, "not-authenticated")
    for _ in range(3):
        problem(await make("other", "manage", code="000000"), 401, "not-authenticated")
    problem(await make("other", "manage", code=codes[1]), 429, "too-many-requests")


async def test_recovery_codes_are_renewed(web: Web, problem: Any) -> None:
    client, codes = await _guarded(web)
    path, given = f"{V1}/auth/two-factor/recovery-codes", {"password": web.password}
    problem(await client.post(path, json=given | {"code": "000000"}), 401, "not-authenticated")
    done = await client.post(path, json=given | {"code": codes[0]})
    others = done.json()["recovery_codes"]
    assert len(set(others) | set(codes)) == 20
    found = await web.client().post(
        f"{V1}/auth/login", json=given | {"email": ADA, "code": codes[1]}
    )
    problem(found, 401, "not-authenticated")
    await web.log_in(ADA, code=others[0])


async def test_without_a_second_factor_there_are_no_codes(web: Web, problem: Any) -> None:
    client = await web.known(ADA)
    given = {"password": web.password, "code": "x"}
    path = f"{V1}/auth/two-factor/recovery-codes"
    problem(await client.post(path, json=given), 409, "conflict")
    assert (
        await client.post(f"{V1}/api-keys", json={"name": "a", "scopes": ["manage"]})
    ).is_success


async def _mail(web: Web) -> str:
    found = await login.find(web.desk, ADA)
    assert found is not None
    newest, *_ = await list_outbox(web.desk.engine, web.desk.vault, found.id, 1)
    assert newest.body is not None
    return str(newest.body.get_secret_value())


@pytest.mark.parametrize("chosen", [{}, {"revoke_api_keys": True}, {"revoke_api_keys": False}])
async def test_a_reset_says_what_becomes_of_api_keys(
    web: Web, problem: Any, chosen: dict[str, bool]
) -> None:
    client = await web.known(ADA)
    made = await client.post(f"{V1}/api-keys", json={"name": "bot", "scopes": ["read"]})
    bot, prefix = web.client(made.json()["key"]), made.json()["prefix"]
    await web.client().post(f"{V1}/auth/forgot-password", json={"email": ADA})
    reset = {"token": await web.token(ADA), "password": NEW} | chosen
    assert (await web.client().post(f"{V1}/auth/reset-password", json=reset)).status_code == 204
    said = await _mail(web)
    assert f"bot ({prefix})" in said
    if chosen.get("revoke_api_keys", True):
        assert "were revoked" in said
        problem(await bot.get(f"{V1}/profile"), 401, "not-authenticated")
    else:
        assert "go on working" in said
        assert f"http://localhost:8000{V1}/api-keys" in said
        assert (await bot.get(f"{V1}/profile")).status_code == 200


async def test_a_changed_password_leaves_keys_and_names_them(web: Web) -> None:
    client = await web.known(ADA)
    user = (await client.get(f"{V1}/profile")).json()["id"]
    change = {"password": web.password, "new_password": NEW}
    await client.post(f"{V1}/auth/change-password", json=change)
    assert "There are no API keys." in await _mail(web)
    made = await client.post(f"{V1}/api-keys", json={"name": "bot", "scopes": ["read"]})
    back = {"password": NEW, "new_password": web.password}
    await client.post(f"{V1}/auth/change-password", json=back)
    assert "These API keys go on working:\n\n- bot (" in await _mail(web)
    assert (await web.client(made.json()["key"]).get(f"{V1}/profile")).status_code == 200
    async with transaction(web.desk.engine, user) as session:
        query = "SELECT count(*) FROM api_keys WHERE NOT is_active"
        assert await session.scalar(text(query)) == 0
