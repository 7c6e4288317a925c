"""The crew answers to every name that is queued, and its schedule names what there is."""

import re
from pathlib import Path

from croniter import croniter  # type: ignore[import-untyped]

import seawall
from seawall.jobs.crew import load_crew
from seawall.workers.schedule import FIRST, SCHEDULE

QUEUED = re.compile(r'defer\(\s*session,\s*"([a-z_.]+)"')


def test_every_name_that_is_queued_is_a_task() -> None:
    names = [task.name for task in load_crew("seawall.workers.app").tasks]
    assert len(names) == len(set(names))
    sources = Path(seawall.__file__).parent.rglob("*.py")
    queued = {name for path in sources for name in QUEUED.findall(path.read_text())}
    assert {"risk.remeasure", "risk.measure_assets", "risk.report_portfolio"} <= queued
    assert queued <= set(names)
    assert {each.task for each in SCHEDULE} | set(FIRST) <= set(names)


def test_the_schedule_is_a_crontab_s() -> None:
    assert all(croniter.is_valid(each.cron) and each.cron.count(" ") == 4 for each in SCHEDULE)


def test_a_task_is_prefixed_by_its_module() -> None:
    for task in load_crew("seawall.workers.app").tasks:
        module = task.run.__module__.rpartition(".")[2]
        assert task.name.partition(".")[0] == module
