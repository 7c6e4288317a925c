"""Delimited text: what its bytes must be, its separator, and its first rows."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from seawall.core.errors import InvalidError
from seawall.market.formats.base import Content, Sample

SEPARATORS = ",;\t"
_SAMPLE_BYTES = 1 << 16
_QUOTED = re.compile(r'"[^"]*"')
_WIDE_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Row = tuple[int, list[str]]
"""The line on which a row begins, from 1, and its fields."""


@dataclass(frozen=True, slots=True)
class Text:
    """A delimited text whose only line ending is the line feed, and its first rows."""

    label: str
    data: bytes
    separator: str
    sample: Sample
    lines: tuple[int, ...]
    """On which lines the sample's rows begin."""

    def first_data_line(self, *, has_header: bool) -> int:
        """Return the line of the first row below the header.

        Raises:
            InvalidError: there is none.
        """
        if has_header and len(self.lines) == 1:
            raise InvalidError(f"{self.label} has a header and no rows.")
        return self.lines[has_header]


def read_text(content: Content) -> Text:
    """Check that the content is text, and look at its first rows.

    Raises:
        InvalidError: it is binary, not UTF-8, or blank.
    """
    data = _with_plain_line_endings(_checked(content))
    head = data[:_SAMPLE_BYTES]
    separator = _separator(head.decode(errors="replace"))
    rows: list[Row] = []
    for row in split_rows(head, separator, content.label):
        rows.append(row)
        if len(rows) == 2:  # noqa: PLR2004 - a header and a row of data
            break
    if not rows:
        raise InvalidError(f"{content.label} is blank.")
    sample = Sample(content.names, *(tuple(fields) for _, fields in rows))
    return Text(content.label, data, separator, sample, tuple(line for line, _ in rows))


def _checked(content: Content) -> bytes:
    data, label = content.data, content.label
    if data.startswith(_WIDE_MARKS):
        raise InvalidError(f"{label} is UTF-16 or UTF-32 text.", hint="Save it as UTF-8.")
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise InvalidError(
            f"{label} is binary or damaged: line {line} holds a NUL byte"
            f" (it starts with {data[:8]!r})."
        )
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise InvalidError(
                f"{label} is binary or not UTF-8: line {line} holds"
                f" {data[error.start : error.end]!r}.",
                hint="If it is text, save it as UTF-8.",
            ) from None
    return data


def _with_plain_line_endings(data: bytes) -> bytes:
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    # Blank lines at the end would cost the fast way of reading.
    return data.rstrip(b"\n") + b"\n" if data.endswith(b"\n\n") else data


def _separator(head: str) -> str:
    first = next((line for line in head.split("\n") if line.strip()), "")
    bare = _QUOTED.sub("", first)
    return max(SEPARATORS, key=bare.count)


def split_rows(data: bytes, separator: str, label: str, line: int = 1) -> Iterator[Row]:
    """Yield each row that is not blank; `line` is that on which the data begins.

    Raises:
        InvalidError: a quotation mark is not closed.
    """
    before = line - 1
    # Not split by the text layer, which knows more line endings than \n.
    stream = io.TextIOWrapper(io.BytesIO(data), "utf-8", errors="replace", newline="\n")
    reader = csv.reader(stream, delimiter=separator, strict=True)
    try:
        for fields in reader:
            if len(fields) > 1 or (fields and fields[0].strip()):
                yield line, fields
            line = before + reader.line_num + 1
    except csv.Error as error:
        raise InvalidError(
            f"{label}: the row that begins on line {line} cannot be read: {error}.",
            hint="Look for a quotation mark that is not closed.",
        ) from error
