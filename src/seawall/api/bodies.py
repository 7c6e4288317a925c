"""How values are written in answers: money as text, undefined figures as null, and ETags."""

import hashlib
import math
import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    PlainSerializer,
    SecretStr,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema

from seawall.api.errors import PreconditionError
from seawall.core.errors import InvalidError
from seawall.core.money import plain
from seawall.core.time import as_utc, iso

Money = Annotated[
    Decimal,
    PlainSerializer(plain, return_type=str),
    WithJsonSchema({"type": "string", "format": "decimal", "examples": ["1234.56"]}),
]
"""Text, so that no digit is lost."""
Figure = Annotated[
    float | None,
    PlainSerializer(
        lambda value: value if value is not None and math.isfinite(value) else None,
        return_type=float | None,
    ),
]
"""A number, or null where it is undefined."""
Shown = Annotated[
    SecretStr,
    PlainSerializer(lambda secret: secret.get_secret_value(), return_type=str),
    WithJsonSchema({"type": "string"}),
]
"""A secret that is told, this once."""


_DATE = re.compile(r"\d{4}-\d\d-\d\d")
MOST_FIELDS = 100
_PLAIN = frozenset({"bool", "int", "float"})


def _in_utc(moment: datetime) -> datetime:
    try:
        return as_utc(moment)
    except OverflowError:
        raise ValueError("This instant is before all years, or after them.") from None


def _only_written(moment: Any) -> Any:
    # A number could be seconds or milliseconds, of which one is then wrong by a factor of 1,000.
    if not isinstance(moment, datetime) and not _DATE.match(str(moment)):
        raise ValueError("Write an instant like 2026-01-31T12:00:00Z.")
    return moment


Utc = Annotated[datetime, BeforeValidator(_only_written), AfterValidator(_in_utc)]
"""An instant that is asked for, in whatever offset."""
Instant = Annotated[Utc | None, Query(examples=["2026-01-31T00:00:00Z"])]
"""The same in a query, where it may be left out."""
Time = Annotated[
    Utc,
    PlainSerializer(iso, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00Z"]}),
]
"""An instant in UTC."""


def _take_as_written(schema: Any) -> Any:
    if isinstance(schema, dict):
        kind = schema.get("type")
        # Where fields stand by their names, one may be named `type`.
        strict = {"strict": True} if isinstance(kind, str) and kind in _PLAIN else {}
        return {name: _take_as_written(each) for name, each in schema.items()} | strict
    if isinstance(schema, list | tuple):
        return type(schema)(map(_take_as_written, schema))
    return schema


class Body(BaseModel):
    """What is asked: nothing in it that is not known, and no "yes" or 1 where true is meant."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)

    @model_validator(mode="before")
    @classmethod
    def _bounded(cls, given: Any) -> Any:
        # Each that is not known would be told of, at a cost.
        if isinstance(given, dict) and len(given) > MOST_FIELDS:
            raise ValueError(f"An object has {MOST_FIELDS} fields at most.")
        return given

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Take numbers and booleans of every field as JSON writes them."""
        written: CoreSchema = _take_as_written(handler(source))
        return written


def _without_defaults(schema: dict[str, Any]) -> None:
    for each in schema["properties"].values():
        each.pop("default", None)


UNCHANGED: Any = None
"""What a field of a patch has that is left out; no schema tells it, and no program sends it."""


class Patch(Body):
    """What is to be changed, as RFC 7396 has it: what is left out stays, and null clears.

    A field that cannot be empty takes no null.
    """

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    @property
    def changes(self) -> dict[str, Any]:
        """What is given, by its name.

        Raises:
            InvalidError: there is a character in it that is no text.
        """
        given = self.model_dump(exclude_unset=True)
        if any("\x00" in each for each in given.values() if isinstance(each, str)):
            raise InvalidError("There is a character in it that is no text.")
        return given


class Told(BaseModel):
    """What is answered, made of the value of the same fields."""

    model_config = ConfigDict(from_attributes=True)


def tag_of(content: bytes) -> str:
    """Return the ETag of an answer: another one for any other content."""
    return f'"{_hash(content, 32)}"'


def _hash(content: bytes, length: int) -> str:
    return hashlib.sha256(content).hexdigest()[:length]


def _part(choices: Told) -> str:
    return _hash(choices.model_dump_json().encode(), 16)


def tagged(told: Told, known: str | None = None, choices: Told | None = None) -> Response:
    """Answer with an ETag, which changes with any of it; with nothing to who has the same.

    `choices` are the part that may be changed, where the rest changes by itself.
    """
    content = told.model_dump_json()
    tag = tag_of(content.encode())
    if choices is not None:
        tag = f'"{_part(choices)}.{tag[1:]}'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if known is not None and names_tag(known, tag):
        return Response(status_code=304, headers=headers)
    # Written once: a model that is returned would be checked and written again.
    return Response(content, headers=headers, media_type="application/json")


def require_match(given: str | None, told: Told, *, choices: bool = False) -> None:
    """Check that what is to be changed is what the caller has seen.

    With `choices`, `told` is the part that may be changed, and the rest of the ETag does not count.

    Raises:
        PreconditionError: it was changed meanwhile.
    """
    if given is None:
        return
    if choices:
        named = {each.strip() for each in given.split(",")}
        part = _part(told)
        matches = "*" in named or any(each.startswith(f'"{part}.') for each in named)
    else:
        matches = _is_exactly(given, tag_of(told.model_dump_json().encode()))
    if not matches:
        raise PreconditionError(
            "This was changed meanwhile.", hint="Read it again, and change that."
        )


def names_tag(given: str, tag: str) -> bool:
    """Tell whether If-None-Match names a tag, for which one that became weak will do."""
    named = {each.strip().removeprefix("W/") for each in given.split(",")}
    return tag in named or "*" in named


def _is_exactly(given: str, tag: str) -> bool:
    # What is changed has to be what was seen, to the byte: a weak tag does not say that.
    named = {each.strip() for each in given.split(",")}
    return tag in named or "*" in named
