"""The SQL of what the audit log is told of logins: no row of a table changes with a failed one."""

from typing import Any, Literal
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.audit.tables import AuditLog
from seawall.identity.schemas import Client

NOBODY = UUID(int=0)
"""Whom a transaction is bound to that notes a login of an address that nobody has."""


async def note(
    session: AsyncSession,
    operation: Literal["LOGIN", "LOGIN_FAILED", "LOGOUT", "EXPORT"],
    client: Client,
    **facts: Any,
) -> None:
    """Add an entry to the bound user's chain."""
    data = {"ip": client.ip, "user_agent": client.user_agent, **facts}
    table = "users" if operation == "EXPORT" else "user_sessions"
    entry = {"table_name": table, "operation": operation, "new_data": data}
    await session.execute(insert(AuditLog).values(entry))
