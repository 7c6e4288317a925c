"""The commands as a whole: help, one JSON document each, and exit codes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from seawall.cli import app
from seawall.portfolios import store

HEAVY = ("numpy", "sqlalchemy", "polars", "numba", "rich", "pydantic", "asyncpg", "orjson")
UNKNOWN_ID = "6fa459ea-ee8a-3ca4-894e-db77e160355e"
UNREACHABLE = "postgresql://somebody:secret-word@127.0.0.1:1/seawall"

# What each command is called with here, and its exit code; a new command needs a line.
CALLS: dict[str, tuple[tuple[str, ...], int]] = {
    "market import": (("missing.csv",), 3),
    "market coverage": ((), 0),
    "portfolio create": (("Walked",), 0),
    "portfolio list": ((), 0),
    "portfolio change": (("Nobody", "--name", "Somebody"), 3),
    "portfolio delete": (("Nobody", "--yes"), 3),
    "portfolio import": (("Nobody", "missing.csv"), 3),
    "portfolio imports": (("Nobody",), 3),
    "portfolio transactions": (("Nobody",), 3),
    "portfolio void": (("Nobody", UNKNOWN_ID), 3),
    "portfolio correct": (("Nobody", UNKNOWN_ID, "--quantity", "1"), 3),
    "portfolio show": (("Nobody",), 3),
    "risk report": (("Nobody",), 3),
    "risk history": (("Nobody",), 3),
    "risk recompute": ((UNKNOWN_ID,), 3),
    "risk whatif": (("Nobody", "--trade", "buy 1 BTC"), 3),
    "risk scenarios": (("Nobody",), 3),
    "risk optimize": (("Nobody",), 3),
    "risk assets": ((), 3),
    "risk limits": (("Nobody",), 3),
    "risk score": ((), 0),
    "worker status": ((), 0),
    "db up": ((), 4),
    "db down": ((), 4),
    "db status": ((), 0),
    "db migrate": ((), 0),
    "db psql": ((), 0),
    "db url": ((), 0),
    "db seed": (("--profile", "dev"), 0),
    "db retention": ((), 0),
    "db downgrade": (("9999",), 3),
    "db maintain": ((), 0),
    "db archive list": ((), 0),
    "db archive restore": ((UNKNOWN_ID,), 3),
    "db archive query": (("SELECT * FROM nothing",), 4),
    "audit verify": ((), 0),
    "audit anchor": ((), 0),
    "audit log": ((), 0),
    "keys status": ((), 0),
    "keys rotate": ((), 0),
    "doctor": ((), 0),
    "logs": ((), 0),
    "user create": (("ada@example.com", "--invite"), 0),
    "user list": ((), 0),
    "user suspend": (("nobody@example.com",), 3),
    "user activate": (("nobody@example.com",), 3),
    "user logout": (("nobody@example.com",), 3),
    "user reset": (("nobody@example.com",), 3),
    "user tier": (("nobody@example.com", "pro"), 3),
    "user delete": (("nobody@example.com", "--yes"), 3),
    "user export": (("nobody@example.com", "--to", "mine.zip"), 3),
    "user restore": (("nobody@example.com",), 3),
    "user purge": ((), 0),
    "outbox": ((), 0),
    "serve": (("--check",), 0),
}
ELSEWHERE = {"demo", "db convert", "worker run"}
"""Run by other tests: as a program in its own home, or as far as the server can."""


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name, each in below.items():
        yield from _commands(each, (*path, name))


COMMANDS = dict(_commands(typer.main.get_command(app.app)))
GROUPS = [(), *sorted({path[:1] for path in COMMANDS if len(path) > 1})]


@pytest.mark.parametrize("path", GROUPS + sorted(COMMANDS), ids=" ".join)
def test_every_command_explains_itself(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run([*path, "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Usage: seawall")
    assert "..." not in out.partition("Commands:")[2], "a summary that is cut off"
    assert err == ""


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_prints_one_json_document(path: tuple[str, ...], request: Any) -> None:
    assert "--json" in {name for each in COMMANDS[path].params for name in each.opts}
    if " ".join(path) in ELSEWHERE:
        return
    # The seed is made where nothing was made before.
    cli = request.getfixturevalue("cli" if path == ("db", "seed") else "shared")
    arguments, code = CALLS[" ".join(path)]
    done = cli(*path, *arguments, "--json")
    assert done.code == code, done
    assert isinstance(done.document, dict)
    assert done.err == ""


def test_the_exit_codes_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--help"]) == 0
    assert "7 unavailable" in " ".join(capsys.readouterr().out.split())


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("seawall 0.")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("--nonsense",),
        ("market",),
        ("market", "nonsense"),
        ("market", "import"),
        ("market", "import", "x.csv", "--timeframe", "7x"),
        ("market", "import", "x.csv", "--format", "nonsense"),
        ("portfolio", "show", "x", "--as-of", "yesterday"),
        ("portfolio", "show", "x", "--as-of", "2024-02-30"),
        ("portfolio", "show", "x", "--lots", "best"),
        ("risk", "report", "x", "--window", "many"),
        ("risk", "report", "x", "--confidence", "high"),
        ("risk", "recompute", "0"),
        ("demo", "extra"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_understood_is_a_usage_error(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run([*arguments]) == 2
    usage = capsys.readouterr()
    assert "Usage: seawall" in usage.out + usage.err


def test_a_usage_error_is_a_document_too(cli: Callable[..., Any]) -> None:
    done = cli("portfolio", "show", "x", "--lots", "best", "--json")
    assert done.code == 2
    assert done.document["error"]["type"] == "UsageError"
    assert "'best' is not one of fifo, lifo, hifo, average" in done.document["error"]["message"]
    assert "Usage:" in done.err


def test_a_taken_name_is_a_conflict(cli: Callable[..., Any]) -> None:
    assert cli("portfolio", "create", "Savings").code == 0
    done = cli("portfolio", "create", "SAVINGS", "--json")
    assert done.code == 5
    assert done.document["error"]["type"] == "ConflictError"
    assert "'Savings' already" in done.document["error"]["message"]


def test_a_file_that_may_not_be_read_is_forbidden(cli: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "secret.csv"
    path.write_text("x", encoding="utf-8")
    path.chmod(0)
    was = os.geteuid()
    try:
        if was == 0:
            os.seteuid(65_534)
        done = cli("portfolio", "import", "Main", path, "--json")
    finally:
        os.seteuid(was)
    assert done.code == 6
    assert done.document["error"]["type"] == "ForbiddenError"


def test_a_database_that_does_not_answer_is_unavailable(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAWALL_DATABASE__URL", UNREACHABLE)
    done = cli("portfolio", "list")
    assert done.code == 7
    assert "SEAWALL_DATABASE__URL" in done.err
    assert "secret-word" not in done.err + done.out


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SEAWALL_DATABASE__PORT", "99999", "SEAWALL_DATABASE__PORT"),
        ("SEAWALL_DATABASE__PORT", "secret-word", "SEAWALL_DATABASE__PORT"),
        ("SEAWALL_DATABASE", "secret-word", "database"),
        ("SEAWALL_DATABASE__URL", "secret-word", "SEAWALL_DATABASE__URL"),
        ("SEAWALL_DATABASE__URL", "mysql://u:secret-word@h/d", "mysql"),
    ],
)
def test_a_setting_that_is_wrong_is_named_and_not_repeated(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    done = cli("portfolio", "list")
    assert done.code == 4
    assert said in done.err
    assert "secret-word" not in done.err


def test_anything_unforeseen_is_a_bug_of_ours(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_session: object) -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr(store, "list_portfolios", broken)
    done = cli("portfolio", "list")
    assert done.code == 1
    assert "Traceback" in done.err
    assert "Error: the sky fell\nThis is a bug in Seawall. Please report it" in done.err
    assert cli("portfolio", "list", "--json").document["error"]["type"] == "RuntimeError"


def test_an_interruption_is_told(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(_session: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "list_portfolios", interrupted)
    done = cli("portfolio", "list", "--json")
    assert done.code == 130
    assert "what was not finished was not kept" in done.document["error"]["message"]


def test_help_comes_fast_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from seawall.cli import app; app.run(['--help']);"
        f" print(*(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stderr.split() == []
    fastest = min(_seconds([sys.executable, "-m", "seawall.cli.app", "--help"]) for _ in range(3))
    assert fastest < 0.5


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True, timeout=30)
    return time.perf_counter() - start


def test_a_reader_that_leaves_early_is_no_bug(cli: Callable[..., Any]) -> None:
    assert cli("portfolio", "create", "Read").code == 0
    command = [sys.executable, "-m", "seawall.cli.app", "portfolio", "list", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.close()
        assert program.stderr.read() == b""
    assert program.returncode == 141


def test_words_are_completed(home: Any) -> None:
    done = home(_SEAWALL_COMPLETE="complete_bash", COMP_WORDS="seawall ma", COMP_CWORD="1")
    assert done.out.split() == ["market"]
    assert done.code == 0
