"""PostgreSQL's own words are turned into a cause and something to do."""

import errno
from pathlib import Path

import pytest

from seawall.db.server.failures import LINES_SHOWN, explain, explain_os_error, telling_lines

FOLDER = Path("/")


@pytest.mark.parametrize(
    ("said", "cause", "hint"),
    [
        (
            (
                'could not bind IPv4 address "127.0.0.1": Address already in use\n'
                "FATAL:  could not create any TCP/IP sockets"
            ),
            "TCP port 5555 on 127.0.0.1 is in use",
            "another port",
        ),
        (
            'FATAL:  could not write lock file "postmaster.pid": No space left on device',
            "no space left",
            "Free some space",
        ),
        (
            "FATAL:  could not create shared memory segment: No space left on device",
            "no shared memory",
            "memory",
        ),
        (
            "FATAL:  could not map anonymous shared memory: Cannot allocate memory",
            "no shared memory",
            "memory",
        ),
        (
            (
                "FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use\n"
                "HINT:  Terminate any old server processes"
            ),
            "still at work",
            "Wait",
        ),
        (
            'FATAL:  Unix-domain socket path "/x/.s.PGSQL.5432" is too long (maximum 107 bytes)',
            "too long",
            "shorter",
        ),
        (
            (
                "FATAL:  database files are incompatible with server\n"
                "DETAIL:  The data directory was initialized by PostgreSQL version 14, which is not"
                " compatible with this version 15.18."
            ),
            "another version",
            "version it was made by",
        ),
        (
            (
                'LOG:  unrecognized configuration parameter "x"\n'
                'FATAL:  configuration file "seawall.conf" contains errors'
            ),
            "refused one of its settings",
            "Correct",
        ),
        (
            'FATAL:  data directory "/x" has wrong ownership',
            "Permission",
            "user who made",
        ),
        (
            'initdb: error: could not access directory "/x": Permission denied',
            "Permission",
            "user who made",
        ),
        (
            'FATAL:  could not access file "timescaledb": No such file or directory',
            "TimescaleDB",
            "Install",
        ),
    ],
)
def test_known_failures_have_a_cause_and_a_hint(said: str, cause: str, hint: str) -> None:
    told = explain("start", said, FOLDER, port=5555)
    assert cause in told.message
    assert hint in told.hint
    assert said.splitlines()[-1] in told.message


def test_an_unknown_failure_shows_the_words_and_where_the_rest_is() -> None:
    told = explain("start", "FATAL:  something odd", FOLDER, log=Path("/home/logs/postgres.log"))
    assert "something odd" in told.message
    assert "/home/logs/postgres.log" in told.hint


def test_silence_is_told_too() -> None:
    assert "It said nothing." in explain("start", "\n", FOLDER).message


def test_the_last_lines_that_tell_something_are_shown_without_times() -> None:
    noise = "2026-01-01 00:00:00.000 UTC [1] LOG:  starting PostgreSQL\n"
    fatal = "2026-01-01 00:00:00.000 UTC [1] FATAL:  it is over\n"
    assert telling_lines(noise * 50 + fatal + noise) == ["FATAL:  it is over"]
    assert telling_lines(noise) == ["LOG:  starting PostgreSQL"]
    assert len(telling_lines(fatal * 50)) == LINES_SHOWN


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EACCES, "Permission"),
        (errno.EROFS, "Permission"),
        (errno.EIO, "cannot be used"),
    ],
)
def test_refusals_of_the_system_are_told_with_the_path(code: int, message: str) -> None:
    told = explain_os_error(OSError(code, "so it says", "/the/path"), Path("/home"))
    assert message in told.message
    assert "/the/path" in told.message
    assert told.hint
