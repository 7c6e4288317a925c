"""`seawall user` and `seawall outbox`: users are made, listed, closed, and mailed."""

import io
from collections.abc import Callable
from typing import Any

import pytest

Cli = Callable[..., Any]
ADA, PASSWORD = "ada@example.com", "correct horse battery staple"


@pytest.fixture
def make(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Make a user with a password."""

    def run(email: str, *more: str, password: str = PASSWORD) -> Any:
        monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))
        return cli("user", "create", email, "--password-stdin", *more)

    return run


def test_users_are_made_listed_closed_and_opened(cli: Cli, make: Callable[..., Any]) -> None:
    assert cli("user", "list", "--json").document == {"users": []}
    made = make(ADA, "--username", "ada", "--tier", "pro", "--json")
    assert made.code == 0, made.out
    assert (made.document["username"], made.document["has_password"]) == ("ada", True)
    assert PASSWORD not in made.out
    assert make(ADA.upper()).code == 5
    assert make("bob@example.com", password="short").code == 4  # noqa: S106 - too short for one
    assert make("nobody").code == 4
    assert make("carol@example.com", "--tier", "gold").code == 2
    assert make("root@example.com", "--owner").code == 0
    assert cli("user", "suspend", ADA).code == 0
    listed = cli("user", "list")
    assert "suspended" in listed.out
    assert cli("user", "activate", ADA).code == 0
    users = {each["email"]: each for each in cli("user", "list", "--json").document["users"]}
    assert users[ADA]["status"] == "active"
    assert users["root@example.com"]["username"] == "owner"
    assert cli("user", "suspend", ADA, "--json").document == {"email": ADA, "status": "suspended"}
    assert cli("user", "logout", ADA).out == f"0 sessions of {ADA} ended.\n"
    for command in ("suspend", "activate", "logout", "reset"):
        assert cli("user", command, "nobody@example.com").code == 3


def test_the_outbox_shows_what_waits(cli: Cli, make: Callable[..., Any]) -> None:
    assert cli("outbox").out == "There are no mails.\n"
    make(ADA)
    assert cli("user", "create", "bob@example.com", "--invite").code == 0
    assert cli("user", "reset", ADA).code == 0
    reset, invitation = cli("outbox", "--json").document["mails"]
    assert (reset["recipient"], reset["subject"]) == (ADA, "Choose a new password")
    assert (invitation["recipient"], invitation["sent_at"]) == ("bob@example.com", None)
    assert invitation["body"].startswith("You have an account at Seawall.")
    shown = cli("outbox", "--limit", "1").out
    assert "To ada@example.com" in shown
    assert "http://localhost:8000/api/v1/auth/reset-password" in shown
