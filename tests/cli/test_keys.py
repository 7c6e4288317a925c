"""`seawall keys` as a user meets it, and a rotation that is killed."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, select, text

from seawall.core.crypto import Place, key_id_of
from seawall.core.keys import KeyStore
from seawall.core.settings import load_settings
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.db.vault import Vault
from seawall.identity.tables import User

Cli = Callable[..., Any]
USERS = [UUID(int=number) for number in range(1, 6)]
PATIENCE = 30.0


def _place(user: UUID) -> Place:
    return Place("users", "full_name", user, user)


async def _admit(location: Location) -> None:
    engine = create_engine(location.url, pooled=False)
    vault = Vault(KeyStore(load_settings()))
    for user in USERS:
        async with transaction(engine, user) as session:
            sealed = await vault.seal(session, SecretStr(f"Ada {user.int}"), _place(user))
            row = insert(User).values(id=user, username=f"user-{user.int}", full_name=sealed)
            await session.execute(row)
    await engine.dispose()


async def _names_and_keys(location: Location) -> tuple[list[str], list[str]]:
    engine = create_engine(location.url, pooled=False)
    vault = Vault(KeyStore(load_settings()))
    names, key_ids = [], []
    for user in USERS:
        async with transaction(engine, user) as session:
            sealed = await session.scalar(select(User.full_name))
        assert sealed is not None
        names.append(vault.open(sealed, _place(user)).get_secret_value())
        key_ids.append(key_id_of(sealed))
    await engine.dispose()
    return names, key_ids


@pytest.fixture
def people(installation: Location) -> None:
    """Users whose names are sealed."""
    asyncio.run(_admit(installation))


def _key_texts(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    return [line.split()[1] for line in lines if not line.startswith("#")]


def test_without_secrets_there_are_no_keys(cli: Cli) -> None:
    shown = cli("keys", "status")
    assert shown.code == 0
    assert "There are none" in shown.out
    assert cli("keys", "status", "--json").document["keys"] == []
    done = cli("keys", "rotate")
    assert (done.code, done.out) == (
        0,
        "Nothing was ever sealed here: there is no key to replace.\n",
    )
    assert cli("keys", "rotate", "--json").document["key_id"] is None


@pytest.mark.usefixtures("people")
def test_a_rotation_tells_what_it_did_and_never_a_key(cli: Cli) -> None:
    path = KeyStore(load_settings()).path
    (former,) = cli("keys", "status", "--json").document["keys"]
    done = cli("keys", "rotate")
    assert done.code == 0
    found = cli("keys", "status", "--json").document
    current, retired = found["keys"]
    assert found["origin"] == str(path)
    assert done.out.splitlines() == [
        f"5 secrets of 5 users are wrapped with key {current['id']}.",
        "  users.full_name: 5",
        f"Key {former['id']} is retired. Keep it: it opens older backups.",
    ]
    assert (retired["id"], retired["opens"], retired["is_missing"]) == (former["id"], True, False)
    assert retired["retired_at"].endswith("Z")
    again = cli("keys", "rotate", "--json").document
    assert again["retired"] == [current["id"]]
    assert again["wrapped"] == {"users.full_name": 5}
    shown = cli("keys", "status")
    states = {line.split()[0]: line.split()[1] for line in shown.out.splitlines()[3:]}
    assert states == {again["key_id"]: "current", current["id"]: "retired", former["id"]: "retired"}
    said = f"{done.out}{done.err}{shown.out}{shown.err}{json.dumps([found, again])}"
    keys = _key_texts(path)
    assert len(keys) == 3
    assert not [key for key in keys if key in said]


@pytest.mark.usefixtures("people")
def test_a_missing_key_stops_every_command_but_the_one_that_tells_of_it(
    cli: Cli, tmp_path: Path
) -> None:
    path = KeyStore(load_settings()).path
    (key,) = cli("keys", "status", "--json").document["keys"]
    path.rename(tmp_path / "elsewhere")
    for command in (("portfolio", "list"), ("market", "coverage"), ("keys", "rotate")):
        done = cli(*command)
        assert done.code == 7, command
        assert key["id"] in done.err
        assert f"missing in {path}" in done.err
        assert "Nothing was touched" in done.err
    shown = cli("keys", "status")
    assert shown.code == 0
    assert "MISSING" in shown.out
    (tmp_path / "elsewhere").rename(path)
    assert cli("portfolio", "list").code == 0
    path.chmod(0o640)
    done = cli("portfolio", "list")
    assert done.code == 6
    assert f"chmod 600 '{path}'" in done.err


def test_a_key_that_is_none_is_refused_without_repeating_it(
    cli: Cli, people: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert people is None
    monkeypatch.setenv("SEAWALL_ENCRYPTION__KEY", "canary-key")
    done = cli("portfolio", "list", "--json")
    assert done.code == 4
    assert done.document["error"]["type"] == "InvalidError"
    assert "openssl rand -base64 32" in done.document["error"]["hint"]
    assert "canary" not in done.out + done.err


async def _kill_in_the_middle(location: Location) -> int:
    """Hold one user's row, so that a rotation stops before it, and kill the rotation there."""
    engine = create_engine(location.admin_url, role=None, pooled=False)
    command = [sys.executable, "-m", "seawall.cli.app", "keys", "rotate"]
    wrapped = text(
        "SELECT count(DISTINCT substr(full_name, 5, 8)) FROM users WHERE full_name IS NOT NULL"
    )
    async with engine.begin() as blocker, engine.connect() as watcher:
        await watcher.execution_options(isolation_level="AUTOCOMMIT")
        held = text("SELECT FROM users WHERE id = :id FOR UPDATE")
        await blocker.execute(held, {"id": USERS[3]})
        program = await asyncio.create_subprocess_exec(*command)
        try:
            async with asyncio.timeout(PATIENCE):
                while await watcher.scalar(wrapped) != 2:  # noqa: ASYNC110 - asks another process
                    await asyncio.sleep(0.02)
        finally:
            program.kill()
            code = await program.wait()
    await engine.dispose()
    return code


@pytest.mark.usefixtures("people")
def test_a_killed_rotation_loses_nothing_and_the_next_finishes_it(
    cli: Cli, installation: Location
) -> None:
    names = [f"Ada {user.int}" for user in USERS]
    (former,) = cli("keys", "status", "--json").document["keys"]
    assert asyncio.run(_kill_in_the_middle(installation)) == -signal.SIGKILL
    current, old = cli("keys", "status", "--json").document["keys"]
    assert (old["id"], old["retired_at"]) == (former["id"], None)
    found, key_ids = asyncio.run(_names_and_keys(installation))
    assert found == names
    assert set(key_ids) == {former["id"], current["id"]}
    assert "former, still in use" in cli("keys", "status").out
    done = cli("keys", "rotate", "--json")
    assert done.code == 0
    assert (done.document["key_id"], done.document["retired"]) == (current["id"], [former["id"]])
    assert sum(done.document["wrapped"].values()) == key_ids.count(former["id"])
    assert asyncio.run(_names_and_keys(installation)) == (names, [current["id"]] * len(USERS))
