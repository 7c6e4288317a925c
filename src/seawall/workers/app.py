"""Everything that a worker does: the tasks of each domain, and the schedule."""

from seawall.jobs.crew import Crew
from seawall.workers import billing, identity, market, queue, risk
from seawall.workers.schedule import FIRST, SCHEDULE

CREW = Crew(
    tasks=(*risk.TASKS, *market.TASKS, *identity.TASKS, *billing.TASKS, *queue.TASKS),
    schedules=SCHEDULE,
    first=FIRST,
    load=risk.load_kernel,
)
