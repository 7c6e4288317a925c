"""The command line as a user meets it: run in this process, or as a program with its own home."""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from seawall.cli import app
from seawall.db.database import Location
from seawall.db.server.driver import Server
from seawall.identity import passwords

ROOT = "SEAWALL_TEST_ROOT"
BIN_DIR = "SEAWALL_TEST_BIN_DIR"
TRANSACTIONS = "date,type,asset,quantity,price_usd,fee_usd,notes"


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document that standard output is."""
        return json.loads(self.out)


Cli = Callable[..., Outcome]


def run_here(environment: Mapping[str, str], *arguments: object) -> Outcome:
    """Run a command in this process, with variables set for it alone."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        # `--demo` sets it: so it is taken away again.
        patch.setenv("SEAWALL_DATABASE__NAME", "")
        patch.delenv("SEAWALL_DATABASE__NAME")
        for name, value in environment.items():
            patch.setenv(name, value)
        code = app.run([str(each) for each in arguments])
    return Outcome(code, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # `--demo` chooses its database by this variable: let it end with the test.
    monkeypatch.setenv("SEAWALL_DATABASE__NAME", "")
    monkeypatch.delenv("SEAWALL_DATABASE__NAME")
    # What a password costs is no matter of commands, and each that opens a desk would pay it.
    quick = partial(Argon2Hasher, time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "Argon2Hasher", quick)


@pytest.fixture
def cli(installation: object, capsys: pytest.CaptureFixture[str]) -> Cli:  # noqa: ARG001 - it sets the environment
    """Run commands in this process on a database of the test's own."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = app.run([str(each) for each in arguments])
        return Outcome(code, *capsys.readouterr())

    return run


class Home:
    """A home of its own with the embedded server; commands run in it as programs of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SEAWALL_")}
        self.environment |= {"SEAWALL_HOME": str(folder), "COLUMNS": "200"}
        if chosen := os.environ.get(BIN_DIR):
            self.environment["SEAWALL_DATABASE__BIN_DIR"] = chosen

    def __call__(self, *arguments: object, **variables: str) -> Outcome:
        """Run a command; variables are set for it alone."""
        done = subprocess.run(
            [sys.executable, "-m", "seawall.cli.app", *map(str, arguments)],
            env=self.environment | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def here(self, *arguments: object, **variables: str) -> Outcome:
        """Run a command in this process: for what is the same in any, and far sooner done."""
        return run_here(self.environment | variables, *arguments)

    def remove(self) -> None:
        """Stop the server and remove every file of it."""
        Server(self.folder).stop()
        pointer = self.folder / "postgres.location"
        if pointer.exists():
            shutil.rmtree(pointer.read_text(encoding="utf-8").strip(), ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def home() -> Iterator[Home]:
    """An empty home in the run's folder; its server is stopped at the end, or by the next run."""
    apart = Path(tempfile.mkdtemp(prefix="home-", dir=os.environ[ROOT]))
    # As root the server runs as another user, who has to get in.
    apart.chmod(0o755)
    made = Home(apart / "own home")
    yield made
    made.remove()
    shutil.rmtree(apart)


@dataclass(frozen=True)
class Files:
    """Writes the files that commands take into a folder."""

    folder: Path

    def candles(
        self,
        closes: Sequence[float],
        name: str = "BTCUSD-1d.csv",
        start: datetime = datetime(2024, 1, 1, tzinfo=UTC),
        step: timedelta = timedelta(days=1),
        skip: Sequence[int] = (),
    ) -> Path:
        """Write a CSV of candles with given closes, named by pair and timeframe."""
        lines = ["timestamp,open,high,low,close,volume"]
        for at, close in enumerate(closes):
            if at not in skip:
                time = (start + at * step).strftime("%Y-%m-%d %H:%M:%S")
                lines.append(f"{time},{close},{close + 0.5},{close - 0.5},{close},1")
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def transactions(self, *rows: str, name: str = "transactions.csv") -> Path:
        """Write a CSV of transactions, its header added."""
        path = self.folder / name
        path.write_text("\n".join((TRANSACTIONS, *rows)) + "\n", encoding="utf-8")
        return path


def make_portfolio(cli: Cli, path: Path) -> Mapping[str, Any]:
    """Make a portfolio named Main out of a file; return the import's document."""
    assert cli("portfolio", "create", "Main").code == 0
    done = cli("portfolio", "import", "Main", path, "--json")
    assert done.code == 0, done.out
    found: Mapping[str, Any] = done.document
    return found


@pytest.fixture
def write_candles(tmp_path: Path) -> Callable[..., Path]:
    """Write a CSV of candles with given closes, named by pair and timeframe."""
    return Files(tmp_path).candles


@pytest.fixture
def write_transactions(tmp_path: Path) -> Callable[..., Path]:
    """Write a CSV of transactions, its header added."""
    return Files(tmp_path).transactions


@pytest.fixture
def portfolio(
    cli: Cli, write_transactions: Callable[..., Path]
) -> Callable[..., Mapping[str, Any]]:
    """Make a portfolio named Main out of rows; returns the import's document."""
    return lambda *rows: make_portfolio(cli, write_transactions(*rows))


@dataclass(frozen=True)
class Shared:
    """An installation that the tests of a module share; each leaves it as the others expect it."""

    environment: Mapping[str, str]
    files: Files

    def __call__(self, *arguments: object) -> Outcome:
        """Run a command in this process."""
        return run_here(self.environment, *arguments)

    def portfolio(self, *rows: str) -> Mapping[str, Any]:
        """Make a portfolio named Main out of rows."""
        return make_portfolio(self, self.files.transactions(*rows))


@pytest.fixture(scope="module")
def shared(module_location: Location, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """Run commands in this process on a database of the module's own."""
    environment = {
        "SEAWALL_HOME": str(tmp_path_factory.mktemp("installation") / "home"),
        "SEAWALL_DATABASE__URL": module_location.url,
        "SEAWALL_DATABASE__ADMIN_URL": module_location.admin_url,
    }
    return Shared(environment, Files(tmp_path_factory.mktemp("files")))
