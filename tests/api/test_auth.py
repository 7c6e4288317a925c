"""People and programs are let in over HTTP, and put out again."""

import asyncio
from time import monotonic
from typing import Any

import jwt
import pyotp
import pytest
from sqlalchemy import text

from seawall.db.cache import follow
from seawall.db.session import transaction

Web = Any  # what the fixture is
ADA = "ada@example.com"
AUTH = "/api/v1/auth"


async def test_from_registering_to_logging_out(web: Web, problem: Any) -> None:
    client = web.client()
    given = {"email": ADA, "password": web.password}
    assert (await client.post(f"{AUTH}/register", json=given)).status_code == 202
    problem(await client.post(f"{AUTH}/login", json=given), 403, "forbidden")
    confirmed = {"token": await web.token(ADA), "password": web.password}
    assert (await client.post(f"{AUTH}/verify-email", json=confirmed)).status_code == 204
    problem(await client.post(f"{AUTH}/verify-email", json=confirmed), 404, "not-found")
    tokens = await web.log_in(ADA, client, device_name="laptop")
    assert tokens["token_type"] == "Bearer"  # noqa: S105 - a kind of token
    mine = web.client(tokens["access_token"])
    (session,) = (await mine.get("/api/v1/sessions")).json()["items"]
    assert (session["device_name"], session["is_this"]) == ("laptop", True)
    assert (await mine.post(f"{AUTH}/logout")).status_code == 204
    told = problem(await mine.get("/api/v1/sessions"), 401, "not-authenticated")
    assert "Log in" in told["detail"]
    refresh = {"refresh_token": tokens["refresh_token"]}
    problem(await client.post(f"{AUTH}/refresh", json=refresh), 401, "not-authenticated")


async def test_logging_out_may_be_said_again_and_by_nobody_else(web: Web, problem: Any) -> None:
    await web.user(ADA)
    tokens = await web.log_in(ADA)
    mine = web.client(tokens["access_token"])
    refresh = {"refresh_token": tokens["refresh_token"]}
    newer = (await web.client().post(f"{AUTH}/refresh", json=refresh)).json()["access_token"]
    # Its session was refreshed, and goes on under another token.
    problem(await mine.post(f"{AUTH}/logout"), 401, "not-authenticated")
    mine = web.client(newer)
    found = await asyncio.gather(*(mine.post(f"{AUTH}/logout") for _ in range(3)))
    assert {each.status_code for each in found} == {204}
    problem(await mine.get("/api/v1/profile"), 401, "not-authenticated")
    problem(await web.client(f"{newer}x").post(f"{AUTH}/logout"), 401, "not-authenticated")
    browser = web.client()
    given = {"email": ADA, "password": web.password}
    found = await browser.post(f"{AUTH}/browser/login", json=given)
    page = {"X-CSRF-Token": found.json()["csrf_token"]}
    cookie = {"Cookie": f"__Host-seawall_session={browser.cookies['__Host-seawall_session']}"}
    for _ in range(2):
        ended = await web.client().post(f"{AUTH}/logout", headers=page | cookie)
        assert ended.status_code == 204
        assert "Max-Age=0" in ended.headers["set-cookie"]
    for headers in (cookie, page | {"Cookie": "__Host-seawall_session=x"}, {}):
        refused = await web.client().post(f"{AUTH}/logout", headers=headers)
        problem(refused, 401, "not-authenticated")


async def test_a_refresh_token_that_comes_twice_ends_the_family(web: Web, problem: Any) -> None:
    client = await web.known(ADA)
    tokens = await web.log_in(ADA)
    first = {"refresh_token": tokens["refresh_token"]}
    second = (await client.post(f"{AUTH}/refresh", json=first)).json()
    assert (await web.client(second["access_token"]).get("/api/v1/profile")).status_code == 200
    old = web.client(tokens["access_token"])
    problem(await old.get("/api/v1/profile"), 401, "not-authenticated")
    problem(await client.post(f"{AUTH}/refresh", json=first), 401, "not-authenticated")
    new = web.client(second["access_token"])
    problem(await new.get("/api/v1/profile"), 401, "not-authenticated")
    assert (await client.get("/api/v1/profile")).status_code == 200


