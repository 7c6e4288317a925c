"""When the cache does not answer: it is left alone for a moment, and one line says so."""

import logging
import time

logger = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds for which a cache that failed is not asked, so that a dead one costs no time."""
REPEAT = 60.0
"""Seconds for which the same trouble is not told again, when it comes and goes."""


class Outage:
    """Whether the cache failed a moment ago."""

    def __init__(self) -> None:
        self._lasts = False
        self._until = 0.0
        self._told = ""
        self._told_at = 0.0

    @property
    def is_paused(self) -> bool:
        """Whether the cache is not to be asked now."""
        return self._lasts and time.monotonic() < self._until

    def failed(self, error: BaseException) -> None:
        """Note that the cache did not answer, and why."""
        moment = time.monotonic()
        self._until = moment + PAUSE
        said = str(error).rstrip(".") or type(error).__name__
        if self._lasts or (said == self._told and moment < self._told_at + REPEAT):
            self._lasts = True
            return
        self._lasts, self._told, self._told_at = True, said, moment
        logger.warning("The cache does not answer, and Seawall does without: %s.", said)

    def worked(self) -> None:
        """Note that the cache answered."""
        if self._lasts:
            self._lasts = False
            logger.info("The cache answers again.")
