"""When work is due by itself: every schedule of the project, in UTC."""

from seawall.jobs.crew import Schedule

SCHEDULE = (
    # Sources are given five minutes to bring the day's last prices.
    Schedule("risk.catch_up", "5 0 * * *"),
    Schedule("risk.catch_up", "35 * * * *"),
    Schedule("market.maintain", "20 * * * *"),
    Schedule("queue.tidy", "50 0 * * *"),
    Schedule("billing.lapse", "25 * * * *"),
    Schedule("identity.purge", "40 2 * * *"),
)
FIRST = ("risk.catch_up", "market.maintain", "identity.purge")
"""What a worker begins with: whatever was due while none ran."""
