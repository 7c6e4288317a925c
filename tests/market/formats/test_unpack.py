"""Files on disk and their wrappings, whole, broken and hostile."""

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from seawall.core.errors import InvalidError, NotFoundError
from seawall.market.formats import unpack
from seawall.market.formats.base import ParseHints
from seawall.market.formats.parse import parse_file
from seawall.market.schemas import ParsedFile

Parse = Callable[..., ParsedFile]
ParseAll = Callable[..., list[ParsedFile]]

CSV = "date,open,high,low,close\n2024-01-01,1,2,1,2\n2024-01-02,1,2,1,2\n"
HINTS = ParseHints(now=datetime(2026, 1, 1, tzinfo=UTC))


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def test_gzip_by_its_content(parse: Parse) -> None:
    parsed = parse("BTCUSD-1d.csv", gzip.compress(CSV.encode()))
    assert (parsed.symbol, len(parsed.records)) == ("BTC/USD", 2)
    assert parse("BTCUSD-1d.csv.gz", CSV).symbol == "BTC/USD"


def test_gzip_of_several_parts(parse: Parse) -> None:
    head, tail = CSV.encode()[:40], CSV.encode()[40:]
    assert parse("BTCUSD.csv.gz", gzip.compress(head) + gzip.compress(tail)).rows_read == 2


def test_zip_with_several_members(parse_all: ParseAll) -> None:
    members = {
        "data/": b"",
        "data/BTCUSD-1d.csv": CSV.encode(),
        "data/ETHUSD-1d.csv.gz": gzip.compress(CSV.encode()),
        "__MACOSX/data/._BTCUSD-1d.csv": b"\0\0",
        "data/.DS_Store": b"\0\0",
    }
    first, second = parse_all("all.zip", zipped(members))
    assert (first.symbol, first.notes) == ("BTC/USD", ("from BTCUSD-1d.csv",))
    assert (second.symbol, second.notes) == ("ETH/USD", ("from ETHUSD-1d.csv.gz",))


def test_the_outer_name_helps_where_the_inner_does_not(parse: Parse) -> None:
    parsed = parse("BTCUSD-kraken-1d.zip", zipped({"data.csv": CSV.encode()}))
    assert (parsed.symbol, parsed.exchange) == ("BTC/USD", "kraken")


def test_one_bad_member_refuses_the_whole_zip(parse_all: ParseAll) -> None:
    packed = zipped({"BTCUSD.csv": CSV.encode(), "ETHUSD.csv": b"hello"})
    with pytest.raises(InvalidError, match=r"all\.zip: ETHUSD\.csv is not of a known format"):
        parse_all("all.zip", packed)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.csv is not there"):
        parse_file(tmp_path / "none.csv", hints=HINTS)
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotFoundError):
        parse_file(tmp_path / "file" / "under", hints=HINTS)


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="is a directory"):
        parse_file(tmp_path, hints=HINTS)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidError, match="is not an ordinary file"):
        parse_file(tmp_path / "pipe", hints=HINTS)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_a_name_that_no_file_can_have(name: str) -> None:
    with pytest.raises(InvalidError, match="cannot be read"):
        parse_file(Path(name), hints=HINTS)


@pytest.mark.parametrize(
    "content", [b"", gzip.compress(b""), zipped({"a.csv": b""})], ids=["plain", "gzip", "zip"]
)
def test_empty(parse: Parse, content: bytes) -> None:
    with pytest.raises(InvalidError, match="is empty"):
        parse("BTCUSD.csv", content)


def test_a_zip_without_files(parse: Parse) -> None:
    with pytest.raises(InvalidError, match="holds no file"):
        parse("BTCUSD.zip", zipped({}))


def packed_big(kind: str) -> bytes:
    content = CSV.encode() + os.urandom(2000).hex().encode()
    return gzip.compress(content) if kind == "gzip" else zipped({"BTCUSD.csv": content})


