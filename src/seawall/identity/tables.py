"""The tables of users."""

from uuid import UUID

from sqlalchemy import CheckConstraint, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import TENANT, Base, CreatedAt


class User(Base):
    """One person, or the one owner of an installation."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("length(username) BETWEEN 1 AND 100", name="username_length"),
        Index("uq_users_username", func.lower(text("username")), unique=True),
        {"info": TENANT},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    username: Mapped[str]
    created_at: Mapped[CreatedAt]
