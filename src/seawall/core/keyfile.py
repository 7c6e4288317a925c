"""The file that keeps encryption keys: for its owner alone, written in one step, newest first."""

import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from seawall.core.errors import ForbiddenError, InvalidError, SeawallError, UnavailableError

_HEADER = (
    "# Seawall's encryption keys, newest first: an id, and 32 bytes in base64.\n"
    "# Without them nothing that was sealed can be read, backups included: keep a copy elsewhere.\n"
)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_lines(path: Path) -> list[tuple[str, str]]:
    """Return ids and keys as they stand in the file; nothing when there is no file.

    Raises:
        ForbiddenError: others may read it.
        InvalidError: it is there and holds no key, or something else as well.
        UnavailableError: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & _OTHERS:
                raise _open_to_others(path, mode)
            numbered = [(at, line.strip()) for at, line in enumerate(file, start=1)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreachable(path, error) from error
    written = [(at, line.split()) for at, line in numbered if line and not line.startswith("#")]
    for at, words in written:
        if len(words) != len(("id", "key")):
            raise damaged(path, f"line {at} is not an id and a key")
    if not written:
        raise damaged(path, "it holds no key")
    return [(words[0], words[1]) for _, words in written]


def write_lines(path: Path, lines: Sequence[tuple[str, str]]) -> None:
    """Replace the file in one step, with mode 0600, and onto the disk before anything uses it.

    Raises:
        UnavailableError: it cannot be written.
    """
    unfinished = path.with_name(path.name + ".new")
    try:
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_HEADER + "".join(f"{name} {key}\n" for name, key in lines))
            file.flush()
            os.fsync(descriptor)
        unfinished.rename(path)
        # A secret may be committed right after: the name has to outlast a loss of power too.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise _unreachable(path, error) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time change the file; its folder is made when it is not there."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unreachable(path, error) from error
    with os.fdopen(descriptor) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def damaged(path: Path, what: str) -> InvalidError:
    """Return the error of a file that is there and cannot be used."""
    return InvalidError(
        f"The encryption keys in {path} cannot be used: {what}.",
        hint="Bring the file back from a backup; nothing in the database was touched.",
    )


def _open_to_others(path: Path, mode: int) -> ForbiddenError:
    return ForbiddenError(
        f"The encryption keys in {path} can be reached by others: its mode is {mode:04o}.",
        hint=f"Run `chmod 600 '{path}'`. If somebody may have read it, run `seawall keys rotate`.",
    )


def _unreachable(path: Path, error: OSError) -> SeawallError:
    return UnavailableError(
        f"The encryption keys in {path} cannot be reached: {error.strerror}.",
        hint="Make the file and its folder writable for the user who runs Seawall, or name another"
        " with SEAWALL_ENCRYPTION__KEY_FILE.",
    )
