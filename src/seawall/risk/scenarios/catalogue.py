"""The events that portfolios are taken through again, with what Bitcoin lost in each."""

from dataclasses import dataclass
from datetime import date, datetime

from seawall.core.errors import NotFoundError
from seawall.core.time import DAY, midnight


@dataclass(frozen=True, slots=True)
class Event:
    """A stretch of days in which the market fell, by its first and last daily close (UTC).

    The days are those of the candles: from the last high close of BTC or ETH to the low that
    followed. `btc_loss` is BTC's worst close in it, as a loss from the first one, on Coinbase: with
    it the event is estimated where no price of BTC of then is held.
    """

    slug: str
    name: str
    first: date
    last: date
    btc_loss: float
    description: str

    @property
    def start(self) -> datetime:
        """The midnight at which the first close was known."""
        return midnight(self.first) + DAY

    @property
    def end(self) -> datetime:
        """The midnight at which the last close was known."""
        return midnight(self.last) + DAY

    @property
    def days(self) -> int:
        """The daily returns in it."""
        return (self.last - self.first).days


EVENTS = (
    Event(
        "2017-12-top",
        "The top of 2017",
        date(2017, 12, 16),
        date(2018, 2, 5),
        0.648591,
        "From Bitcoin's first close near 20,000 USD to the low of February; other coins rose until"
        " January and fell then.",
    ),
    Event(
        "2018-01",
        "January 2018",
        date(2018, 1, 13),
        date(2018, 2, 5),
        0.513306,
        "From Ether's top: all coins fell together.",
    ),
    Event(
        "2020-03-12",
        "The crash of March 2020",
        date(2020, 3, 6),
        date(2020, 3, 16),
        0.469663,
        "The pandemic's panic; most of it within the 12th.",
    ),
    Event(
        "2021-05-19",
        "May 2021",
        date(2021, 5, 11),
        date(2021, 5, 23),
        0.387547,
        "China's ban on mining and the unwinding of leverage, with the worst hours on the 19th.",
    ),
    Event(
        "luna-2022-05",
        "The end of Terra and LUNA",
        date(2022, 5, 4),
        date(2022, 5, 12),
        0.270424,
        "The stablecoin UST lost its peg and LUNA all of its value.",
    ),
    Event(
        "ftx-2022-11",
        "The end of FTX",
        date(2022, 11, 5),
        date(2022, 11, 21),
        0.260103,
        "The exchange stopped paying out; what was close to it, such as SOL, fell most.",
    ),
    Event(
        "2024-08-05",
        "August 2024",
        date(2024, 7, 28),
        date(2024, 8, 7),
        0.208298,
        "Trades financed in yen were unwound, in all markets at once.",
    ),
)
_BY_SLUG = {event.slug: event for event in EVENTS}


def get_event(slug: str) -> Event:
    """Return an event by its slug.

    Raises:
        NotFoundError: there is none.
    """
    found = _BY_SLUG.get(slug.strip().lower())
    if found is None:
        raise NotFoundError(
            f"There is no scenario {slug!r}.",
            hint=f"There are: {', '.join(_BY_SLUG)}, and the models.",
        )
    return found
