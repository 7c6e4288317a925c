"""Sessions: written by `make docs`."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter

from seawall.client.connection import Connection, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One login on one device."""

    id: UUID
    device_name: str | None
    user_agent: str | None
    ip: str | None
    created_at: datetime
    last_accessed_at: datetime
    expires_at: datetime
    is_this: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """The sessions that have not ended."""

    items: list[Session]


class SessionsOperations(Connection):
    """What the API does about sessions."""

    def end_session(self, session_id: UUID) -> None:
        """End a session."""
        request = Request("DELETE", f"/api/v1/sessions/{session_id}")
        self.raw(request)

    def list_sessions(self) -> Sessions:
        """List the sessions that have not ended."""
        request = Request("GET", "/api/v1/sessions")
        return self.send(request, TypeAdapter(Sessions))
