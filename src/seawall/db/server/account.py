"""The account that PostgreSQL runs as: the caller's own or, for root, one without privileges."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from seawall.core.errors import UnavailableError
from seawall.db.server.failures import explain

# The server outlives its starter: it must inherit neither secrets nor a language or PG* variables.
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
_REPLACE_FILE = 'cat > "$1.new" && mv -f "$1.new" "$1"'


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the system; whatever lies in the cluster's folder is written as this user."""

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Whether this is not the caller, who then must be root."""
        return self.uid != os.geteuid()

    def attempt(
        self, *command: str | Path, text: str | None = None, output: IO[bytes] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a session of its own; its output goes to `output`, or is returned."""
        return subprocess.run(  # noqa: S603 - the commands are the driver's own
            [str(part) for part in command],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            stdout=output or subprocess.PIPE,
            stderr=output or subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
            cwd="/",
            env={"LC_ALL": "C"} | {k: os.environ[k] for k in _KEPT_VARIABLES if k in os.environ},
            start_new_session=True,
            umask=0o077,
            user=self.uid if self.is_other else None,
            group=self.gid if self.is_other else None,
            extra_groups=[] if self.is_other else None,
        )

    def run(self, doing: str, folder: Path, command: Sequence[str | Path], text: str = "") -> None:
        """Run a command that must succeed.

        Raises:
            UnavailableError: it did not; its last words say why.
        """
        result = self.attempt(*command, text=text)
        if result.returncode != 0:
            raise explain(doing, result.stdout, folder)

    def write(self, path: Path, text: str) -> None:
        """Replace a file in one step, readable by this account alone."""
        doing = f"write {path.name}"
        self.run(doing, path.parent, ["/bin/sh", "-c", _REPLACE_FILE, "sh", path], text)

    def can_reach(self, path: Path) -> bool:
        """Whether this account may enter a folder, or execute a file."""
        return self.attempt("/bin/sh", "-c", 'test -x "$1"', "sh", path).returncode == 0


def own_account() -> Account:
    """Return the caller's account."""
    return Account("", os.geteuid(), os.getegid())


def server_account(cluster: Path | None) -> Account:
    """Choose who runs the server: for root, the cluster's owner, else postgres, else nobody.

    Raises:
        UnavailableError: the caller is root, and the system has no account to drop to.
    """
    if os.geteuid() != 0:
        return own_account()
    if cluster is not None and (owner := cluster.stat()).st_uid != 0:
        return Account(f"user {owner.st_uid}", owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise UnavailableError(
        "PostgreSQL refuses to run as root, and there is no user to run it as.",
        hint="Create one (useradd --system postgres), or run Seawall as an ordinary user.",
    )
