"""Bad price files: a clear error, and nothing that was held is lost."""

import gzip
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import UnavailableError
from seawall.market import ingest as ingest_module
from seawall.market.schemas import ImportResult, ParsedFile

Cli = Callable[..., Any]
HEADER = "timestamp,open,high,low,close,volume"
GOOD = "2024-01-0{day},10,12,9,11,5"


def _rows(cli: Cli) -> int:
    return sum(each["rows"] for each in cli("market", "coverage", "--json").document["series"])


def _file(folder: Path, *rows: str) -> Path:
    path = folder / "BTCUSD-1d.csv"
    path.write_text("\n".join((HEADER, *rows)) + "\n", encoding="utf-8")
    return path


def test_wrong_rows_are_named_and_the_rest_is_taken(cli: Cli, tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        GOOD.format(day=1),
        "2024-01-02,10,8,9,11,5",
        "2024-01-03,-10,12,9,11,5",
        "2024-01-04,10,12,9,nan,5",
        '2024-01-05,"1,000",1200,900,1100,5',
        "2024-01-06,10,12",
        "2024-01-07,10,12,9,11,5",
        "2124-01-08,10,12,9,11,5",
        "never,10,12,9,11,5",
    )
    done = cli("market", "import", path, "--timeframe", "1d")
    assert done.code == 4
    assert "9 rows read: 2 inserted, 0 updated, 0 unchanged, 7 rejected" in done.out
    assert "rejected:" not in done.out
    named = re.findall(r"^  line (\d+) rejected: \S+", done.err, re.MULTILINE)
    assert [int(line) for line in named] == [3, 4, 5, 6, 7, 9, 10]
    assert _rows(cli) == 2


def test_at_most_twenty_rejected_rows_are_shown_and_json_has_all(cli: Cli, tmp_path: Path) -> None:
    bad = [f"2024-02-{day:02},10,8,9,11,5" for day in range(1, 29)]
    path = _file(tmp_path, *(GOOD.format(day=day) for day in (1, 2, 3)), *bad)
    done = cli("market", "import", path)
    assert done.code == 4
    assert done.err.count(" rejected: ") == 20
    assert done.err.endswith("  and 8 more rejected; --json lists them all\n")
    again = cli("market", "import", path, "--json")
    assert again.code == 4
    assert again.err == ""
    rejected = again.document["files"][0]["rejected"]
    assert [each["line"] for each in rejected] == list(range(5, 33))
    assert all(each["reason"] for each in rejected)


def _zip_bomb(folder: Path) -> Path:
    path = folder / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("BTCUSD-1d.csv", bytes(80 << 20))
    return path


def _write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


REFUSED: dict[str, tuple[Callable[[Path], Path], int, str]] = {
    "missing": (lambda folder: folder / "none.csv", 3, "is not there"),
    "below a file": (lambda folder: _write(folder, "a", b"x") / "b.csv", 3, "is not there"),
    "directory": (lambda folder: folder, 4, "is a directory. Name the files inside it."),
    "empty": (lambda folder: _write(folder, "empty.csv", b""), 4, "is empty"),
    "header alone": (lambda f: _write(f, "h.csv", HEADER.encode() + b"\n"), 4, "no rows"),
    "binary": (lambda f: _write(f, "b.csv", bytes(range(256)) * 40), 4, "b.csv"),
    "prose": (lambda f: _write(f, "p.csv", b"dear diary\nit rained\n"), 4, "known format"),
    "torn gzip": (
        lambda f: _write(f, "t.csv.gz", gzip.compress(os.urandom(9_000))[:4_000]),
        4,
        "damaged or truncated",
    ),
    "torn zip": (lambda f: _write(f, "t.zip", b"PK\x03\x04 and no more"), 4, "damaged"),
    "zip bomb": (_zip_bomb, 4, "like a bomb"),
    "torn parquet": (lambda f: _write(f, "t.parquet", b"PAR1" + bytes(99)), 4, "t.parquet"),
    "device": (lambda _: Path("/dev/zero"), 4, "is not an ordinary file"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_bad_file_is_refused_and_named(shared: Cli, tmp_path: Path, kind: str) -> None:
    make, code, said = REFUSED[kind]
    path = make(tmp_path)
    done = shared("market", "import", path)
    assert done.code == code, done
    assert said in done.err
    assert f"{path}: not imported\n" in done.err
    assert "Traceback" not in done.err
    document = shared("market", "import", path, "--json").document
    assert document["files"] == []
    assert document["failed"][0]["path"] == str(path)
    assert _rows(shared) == 0


def test_a_timeframe_that_does_not_match_the_spacing_is_refused(
    shared: Cli, tmp_path: Path
) -> None:
    path = _file(tmp_path, *(GOOD.format(day=day) for day in range(1, 10)))
    done = shared("market", "import", path, "--timeframe", "4h")
    assert done.code == 4
    assert "4h" in done.err
    assert "1d" in done.err
    assert _rows(shared) == 0


def test_a_pair_that_can_be_read_in_two_ways_has_to_be_named(
    cli: Cli, write_candles: Callable[..., Path]
) -> None:
    path = write_candles([1, 2, 3], name="prices.csv")
    done = cli("market", "import", path, "--symbol", "XBUSD")
    assert done.code == 4
    assert "'XBUSD' is ambiguous: it may be X/BUSD or XB/USD" in done.err
    assert cli("market", "import", path, "--symbol", "XB/USD").code == 0


def test_what_was_held_stays_when_a_later_file_is_bad(
    cli: Cli, write_candles: Callable[..., Path]
) -> None:
    path = write_candles([100, 101, 102])
    assert cli("market", "import", path).code == 0
    before = cli("market", "coverage", "--json").document
    for bad in (b"", b"\x00\x01\x02", HEADER.encode()):
        path.write_bytes(bad)
        assert cli("market", "import", path).code == 4
    assert cli("market", "coverage", "--json").document == before


def test_a_name_in_square_brackets_is_only_a_name(
    cli: Cli, write_candles: Callable[..., Path]
) -> None:
    path = write_candles([1, 2, 3], name="[bold][X] BTCUSD-1d.csv")
    done = cli("market", "import", path, "--symbol", "BTC/USD")
    assert done.code == 0, done
    assert done.out.startswith("[bold][X] BTCUSD-1d.csv: ")


def test_files_after_the_database_went_away_are_not_tried_and_say_so(
    cli: Cli, write_candles: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("old BTCUSD-1d.csv", "lost BTCUSD-1d.csv", "new BTCUSD-1d.csv")
    paths = [write_candles([1, 2, 3], name=name) for name in names]
    real = ingest_module.ingest

    async def ingest(session: AsyncSession, parsed: ParsedFile, path: str) -> ImportResult:
        if "lost" in path:
            raise UnavailableError("The database went away.")
        return await real(session, parsed, path)

    monkeypatch.setattr(ingest_module, "ingest", ingest)
    done = cli("market", "import", "missing.csv", *paths, "--json")
    # What is in stays and is told; that the database is gone outweighs a missing file.
    assert done.code == 7
    assert [Path(each["path"]).name for each in done.document["files"]] == [names[0]]
    told = [(Path(each["path"]).name, each["type"]) for each in done.document["failed"]]
    assert told == [
        ("missing.csv", "NotFoundError"),
        (names[1], "UnavailableError"),
        (names[2], "UnavailableError"),
    ]
    assert "Not tried" in done.document["failed"][2]["message"]
    assert _rows(cli) == 3
