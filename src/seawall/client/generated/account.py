"""Account: written by `make docs`."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from seawall.client.connection import OMITTED, Connection, Omitted, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedAccount:
    """When an account was deleted, and from when on it is gone for good."""

    deleted_at: datetime
    purged_after: datetime


class AccountOperations(Connection):
    """What the API does about account."""

    def delete_account(
        self, *, password: str, code: str | Omitted | None = OMITTED
    ) -> DeletedAccount:
        """Delete the account: everything ends at once, and is removed for good after 30 days."""
        request = Request(
            "POST", "/api/v1/account/deletion", json={"password": password, "code": code}
        )
        return self.send(request, TypeAdapter(DeletedAccount))

    def export_account(self, *, password: str) -> None:
        """Give everything that is the user's own, as CSV files and a manifest in a ZIP."""
        request = Request("POST", "/api/v1/account/export", json={"password": password})
        self.raw(request)
