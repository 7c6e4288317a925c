"""Which request a piece of work is done for, for whatever is logged on its way."""

from contextvars import ContextVar

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The request's id in the API; None elsewhere."""