@pytest.mark.parametrize("kind", ["gzip", "zip"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated(parse: Parse, kind: str, share: float) -> None:
    packed = packed_big(kind)
    with pytest.raises(InvalidError, match=r"BTCUSD\.csv is damaged or truncated"):
        parse("BTCUSD.csv", packed[: int(len(packed) * share)])


@pytest.mark.parametrize("kind", ["gzip", "zip"])
def test_a_flipped_bit_is_noticed(parse: Parse, kind: str) -> None:
    packed = bytearray(packed_big(kind))
    packed[len(packed) // 2] ^= 1
    with pytest.raises(InvalidError, match="is damaged or truncated"):
        parse("BTCUSD.csv", bytes(packed))


def test_an_encrypted_zip(parse: Parse) -> None:
    packed = bytearray(zipped({"BTCUSD.csv": CSV.encode()}))
    packed[6] |= 1
    packed[packed.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(InvalidError, match=r"BTCUSD\.csv is encrypted"):
        parse("BTCUSD.zip", bytes(packed))


@pytest.mark.parametrize(
    "name", ["../BTCUSD.csv", "/etc/passwd", "a/../../b.csv", "..\\b.csv", "C:\\b.csv", "C:b.csv"]
)
def test_a_member_that_points_outside(parse: Parse, name: str) -> None:
    with pytest.raises(InvalidError, match="points outside it"):
        parse("BTCUSD.zip", zipped({name: CSV.encode()}))


def test_a_compression_other_than_deflate(parse: Parse) -> None:
    with pytest.raises(InvalidError, match="is compressed with method 14, not deflate"):
        parse("BTCUSD.zip", zipped({"BTCUSD.csv": CSV.encode()}, zipfile.ZIP_LZMA))


def bomb(kind: str, megabytes: int) -> bytes:
    block, packed = b"0" * (1 << 20), io.BytesIO()
    if kind == "gzip":
        with gzip.GzipFile(fileobj=packed, mode="wb") as stream:
            for _ in range(megabytes):
                stream.write(block)
    else:
        with (
            zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("bomb.csv", "w") as stream,
        ):
            for _ in range(megabytes):
                stream.write(block)
    return packed.getvalue()


@pytest.mark.parametrize("kind", ["gzip", "zip"])
def test_a_bomb_is_stopped_as_it_goes_off(parse: Parse, kind: str) -> None:
    with pytest.raises(InvalidError, match="unpacks to more than 65 MiB"):
        parse("BTCUSD.csv", bomb(kind, 80))


def test_many_small_bombs_count_as_one(parse_all: ParseAll) -> None:
    inner = gzip.compress(CSV.encode() + b"\n" * (40 << 20))
    with pytest.raises(InvalidError, match="like a bomb"):
        parse_all("all.zip", zipped({"BTCUSD.csv.gz": inner, "ETHUSD.csv.gz": inner}))


def test_a_limit_that_holds_whatever_the_ratio(
    parse: Parse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "LIMIT", 1000)
    with pytest.raises(InvalidError, match="like a bomb"):
        parse("BTCUSD.csv", zipped({"a.csv": CSV.encode() * 20}))
    with pytest.raises(InvalidError, match="is larger than"):
        parse("BTCUSD.csv", CSV * 20)


def test_wrapped_too_often(parse: Parse) -> None:
    packed = CSV.encode()
    for _ in range(3):
        packed = gzip.compress(packed)
    assert parse("BTCUSD.csv", packed).rows_read == 2
    with pytest.raises(InvalidError, match="packed more than 3 times over"):
        parse("BTCUSD.csv", gzip.compress(packed))


def test_too_many_members(parse_all: ParseAll, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MEMBERS", 2)
    with pytest.raises(InvalidError, match="holds 3 files, over 2"):
        parse_all("all.zip", zipped({name: CSV.encode() for name in "abc"}))
