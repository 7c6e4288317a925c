"""Answers that take equally long, whatever was found out to give them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FLOOR = 0.4
"""Seconds: well above what a hash and a few transactions take."""


@asynccontextmanager
async def evenly(seconds: float = FLOOR) -> AsyncIterator[None]:
    """Go on after so many seconds and not before, also with an error."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    try:
        yield
    finally:
        await asyncio.sleep(until - loop.time())
