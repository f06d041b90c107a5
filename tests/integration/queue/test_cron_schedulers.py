"""Many schedulers at once, on a clock that the test moves: every slot fires once, whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import psycopg
import pytest

from scalekit.queue.cron.firing import fire_due
from tests.integration.queue.clock import Clock
from tests.integration.queue.processes import environment, eventually

NOTE = "tests.integration.queue.project.tasks.note"
BEFORE = "2031-03-30 00:59:30+00"  # in Berlin the clocks go forward half a minute later
BERLIN = {"TASK": NOTE, "ARGS": ["-"], "TIME_ZONE": "Europe/Berlin"}


@pytest.fixture
def clock(queue_template, queue_database):
    """Give the clock of this test's database."""
    return Clock(queue_template, queue_database["NAME"], BEFORE)


@pytest.fixture
def queue_databases(queue_database, clock):
    options = {**queue_database.get("OPTIONS", {})}
    options["options"] = f"{options.get('options', '')} {clock.options['options']}".strip()
    return {"default": {**queue_database, "OPTIONS": options}}


@pytest.fixture
def slots(clock):
    """Give a function that lists the slots that have fired, each with whether its job is there."""
    sql = """
        SELECT to_char(due_at AT TIME ZONE 'UTC', 'MM-DD HH24:MI'), name, t.id IS NOT NULL
          FROM scalekit_queue_cronslot LEFT JOIN scalekit_queue_taskrecord t ON t.id = job
         ORDER BY due_at, name
    """
    return lambda: clock.execute(sql)


@pytest.fixture
def jobs(rows):
    return lambda: [row for row in rows("path") if row[0] == NOTE]


@pytest.fixture
def relays(tmp_path, queue_databases, broker_entry, queue_settings, clock):
    """Give the ids of five relay processes, each of which has had a look."""
    env = environment(queue_databases, broker_entry, QUEUE_SETTINGS=json.dumps(queue_settings))
    log = tmp_path / "relays.log"
    argv = [sys.executable, "-m", "tests.integration.queue.forked_relays", "5"]
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=env, stdout=output, stderr=subprocess.STDOUT)
    said = []
    try:
        assert eventually(lambda: log.read_text().count("Ready.") == 5, 60), log.read_text()
        said += [int(line) for line in log.read_text().splitlines() if line.isdigit()]
        known = "SELECT count(*) FROM scalekit_queue_cronentry"
        assert eventually(lambda: clock.execute(known)[0][0] > 0, 30), log.read_text()
        yield said
    finally:
        for pid in said:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "queue_settings", [{"SCALEKIT_QUEUE_CRON": {"often": {**BERLIN, "CRON": "*/10 * * * *"}}}]
)
def test_five_schedulers_of_which_one_is_killed_while_it_fires_fire_three_slots_three_times(
    relays, clock, slots, jobs, queue_template, queue_database
):
    clock.set("2031-03-30 01:00:01+00")
    assert eventually(lambda: len(slots()) == 1, 30)

    with psycopg.connect(queue_template.dsn, dbname=queue_database["NAME"]) as holder:
        # Whoever comes first has its slot now, and cannot write its job: the moment to die.
        holder.execute("LOCK TABLE scalekit_queue_taskrecord IN SHARE MODE")
        clock.set("2031-03-30 01:10:01+00")
        os.kill(relays[_who_writes_a_job(clock)], signal.SIGKILL)
        assert len(slots()) == 1

    assert eventually(lambda: len(slots()) == 2, 30)
    clock.set("2031-03-30 01:20:01+00")
    assert eventually(lambda: len(slots()) == 3, 30)
    times = [f"03-30 01:{minute}" for minute in ("00", "10", "20")]
    assert slots() == [(time, "often", True) for time in times]
    assert len(jobs()) == 3


def _who_writes_a_job(clock):
    sql = """
        SELECT application_name FROM pg_stat_activity
         WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT INTO scalekit_queue_taskrecord%'
           AND application_name LIKE 'relay-%' AND pid <> pg_backend_pid()
    """
    found = []
    assert eventually(lambda: found.extend(clock.execute(sql)) or found, 30)
    ((name,), *_) = found
    return int(name.removeprefix("relay-"))


@pytest.mark.parametrize(
    "queue_settings",
    [
        {
            "SCALEKIT_QUEUE_CRON": {
                "fixed": {**BERLIN, "CRON": "30 2 * * *"},
                "hourly": {**BERLIN, "CRON": "@hourly"},
            }
        }
    ],
)
def test_on_the_nights_when_the_clocks_change_a_fixed_time_fires_once_and_every_hour_has_its_own(
    broker, clock, slots, jobs
):
    fire_due("default")
    for moment, count in (
        ("2031-03-30 01:00:01+00", 2),  # 03:00 summer time: there is no half past two
        ("2031-03-30 01:31:00+00", 2),
        ("2031-03-30 02:00:01+00", 3),
        ("2031-10-26 00:00:30+00", 4),  # 02:00, still summer time
        ("2031-10-26 00:30:01+00", 5),  # half past two, the first
        ("2031-10-26 01:00:01+00", 6),  # 02:00 again
        ("2031-10-26 01:30:01+00", 6),  # half past two, the second
        ("2031-10-26 02:00:01+00", 7),
    ):
        clock.set(moment)
        fire_due("default")
        assert len(slots()) == count, (moment, slots())
    assert [(time, name) for time, name, _ in slots()] == [
        ("03-30 01:00", "fixed"),
        ("03-30 01:00", "hourly"),
        ("03-30 02:00", "hourly"),
        ("10-26 00:00", "hourly"),
        ("10-26 00:30", "fixed"),
        ("10-26 01:00", "hourly"),
        ("10-26 02:00", "hourly"),
    ]
    assert len(jobs()) == 7


@pytest.mark.parametrize(
    "queue_settings", [{"SCALEKIT_QUEUE_CRON": {"often": {**BERLIN, "CRON": "*/10 * * * *"}}}]
)
def test_after_a_downtime_the_last_missed_slot_fires_and_the_others_do_not(broker, clock, slots):
    fire_due("default")
    clock.set("2031-03-30 01:45:00+00")
    fire_due("default")
    assert slots() == [("03-30 01:40", "often", True)]
