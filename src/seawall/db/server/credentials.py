"""The passwords of the embedded server's roles, kept in the home for its owner alone."""

import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from seawall.core.errors import UnavailableError

ADMIN_USER = "seawall_admin"
APP_USER = "seawall_app"
PASSWORD_BYTES = 32
SCRAM_ITERATIONS = 4096


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the embedded server: by the socket in a folder, whose name ends in the port."""

    socket_dir: Path
    port: int
    admin_password: str = field(repr=False)
    app_password: str = field(repr=False)
    admin_user: str = ADMIN_USER
    app_user: str = APP_USER

    def url(self, database: str, *, as_admin: bool = False) -> str:
        """Write the address of a database as libpq and asyncpg read it; it holds the password."""
        user = self.admin_user if as_admin else self.app_user
        password = self.admin_password if as_admin else self.app_password
        host = quote(str(self.socket_dir), safe="/")
        login = f"{user}:{quote(password, safe='')}"
        return f"postgresql://{login}@/{quote(database, safe='')}?host={host}&port={self.port}"


def scram_verifier(password: str) -> str:
    """Write what a server checks a password with, from which nobody gets the password back.

    Source: RFC 5802, section 3, in the form of PostgreSQL's pg_authid. The password is ASCII.
    """
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, SCRAM_ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    parts = (salt, hashlib.sha256(client_key).digest(), server_key)
    shown_salt, stored, server = (base64.b64encode(part).decode() for part in parts)
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{shown_salt}${stored}:{server}"


def password_file(home: Path, user: str) -> Path:
    """Return where a role's password is kept."""
    return home / "secrets" / user


def make_passwords(home: Path) -> None:
    """Make the passwords that are not there yet, each in a file of mode 0600."""
    (home / "secrets").mkdir(mode=0o700, exist_ok=True)
    for user in (ADMIN_USER, APP_USER):
        path = password_file(home, user)
        if not path.exists():
            write_private(path, secrets.token_urlsafe(PASSWORD_BYTES))


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 in one step, and onto the disk."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(descriptor)
    unfinished.rename(path)


def read_password(home: Path, user: str) -> str:
    """Return a role's password.

    Raises:
        UnavailableError: its file is gone.
    """
    path = password_file(home, user)
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise UnavailableError(
            f"The password of {user} is gone: no file {path}.",
            hint="Bring the file back from a backup of the home.",
        ) from None
