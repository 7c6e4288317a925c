"""Asking Stripe: in threads of its own and for so long, so that nobody else waits when it hangs."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from seawall.core.errors import ConflictError, UnavailableError
from seawall.core.settings import BillingSettings

T = TypeVar("T")
SECONDS = 10.0
"""How long a connection may say nothing."""
PATIENCE = 15.0
"""How long whoever asks waits in all."""
_THREADS = ThreadPoolExecutor(4, thread_name_prefix="stripe")
_LIBRARY_MISSING = "Billing needs the library of Stripe, which is not installed."


class NoCustomerError(UnavailableError):
    """Stripe does not know the customer, or no more."""


async def ask(billing: BillingSettings, question: Callable[[Any], T]) -> T:
    """Return what Stripe answers to a question, which is given its client.

    Raises:
        NoCustomerError: the customer in the question is not there.
        ConflictError: another question had the same idempotency key.
        UnavailableError: Stripe refuses the question, or does not answer in time.
    """
    asking = asyncio.get_running_loop().run_in_executor(_THREADS, lambda: _ask(billing, question))
    try:
        return await asyncio.wait_for(asking, PATIENCE)
    except TimeoutError:
        raise UnavailableError("Stripe does not answer.", hint="Try again later.") from None


def _ask(billing: BillingSettings, question: Callable[[Any], T]) -> T:
    try:
        import stripe  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise UnavailableError(
            _LIBRARY_MISSING, hint="Install seawall with the extra `billing`."
        ) from None
    secret = billing.secret_key
    assert secret is not None  # noqa: S101 - the settings require it
    client = stripe.StripeClient(
        secret.get_secret_value(),
        base_addresses={"api": billing.api_url},
        http_client=stripe.RequestsClient(timeout=SECONDS),
        max_network_retries=1,
    )
    try:
        return question(client)
    except stripe.IdempotencyError:
        raise ConflictError(
            "Another request had this Idempotency-Key.", hint="Use a new key for each request."
        ) from None
    except stripe.StripeError as error:
        # What it says may repeat what was sent; the kind is enough, and the id finds the rest.
        said = (
            f"Stripe refused this or did not answer: {type(error).__name__}"
            f" (request {error.request_id})."
        )
        param = getattr(error, "param", None)
        is_gone = error.code == "resource_missing" and param == "customer"
        raise (NoCustomerError if is_gone else UnavailableError)(
            said, hint="Try again; if it stays, the log at Stripe tells why."
        ) from None
