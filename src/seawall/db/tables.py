"""The table that the database keeps about its own secrets: which keys sealed them."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import Base, CreatedAt, audited


class EncryptionKey(Base):
    """A key that secrets of this database are, or were, sealed with; the key itself is elsewhere.

    `check_value` is a known text that was sealed with it. A retired key seals nothing that is left
    here, but may be needed to open an older backup.
    """

    __tablename__ = "encryption_keys"
    __table_args__ = (
        CheckConstraint("id ~ '^[0-9a-f]{16}$'", name="id_hexadecimal"),
        CheckConstraint("octet_length(check_value) BETWEEN 100 AND 1000", name="check_value_size"),
        CheckConstraint("retired_at >= created_at", name="retired_after_created"),
        {"info": audited(redacted=("check_value",))},
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    check_value: Mapped[bytes]
    created_at: Mapped[CreatedAt]
    retired_at: Mapped[datetime | None]
