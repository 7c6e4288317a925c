"""Why the embedded server failed, read from what it wrote, and what can be done about it."""

import errno
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from seawall.core.errors import UnavailableError

LINES_SHOWN = 8
DISK_NEEDED = 1 << 20
LEFTOVERS = re.compile(r"pre-existing shared memory block")
"""What a starting server says while processes of a killed one still hold its memory."""

_TELLING = re.compile(
    r"\b(FATAL|PANIC|ERROR|WARNING|HINT|DETAIL):|error:|fatal:|could not|cannot|parameter|invalid"
)
_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \w+ \[\d+\] ")


@dataclass(frozen=True, slots=True)
class Cause:
    """A known reason: the words that give it away, what it is and what to do."""

    pattern: re.Pattern[str]
    what: str
    hint: str


PORT_IN_USE = "TCP port {port} on 127.0.0.1 is in use."
PORT_HINT = "End the program that listens there, or choose another port, or none."
DISK_FULL = "The disk of {folder} has no space left."
DISK_HINT = "Free some space there, then try again; what was stored is intact."
DENIED = "Permission to a file or folder of the cluster in {folder} was denied."
DENIED_HINT = "Run Seawall as the user who made this home, or use another SEAWALL_HOME."

# The order matters: shared memory also complains of "No space left on device".
_CAUSES = tuple(
    Cause(re.compile(pattern, re.IGNORECASE), what, hint)
    for pattern, what, hint in (
        (
            LEFTOVERS.pattern,
            "Processes of a server that was killed are still at work in {folder}.",
            "Wait until they end, or end them, then try again.",
        ),
        (
            r"could not \w+ (anonymous )?shared memory|could not create semaphores",
            "The system gave the server no shared memory.",
            "Free memory, or allow the container more of it (docker run --memory, --shm-size).",
        ),
        (r"address already in use", PORT_IN_USE, PORT_HINT),
        (r"no space left on device|disk quota exceeded", DISK_FULL, DISK_HINT),
        (
            r"socket path .* too long|AF_UNIX path too long",
            "The path of the server's socket is too long for this system.",
            "Leave unix_socket_directories to Seawall, or use a shorter folder.",
        ),
        (
            r"database files are incompatible|initialized by PostgreSQL version",
            "The cluster in {folder} was made by another version of PostgreSQL.",
            "Start it with the version it was made by.",
        ),
        (
            r"configuration parameter|value for parameter|contains errors|outside the valid range",
            "The server refused one of its settings.",
            "Correct the setting that the server names.",
        ),
        (
            r"could not access file \"\$?\w*/?timescaledb",
            "The TimescaleDB that the server should load is not complete.",
            "Install TimescaleDB for this PostgreSQL again, or choose another bin folder.",
        ),
        (r"read-only file system", "The file system of {folder} is read-only.", DENIED_HINT),
        (
            r"permission denied|wrong ownership|invalid permissions|not permitted",
            DENIED,
            DENIED_HINT,
        ),
    )
)


def explain(
    doing: str, output: str, folder: Path, *, port: int | None = None, log: Path | None = None
) -> UnavailableError:
    """Say why a program of PostgreSQL failed, from its last words."""
    lines = telling_lines(output)
    if not lines and shutil.disk_usage(folder).free < DISK_NEEDED:
        output = "No space left on device"  # Not even for the words that would say so.
    cause = next((known for known in _CAUSES if known.pattern.search(output)), None)
    where = f"See {log}." if log else ""
    what = cause.what.format(folder=folder, port=port) if cause else ""
    said = "It said: " + " / ".join(lines) if lines else "It said nothing."
    return UnavailableError(
        " ".join(part for part in (f"PostgreSQL could not {doing}.", what, said) if part),
        hint=(cause.hint if cause else where) or "Run `seawall doctor`.",
        details={"folder": str(folder), "output": lines, "log": str(log) if log else None},
    )


def telling_lines(output: str) -> list[str]:
    """Return the last lines that say something about a failure, without their time stamps."""
    lines = [_PREFIX.sub("", line).strip() for line in output.splitlines() if line.strip()]
    return ([line for line in lines if _TELLING.search(line)] or lines)[-LINES_SHOWN:]


def explain_os_error(error: OSError, home: Path) -> UnavailableError:
    """Say why the system refused a file operation of the driver."""
    folder = error.filename or home
    said = f"{folder}: {error.strerror or error}."
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            message, hint = DISK_FULL.format(folder=folder), DISK_HINT
        case errno.EACCES | errno.EPERM | errno.EROFS:
            message, hint = DENIED.format(folder=home) + f" {said}", DENIED_HINT
        case _:
            message, hint = f"The embedded database in {home} cannot be used. {said}", ""
    return UnavailableError(message, hint=hint or "Run `seawall doctor`.")