async def test_wrong_and_unknown_are_answered_alike(web: Web, problem: Any) -> None:
    await web.user(ADA)
    told = []
    for email in (ADA, "nobody@example.com"):
        given = {"email": email, "password": "a wrong password"}
        found = await web.client().post(f"{AUTH}/login", json=given)
        told.append(problem(found, 401, "not-authenticated") | {"instance": ""})
        assert found.headers["www-authenticate"].startswith("Bearer")
    assert told[0] == told[1]


async def test_too_many_guesses_are_told_when_to_go_on(web: Web, problem: Any) -> None:
    device = {"device": (await _log_in(web))["device"]}
    given = {"email": ADA, "password": "a wrong password"}
    for _ in range(4):
        await web.client().post(f"{AUTH}/login", json=given)
    found = await web.client().post(f"{AUTH}/login", json=given)
    problem(found, 429, "too-many-requests")
    assert int(found.headers["retry-after"]) >= 1
    await web.log_in(ADA, **device)


async def _log_in(web: Web) -> Any:
    await web.user(ADA)
    return await web.log_in(ADA)


async def test_an_access_token_that_was_made_up_is_nobody_s(web: Web, problem: Any) -> None:
    good = (await _log_in(web))["access_token"]
    claims = jwt.decode(good, options={"verify_signature": False})
    head, body, mark = good.split(".")
    made_up = [
        "",
        "x",
        "sw_abcdef_x",
        f"{head}.{body}.",
        f"{head}.{body}.{mark[::-1]}",
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, "a key of somebody else, long enough for it", algorithm="HS256"),
        jwt.encode(claims, web.desk.secret.key("csrf"), algorithm="HS256"),
        jwt.encode({**claims, "exp": 1}, web.desk.secret.key("access"), algorithm="HS256"),
        jwt.encode(
            {**claims, "sub": "00000000-0000-4000-8000-000000000001"},
            web.desk.secret.key("access"),
            algorithm="HS256",
        ),
    ]
    for token in made_up:
        problem(await web.client(token).get("/api/v1/profile"), 401, "not-authenticated")
    basic = {"Authorization": "Basic eDp5"}
    problem(await web.client().get("/api/v1/profile", headers=basic), 401, "not-authenticated")
    assert (await web.client(good).get("/api/v1/profile")).status_code == 200


