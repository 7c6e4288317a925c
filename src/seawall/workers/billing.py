"""The tasks of billing: applying what Stripe told, and ending what is not paid for."""

from uuid import UUID

from seawall.identity.billing import apply as billing
from seawall.identity.billing import pages
from seawall.jobs.crew import Given, Task


async def apply(given: Given, *, event: str) -> None:
    """Apply one event."""
    await billing.apply(given.engine, given.settings.billing, event)


async def lapse(given: Given) -> None:
    """Take the tier from whoever has not paid for longer than the grace.

    The pages of who has left are closed too, which Stripe may have been away for at the time.
    """
    try:
        await billing.lapse(given.engine, given.settings.billing)
    finally:
        await pages.close_pages(given.engine, given.settings.billing)


async def close_pages(given: Given, *, user: str) -> None:
    """Close the pages on which somebody who has left could still pay."""
    await pages.close_pages(given.engine, given.settings.billing, UUID(user))


TASKS = (
    Task(billing.APPLY, apply),
    Task(billing.LAPSE, lapse),
    Task(pages.CLOSE, close_pages),
)
