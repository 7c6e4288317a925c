"""Copies of a bin folder for the account of the server, when it cannot reach the original."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from seawall.core.errors import UnavailableError
from seawall.db.server.account import Account
from seawall.db.server.binaries import INSTALL_HINT, Binaries

SHARED_FOLDER = Path("/var/lib/seawall")
"""Where root keeps what the server's account must reach; only root ever uses it."""
READABLE, EXECUTABLE = 0o444, 0o111


def make_shared_folder() -> Path:
    """Make the folder that every account may pass through."""
    with contextlib.suppress(FileExistsError):
        SHARED_FOLDER.mkdir(mode=0o755, parents=True)
        SHARED_FOLDER.chmod(0o755)  # The caller's umask may have taken bits away.
    return SHARED_FOLDER


def within_reach(binaries: Binaries, account: Account) -> Binaries:
    """Return binaries that the account can execute: these, or a copy that is made once.

    Raises:
        UnavailableError: it cannot, and they are not in one folder that could be copied.
    """
    if not account.is_other or account.can_reach(binaries.folder / "postgres"):
        return binaries
    prefix = binaries.folder.parent
    if not binaries.share.is_relative_to(prefix):
        raise UnavailableError(
            f"The server runs as {account.name}, who cannot reach {binaries.folder}.",
            hint=INSTALL_HINT,
        )
    copy = _copy_once(prefix, binaries.version_text)
    share = copy / binaries.share.relative_to(prefix)
    return replace(binaries, folder=copy / binaries.folder.name, share=share)


def _copy_once(prefix: Path, version: str) -> Path:
    """Copy an installation, and a wheel's libraries beside it, keeping their relative places."""
    libraries = prefix.parent.parent / f"{prefix.parent.name}.libs"
    sources = [prefix, *([libraries] if libraries.is_dir() else [])]
    copy = make_shared_folder() / f"binaries-{version}-{_fingerprint(sources)}"
    copied_prefix = copy / prefix.parent.name / prefix.name
    if copy.is_dir():
        return copied_prefix
    with tempfile.TemporaryDirectory(dir=SHARED_FOLDER, prefix="copying-") as folder:
        unfinished = Path(folder) / "copy"
        for source in sources:
            shutil.copytree(source, unfinished / source.relative_to(prefix.parent.parent))
        _open_to_all(unfinished)
        with contextlib.suppress(FileExistsError, OSError):
            unfinished.rename(copy)
    return copied_prefix


def _open_to_all(copy: Path) -> None:
    """Let every account read the copy, and execute what its owner could."""
    for folder, _, files in os.walk(copy):
        Path(folder).chmod(0o755)
        for path in (Path(folder) / name for name in files):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(0o755 if mode & EXECUTABLE else 0o644)


def _fingerprint(sources: list[Path]) -> str:
    """Digest the names and sizes of an installation's files, to tell a changed one."""
    digest = hashlib.sha256()
    for source in sources:
        for folder, folders, files in os.walk(source):
            folders.sort()
            for path in (Path(folder) / name for name in sorted(files)):
                digest.update(f"{path.relative_to(source)} {path.lstat().st_size}\n".encode())
    return digest.hexdigest()[:12]
