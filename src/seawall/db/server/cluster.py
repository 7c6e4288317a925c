"""Where a home's cluster lies on the disk, and how it comes to be."""

import hashlib
import os
import re
import secrets
import tempfile
from pathlib import Path

from seawall.core.errors import ConflictError, UnavailableError
from seawall.db.server.account import Account, server_account
from seawall.db.server.binaries import Binaries
from seawall.db.server.configuration import SETTINGS_FILE
from seawall.db.server.credentials import ADMIN_USER, write_private
from seawall.db.server.failures import explain
from seawall.db.server.relocate import make_shared_folder

POINTER = "postgres.location"
"""In a home: names the cluster's folder when that lies outside of the home."""
BACK_REFERENCE = "home"
"""In such a folder: names the home; a folder whose home does not point to it is an orphan."""
INITDB_OPTIONS = (
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--data-checksums",
    "--no-sync",
)

_LONGEST_FOLDER = 107 - len("/.s.PGSQL.65535.lock")
_PLAIN_PATH = re.compile(r"[\w/.+-]+", re.ASCII)


def find_cluster(home: Path) -> Path | None:
    """Return the folder of the home's cluster; None when it has none yet.

    Raises:
        UnavailableError: the folder that the home points to is gone.
        ConflictError: the home is a copy, and the folder belongs to the original.
    """
    pointer = home / POINTER
    if not pointer.exists():
        inside = home / "postgres"
        return inside if inside.is_dir() else None
    folder = Path(pointer.read_text(encoding="utf-8").strip())
    if not folder.is_dir():
        raise UnavailableError(
            f"The database of {home} lay in {folder}, which is gone.",
            hint=f"Bring the folder back; or, to start with an empty database, remove {pointer}.",
        )
    _check_back_reference(home, folder)
    return folder


def _check_back_reference(home: Path, folder: Path) -> None:
    """Make sure that a cluster outside is this home's; follow a home that was moved."""
    named = Path((folder / BACK_REFERENCE).read_text(encoding="utf-8").strip())
    if named == home:
        return
    pointer = named / POINTER
    if pointer.exists() and Path(pointer.read_text(encoding="utf-8").strip()) == folder:
        raise ConflictError(
            f"{home} is a copy of {named}, whose database lies in {folder}.",
            hint=f"Use {named}; or, to start with an empty database, remove {home / POINTER}.",
        )
    server_account(folder).write(folder / BACK_REFERENCE, f"{home}\n")


def make_cluster(home: Path) -> Path:
    """Return a folder for a new cluster: in the home if the server's account can reach it.

    Only this folder is ever given to another owner.
    """
    account = server_account(None)
    if account.is_other and not account.can_reach(home):
        return _make_outside(home, account)
    return _new_folder(home, account).rename(home / "postgres")


def _make_outside(home: Path, account: Account) -> Path:
    folder = _new_folder(make_shared_folder(), account)
    account.write(folder / BACK_REFERENCE, f"{home}\n")
    write_private(home / POINTER, str(folder))
    return folder


def _new_folder(parent: Path, account: Account) -> Path:
    """Make a folder of mode 0700 with a random name for the server's account."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=parent))
    if account.is_other:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    return folder


def data_folder(cluster: Path) -> Path:
    """Return what PostgreSQL calls PGDATA; it is there only when initdb was finished."""
    return cluster / "data"


def data_major(cluster: Path) -> int | None:
    """Return the version that the cluster is bound to; None before initdb.

    Raises:
        UnavailableError: there is a data folder that is not PostgreSQL's.
    """
    data = data_folder(cluster)
    if not data.is_dir():
        return None
    version = data / "PG_VERSION"
    text = version.read_text(encoding="utf-8").strip() if version.is_file() else ""
    if not text.isdecimal():
        raise UnavailableError(
            f"{data} is not the data folder of a cluster: PG_VERSION is missing or damaged.",
            hint="Bring the folder back from a backup; or move it away for an empty database.",
        )
    return int(text)


def initialise(
    cluster: Path, binaries: Binaries, account: Account, password: str, *, sync: bool
) -> None:
    """Run initdb beside the data folder's place and move the result there when it is whole.

    With `sync`, the result is on the disk before it counts.
    """
    staging = cluster / f"new-{secrets.token_hex(4)}"
    doing = "make a new cluster"
    account.run(doing, cluster, ["mkdir", staging])
    data, password_file = staging / "data", staging / "password"
    initdb = [str(binaries.folder / "initdb"), f"--pgdata={data}"]
    login = [f"--username={ADMIN_USER}", f"--pwfile={password_file}"]
    try:
        account.write(password_file, f"{password}\n")
        account.run(doing, cluster, [*initdb, *login, *INITDB_OPTIONS])
        settings = data / "postgresql.conf"
        text = settings.read_text(encoding="utf-8")
        account.write(settings, f"{text}\ninclude '{SETTINGS_FILE}'\n")
        if sync:
            account.run(doing, cluster, [*initdb, "--sync-only"])
        account.run(doing, cluster, ["mv", data, data_folder(cluster)])
    finally:
        account.attempt("rm", "-rf", staging)
    _sync(cluster)


def clear_leftovers(cluster: Path, account: Account) -> None:
    """Remove what a killed initdb left behind."""
    for leftover in cluster.glob("new-*"):
        account.attempt("rm", "-rf", leftover)


def _sync(folder: Path) -> None:
    """Put a folder's list of names onto the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def runtime_folder(cluster: Path, account: Account) -> Path:
    """Return where the server's socket lies: in the cluster's folder, if such a path can do.

    A path of 108 bytes is too long for a socket, and a comma or a space would need quoting in
    every address; then it is a folder in /tmp.
    """
    inside = cluster / "run"
    if len(os.fsencode(inside)) <= _LONGEST_FOLDER and _PLAIN_PATH.fullmatch(str(inside)):
        return inside
    digest = hashlib.sha256(os.fsencode(cluster)).hexdigest()[:12]
    return Path("/tmp") / f"seawall-{account.uid}-{digest}"  # noqa: S108 - checked when it is made


def make_runtime_folder(folder: Path, account: Account) -> None:
    """Make the socket's folder anew, for the account alone; no server may be using it.

    Raises:
        UnavailableError: it cannot be made; in /tmp, another user may have been there first.
    """
    account.attempt("rm", "-rf", folder)
    made = account.attempt("mkdir", folder)
    if made.returncode != 0:
        if os.path.lexists(folder):
            raise UnavailableError(
                f"{folder} is needed for the server's socket, but belongs to another user.",
                hint="Have it removed, then try again.",
            )
        raise explain("make the folder of its socket", made.stdout, folder)
