"""The metadata that every table belongs to, and the column types that tables share."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    Double,
    ForeignKeyConstraint,
    MetaData,
    Numeric,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

from seawall.core.money import PRECISION, SCALE

NAMING = {
    "ix": "idx_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The root of every table."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text(),
        datetime: DateTime(timezone=True),
        float: Double(),
        dict[str, Any]: JSONB(),
        list[Any]: JSONB(),
    }


Money = Numeric(PRECISION, SCALE)
UuidKey = Annotated[UUID, mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))]
BigInt = Annotated[int, mapped_column(BigInteger())]
CreatedAt = Annotated[datetime, mapped_column(server_default=func.now())]
UpdatedAt = Annotated[datetime, mapped_column(server_default=func.now())]
"""Kept by a trigger: see `migrations.operations.touch_on_update`."""
ChangedIn = Annotated[int, mapped_column(BigInteger(), server_default="0")]
"""Which transaction wrote the row last, kept by a trigger: see `db.positions`."""
UserId = Annotated[UUID, mapped_column(server_default=text("current_user_id()"))]
"""Whose row it is; the user that the transaction is bound to when nothing is said."""


TENANT = {"tenant": True}
"""Put in a table's `info`: its rows belong to a user and are under row security."""


def tenant_reference(
    table: str, parents: str, column: str, ondelete: str = "CASCADE"
) -> ForeignKeyConstraint:
    """Let a column of a tenant's table refer to parents that belong to the same user."""
    return ForeignKeyConstraint(
        ["user_id", column],
        [f"{parents}.user_id", f"{parents}.id"],
        name=f"fk_{table}_{parents}",
        ondelete=ondelete,
    )


@dataclass(frozen=True, slots=True)
class Audit:
    """How changes of a table are logged.

    Of `redacted` columns only that they changed is logged, never what they hold. A change of
    nothing but `derived` columns, which follow from others, is not logged at all.
    """

    redacted: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()


def audited(*, redacted: tuple[str, ...] = (), derived: tuple[str, ...] = ()) -> dict[str, Any]:
    """Put in a table's `info`: its migration has called `audit_rows` with the same columns."""
    return {"audit": Audit(redacted, derived)}


def unaudited(reason: str) -> dict[str, Any]:
    """Put in a tenant table's `info`: why its changes are not logged."""
    return {"unaudited": reason}


def sealed() -> dict[str, Any]:
    """Put in a column's `info`: it holds what `core.crypto` sealed, never the secret itself."""
    return {"sealed": True}