async def test_a_browser_has_cookies_that_scripts_cannot_read_and_a_csrf_token(
    web: Web, problem: Any
) -> None:
    await web.user(ADA)
    browser = web.client()
    given = {"email": ADA, "password": web.password}
    found = await browser.post(f"{AUTH}/browser/login", json=given)
    cookies = found.headers.get_list("set-cookie")
    assert [each.partition("=")[0] for each in cookies] == [
        "__Host-seawall_session",
        "__Host-seawall_device",
    ]
    for cookie in cookies:
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
    token = found.json()["csrf_token"]
    assert (await browser.get(f"{AUTH}/csrf")).json()["csrf_token"] == token
    change = {"theme": "dark"}
    for headers in ({}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": token[:-1] + "é"}):
        sent = {name: value.encode() for name, value in headers.items()}
        refused = await browser.patch("/api/v1/settings", json=change, headers=sent)
        problem(refused, 403, "forbidden")
    done = await browser.patch("/api/v1/settings", json=change, headers={"X-CSRF-Token": token})
    assert done.json()["theme"] == "dark"
    ended = await browser.post(f"{AUTH}/logout", headers={"X-CSRF-Token": token})
    assert ended.status_code == 204
    problem(await browser.get("/api/v1/profile"), 401, "not-authenticated")


async def test_another_s_csrf_token_is_good_for_nothing(web: Web, problem: Any) -> None:
    tokens, browsers = [], []
    for email in (ADA, "bob@example.com"):
        await web.user(email)
        browser = web.client()
        given = {"email": email, "password": web.password}
        found = await browser.post(f"{AUTH}/browser/login", json=given)
        tokens.append(found.json()["csrf_token"])
        browsers.append(browser)
    crossed = {"X-CSRF-Token": tokens[1]}
    refused = await browsers[0].patch("/api/v1/settings", json={"theme": "dark"}, headers=crossed)
    problem(refused, 403, "forbidden")


async def test_the_second_factor_is_turned_on_used_and_turned_off(web: Web, problem: Any) -> None:
    client = await web.known(ADA)
    wrong = {"password": "a wrong password"}
    problem(await client.post(f"{AUTH}/two-factor", json=wrong), 401, "not-authenticated")
    proof = {"password": web.password}
    begun = (await client.post(f"{AUTH}/two-factor", json=proof)).json()
    totp = pyotp.parse_uri(begun["uri"])
    assert isinstance(totp, pyotp.TOTP)
    problem(await client.post(f"{AUTH}/two-factor/confirm", json={"code": "12345"}), 422, "invalid")
    now = {"code": totp.at(web.desk.clock())}
    codes = (await client.post(f"{AUTH}/two-factor/confirm", json=now)).json()["recovery_codes"]
    assert len(codes) == 10
    given = {"email": ADA, "password": web.password}
    found = await client.post(f"{AUTH}/login", json=given)
    problem(found, 401, "second-factor-needed")
    await web.log_in(ADA, code=codes[0])
    off = proof | {"code": codes[0]}
    problem(await client.post(f"{AUTH}/two-factor/disable", json=off), 409, "conflict")


async def test_passwords_and_addresses_are_changed(web: Web, problem: Any) -> None:
    client = await web.known(ADA)
    other = web.client((await web.log_in(ADA))["access_token"])
    change = {"password": web.password, "new_password": "another long password"}
    assert (await client.post(f"{AUTH}/change-password", json=change)).status_code == 204
    assert (await client.get("/api/v1/profile")).status_code == 200
    problem(await other.get("/api/v1/profile"), 401, "not-authenticated")
    asked = {"email": "ada@example.org", "password": "another long password"}
    assert (await client.post(f"{AUTH}/change-email", json=asked)).status_code == 202
    confirmed = {"token": await web.token(ADA)}
    assert (await client.post(f"{AUTH}/confirm-email", json=confirmed)).status_code == 204
    assert (await client.get("/api/v1/profile")).json()["email"] == "ada@example.org"
    forgot = {"email": "ada@example.org"}
    assert (await client.post(f"{AUTH}/forgot-password", json=forgot)).status_code == 202
    reset = {"token": await web.token("ada@example.org"), "password": web.password}
    assert (await client.post(f"{AUTH}/reset-password", json=reset)).status_code == 204
    problem(await client.get("/api/v1/profile"), 401, "not-authenticated")


async def test_all_sessions_end_at_once(web: Web, problem: Any) -> None:
    client = await web.known(ADA)
    other = web.client((await web.log_in(ADA))["access_token"])
    assert (await client.post(f"{AUTH}/logout-everywhere")).json() == {"ended": 2}
    for each in (client, other):
        problem(await each.get("/api/v1/profile"), 401, "not-authenticated")


@pytest.mark.parametrize(
    "given",
    [
        {"email": ADA},
        {"email": ADA, "password": "canary-1234", "more": 1},
        {"email": ADA, "password": ["canary-1234"]},
        "canary-1234",
    ],
)
async def test_what_is_wrong_is_told_without_what_was_sent(
    web: Web, problem: Any, given: Any
) -> None:
    found = await web.client().post(f"{AUTH}/login", json=given)
    told = problem(found, 422, "invalid")
    assert told["errors"]
    assert "canary" not in found.text


async def test_what_the_cache_holds_of_a_session_ends_with_it(web: Web, problem: Any) -> None:
    async with follow(web.desk.cache, web.desk.engine):
        until = monotonic() + 20
        while not web.desk.cache.trusted:
            assert monotonic() < until
            await asyncio.sleep(0.01)
        tokens = [await _log_in(web), await web.log_in(ADA)]
        clients = [web.client(each["access_token"]) for each in tokens]
        for client in clients * 2:
            assert (await client.get("/api/v1/profile")).status_code == 200
        assert (await clients[0].post(f"{AUTH}/logout-everywhere")).json() == {"ended": 2}
        # An announcement is on its way for about a millisecond.
        until = monotonic() + 1
        for client in clients:
            while (found := await client.get("/api/v1/profile")).status_code == 200:
                assert monotonic() < until
            problem(found, 401, "not-authenticated")


async def test_a_browser_s_last_use_is_noted(web: Web) -> None:
    user = await web.user(ADA)
    browser = web.client()
    given = {"email": ADA, "password": web.password}
    await browser.post(f"{AUTH}/browser/login", json=given)
    async with transaction(web.desk.engine, user.id) as session:
        long_ago = text("UPDATE user_sessions SET last_accessed_at = '2024-01-01Z'")
        await session.execute(long_ago)
    assert (await browser.get("/api/v1/profile")).status_code == 200
    (found,) = (await browser.get("/api/v1/sessions")).json()["items"]
    assert found["last_accessed_at"] > "2024-01-02"
