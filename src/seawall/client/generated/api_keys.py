"""Api keys: written by `make docs`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import TypeAdapter

from seawall.client.connection import OMITTED, Connection, Omitted, Request

ApiKeyScope = str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key, without the key."""

    id: UUID
    name: str
    prefix: str
    scopes: list[ApiKeyScope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeApiKey:
    """A key that was made; the key itself is told this once."""

    id: UUID
    name: str
    prefix: str
    scopes: list[ApiKeyScope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeys:
    """The keys that are not revoked."""

    items: list[ApiKey]


class ApiKeysOperations(Connection):
    """What the API does about api keys."""

    def create_api_key(
        self,
        *,
        name: str,
        scopes: list[Literal["read", "trade", "manage"]],
        idempotency_key: str | None = None,
        expires_at: datetime | Omitted | None = OMITTED,
        code: str | Omitted | None = OMITTED,
    ) -> MadeApiKey:
        """Make a key; for more than reading a code is needed where the second factor is on."""
        request = Request(
            "POST",
            "/api/v1/api-keys",
            json={"name": name, "scopes": scopes, "expires_at": expires_at, "code": code},
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(MadeApiKey))

    def list_api_keys(self) -> ApiKeys:
        """List the keys that are not revoked."""
        request = Request("GET", "/api/v1/api-keys")
        return self.send(request, TypeAdapter(ApiKeys))

    def revoke_api_key(self, key_id: UUID) -> None:
        """Revoke a key."""
        request = Request("DELETE", f"/api/v1/api-keys/{key_id}")
        self.raw(request)
