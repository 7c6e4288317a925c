"""Leaving by the API: proven, done at once, and undone by mail and password."""

import io
import re
import zipfile
from typing import Any

from seawall.identity.mail import list_outbox

Web = Any  # what the fixture is
ADA, V1 = "ada@example.com", "/api/v1"


async def test_who_deletes_the_account_is_out_and_comes_back_by_mail(
    web: Web, problem: Any
) -> None:
    user = await web.user(ADA)
    client = web.client((await web.log_in(ADA))["access_token"])
    browser = web.client()
    login = {"email": ADA, "password": web.password}
    told = await browser.post(f"{V1}/auth/browser/login", json=login)
    csrf = {"X-CSRF-Token": told.json()["csrf_token"]}
    made = await client.post(f"{V1}/api-keys", json={"name": "all", "scopes": ["manage", "read"]})
    bot = web.client(made.json()["key"])
    asked = f"{V1}/account/deletion"
    right = {"password": web.password}
    problem(await bot.post(asked, json=right), 403, "forbidden")
    problem(await browser.post(asked, json=right), 403, "forbidden")
    problem(await client.post(asked, json={"password": "another"}), 401, "not-authenticated")
    problem(await client.post(asked, json={}), 422, "invalid")
    done = await browser.post(asked, json=right, headers=csrf)
    assert done.status_code == 200, done.text
    assert done.json()["deleted_at"] < done.json()["purged_after"]
    assert '__Host-seawall_session=""' in done.headers["set-cookie"]
    for each in (client, browser, bot):
        problem(await each.get(f"{V1}/profile"), 401, "not-authenticated")
    problem(await web.client().post(f"{V1}/auth/login", json=login), 401, "not-authenticated")
    (newest, *_) = await list_outbox(web.desk.engine, web.desk.vault, user.id, 1)
    assert newest.body is not None
    said = newest.body.get_secret_value()
    assert "/api/v1/auth/restore-account" in said
    (token,) = re.findall(r"^[\w-]{43}$", said, re.MULTILINE)
    back = f"{V1}/auth/restore-account"
    wrong = {"token": token, "password": "another"}
    problem(await web.client().post(back, json=wrong), 401, "not-authenticated")
    assert (await web.client().post(back, json=right | {"token": token})).status_code == 204
    problem(await web.client().post(back, json=right | {"token": token}), 404, "not-found")
    problem(await bot.get(f"{V1}/profile"), 401, "not-authenticated")
    again = web.client((await web.log_in(ADA))["access_token"])
    assert (await again.get(f"{V1}/profile")).json()["id"] == str(user.id)


async def test_what_is_one_s_own_is_fetched_with_the_password(web: Web, problem: Any) -> None:
    client = await web.known(ADA)
    await client.post(f"{V1}/portfolios", json={"name": "Main"})
    asked = f"{V1}/account/export"
    problem(await client.post(asked, json={"password": "another"}), 401, "not-authenticated")
    found = await client.post(asked, json={"password": web.password})
    assert (found.status_code, found.headers["content-type"]) == (200, "application/zip")
    assert int(found.headers["content-length"]) == len(found.content)
    assert found.headers["cache-control"] == "no-store"
    with zipfile.ZipFile(io.BytesIO(found.content)) as archive:
        assert b"Main" in archive.read("portfolios.csv")
        assert b"$argon2id$" not in archive.read("users.csv")


async def test_the_owner_stays(web: Web, problem: Any) -> None:
    await web.owner(ADA)
    client = web.client((await web.log_in(ADA))["access_token"])
    right = {"password": web.password}
    problem(await client.post(f"{V1}/account/deletion", json=right), 403, "forbidden")
    assert (await client.get(f"{V1}/profile")).status_code == 200
