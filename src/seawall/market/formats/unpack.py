"""Files as they are found on disk, out of their gzip and zip wrappings, within bounds."""

import gzip
import io
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from seawall.core.errors import ForbiddenError, InvalidError, NotFoundError
from seawall.market.formats.base import Content

LIMIT = 2 << 30
"""Bytes that one file may hold in all, unpacked."""
FREE = 64 << 20
"""Bytes up to which the ratio of unpacked to packed does not matter."""
RATIO = 200
DEPTH = 3
MEMBERS = 10_000
_CHUNK = 1 << 20
_DAMAGED = (zipfile.BadZipFile, EOFError, zlib.error, OSError, ValueError, NotImplementedError)


class _Budget:
    """Counts what has been unpacked of one file, so that a bomb is noticed as it goes off."""

    def __init__(self, packed: int) -> None:
        self._packed = packed
        self._unpacked = 0

    def spend(self, count: int, label: str) -> None:
        self._unpacked += count
        if self._unpacked > LIMIT or self._unpacked > max(FREE, RATIO * self._packed):
            raise InvalidError(
                f"{label} unpacks to more than {self._unpacked >> 20} MiB from"
                f" {self._packed:,} bytes, like a bomb.",
                hint="Unpack it yourself if you trust it, and import the files inside.",
            )


def contents(path: Path) -> Iterator[Content]:
    """Yield the file, or each file inside when it is a gzip or zip, one at a time.

    Raises:
        NotFoundError: there is no such file.
        ForbiddenError: it may not be read.
        InvalidError: it is no ordinary file, empty, damaged, encrypted, hostile or too large.
    """
    data = _read(path)
    yield from _unpack(Content((path.name,), data), _Budget(len(data)), DEPTH)


def _read(path: Path) -> bytes:
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise InvalidError(f"{path} is a directory.", hint="Name the files inside it.")
        if not stat.S_ISREG(found.st_mode):
            raise InvalidError(f"{path} is not an ordinary file.")
        if found.st_size > LIMIT:
            raise InvalidError(
                f"{path} is larger than {LIMIT >> 30} GiB.", hint="Split it into several files."
            )
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"{path} is not there.") from None
    except PermissionError:
        raise ForbiddenError(f"{path} may not be read.") from None
    except (OSError, ValueError) as error:
        raise InvalidError(f"{str(path)!r} cannot be read: {error}.") from error
    if not data:
        raise InvalidError(f"{path} is empty.")
    return data


def _unpack(content: Content, budget: _Budget, depth: int) -> Iterator[Content]:
    opener = _opener(content.data)
    if opener is None:
        yield content
        return
    if depth == 0:
        raise InvalidError(f"{content.label} is packed more than {DEPTH} times over.")
    try:
        for inner in opener(content, budget):
            if not inner.data:
                raise InvalidError(f"{inner.label} is empty.")
            yield from _unpack(inner, budget, depth - 1)
    except _DAMAGED as error:
        raise InvalidError(
            f"{content.label} is damaged or truncated: {error}.", hint="Fetch it again."
        ) from error


def _opener(data: bytes) -> Callable[[Content, _Budget], Iterator[Content]] | None:
    if data.startswith(b"\x1f\x8b"):
        return _gunzip
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _unzip
    return None


def _gunzip(content: Content, budget: _Budget) -> Iterator[Content]:
    with gzip.GzipFile(fileobj=io.BytesIO(content.data)) as stream:
        yield Content(content.names, _drain(stream, budget, content.label))


def _unzip(content: Content, budget: _Budget) -> Iterator[Content]:
    with zipfile.ZipFile(io.BytesIO(content.data)) as archive:
        infos = [info for info in archive.infolist() if _is_wanted(info)]
        if not infos:
            raise InvalidError(f"{content.label} holds no file.")
        if len(infos) > MEMBERS:
            raise InvalidError(f"{content.label} holds {len(infos):,} files, over {MEMBERS:,}.")
        for info in infos:
            _check_member(info, content.label)
        for info in infos:
            names = (PurePosixPath(info.filename).name, *content.names)
            with archive.open(info) as stream:
                yield Content(names, _drain(stream, budget, content.label))


def _is_wanted(info: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(info.filename)
    return not info.is_dir() and path.parts[:1] != ("__MACOSX",) and path.name != ".DS_Store"


def _check_member(info: zipfile.ZipInfo, label: str) -> None:
    name = info.filename
    windows = PureWindowsPath(name)
    if windows.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise InvalidError(f"{label} holds a file that points outside it: {name!r}.")
    if info.flag_bits & 0x1:
        raise InvalidError(f"{label}: {name} is encrypted.", hint="Unpack it with its password.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InvalidError(
            f"{label}: {name} is compressed with method {info.compress_type}, not deflate.",
            hint="Unpack it yourself, and import the files inside.",
        )


def _drain(stream: IO[bytes] | gzip.GzipFile, budget: _Budget, label: str) -> bytes:
    chunks = []
    while chunk := stream.read(_CHUNK):
        budget.spend(len(chunk), label)
        chunks.append(chunk)
    return b"".join(chunks)
