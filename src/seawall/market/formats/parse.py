"""A price file from its path to checked records."""

from pathlib import Path

from seawall.core.errors import InvalidError
from seawall.market.formats.base import Container, Content, Format, Layout, ParseHints, Sample
from seawall.market.formats.check import Source, check
from seawall.market.formats.columnar import container_of, read_frame, read_table
from seawall.market.formats.registry import FORMATS
from seawall.market.formats.rows import read_rows
from seawall.market.formats.text import read_text
from seawall.market.formats.unpack import contents
from seawall.market.schemas import ParsedFile


def parse_file(path: Path, *, hints: ParseHints) -> list[ParsedFile]:
    """Read a price file, wrapped in gzip or zip or not; one result for each file inside.

    Candles keep their open time. What is only known at the end of a day or bar, closing prices
    and quotes, is stamped with that end.

    Raises:
        NotFoundError: there is no such file.
        ForbiddenError: it may not be read.
        InvalidError: it is damaged, hostile, of no known format or contradicts its timeframe;
            then nothing of it is taken, in a zip nothing of any file inside.
    """
    wanted = _wanted_formats(hints.format)
    return [_parse(content, wanted, hints) for content in contents(path)]


def _wanted_formats(name: str | None) -> tuple[Format, ...]:
    if name is None:
        return FORMATS
    wanted = tuple(form for form in FORMATS if form.name == name.strip().lower())
    if not wanted:
        raise InvalidError(f"format {name!r} is not known.", hint=f"Known are {_listed(FORMATS)}.")
    return wanted


def _listed(formats: tuple[Format, ...]) -> str:
    return ", ".join(form.name for form in formats)


def _parse(content: Content, wanted: tuple[Format, ...], hints: ParseHints) -> ParsedFile:
    container = container_of(content.data)
    if container is Container.TEXT:
        text = read_text(content)
        form, layout = _recognise(text.sample, container, wanted, content.label)
        table = read_rows(text, layout)
    else:
        frame = read_frame(content, container)
        sample = Sample(content.names, tuple(frame.columns))
        form, layout = _recognise(sample, container, wanted, content.label)
        table = read_table(frame, layout, content.label)
    return check(Source(content, form, layout), table, hints)


def _recognise(
    sample: Sample, container: Container, wanted: tuple[Format, ...], label: str
) -> tuple[Format, Layout]:
    for form in wanted:
        if form.container is not container:
            continue
        try:
            layout = form.recognise(sample)
        except InvalidError as error:
            raise InvalidError(f"{label}: {error.message}", hint=error.hint) from error
        if layout is not None:
            return form, layout
    seen = ",".join(sample.first)
    shown = repr(seen if len(seen) <= 120 else f"{seen[:120]}…")  # noqa: PLR2004 - one line of a terminal
    what = "has the columns" if container is not Container.TEXT else "begins with"
    raise InvalidError(
        f"{label} is not of {'a known' if len(wanted) > 1 else f'the {wanted[0].name}'} format:"
        f" this {container} {what} {shown}.",
        hint=f"Known formats are {_listed(FORMATS)}.",
    )
