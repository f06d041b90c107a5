"""A queue that is paused: its jobs stay where they are, whatever happens meanwhile."""

from __future__ import annotations

import time

import pytest

from scalekit.queue import enqueue_many
from scalekit.queue.pausing import pause, resume
from tests.integration.queue.conftest import eventually, with_template
from tests.integration.queue.project.tasks import call_out, nap, note

pytestmark = pytest.mark.servers


def test_paused_queue_waits_and_others_go_on(broker, start_worker, journal, rows):
    pause("default")
    note.enqueue("paused")
    note.using(queue_name="mail").enqueue("mail")
    start_worker().ready()
    assert eventually(lambda: journal() == ["mail"])
    assert eventually(lambda: sorted(rows("status")) == [("READY",), ("SUCCESSFUL",)])
    resume("default")
    assert eventually(lambda: journal() == ["mail", "paused"])


def test_every_lane_of_a_paused_queue_waits(broker, start_worker, journal):
    pause("default")
    for priority in (-100, 0, 100):
        note.using(priority=priority).enqueue(priority)
    start_worker("--threads=1").ready()
    assert eventually(lambda: broker.stats(["default.high"])["default.high"].ready == 1)
    assert journal() == []
    resume("default")
    assert eventually(lambda: journal() == ["100", "0", "-100"])


def test_pausing_ends_no_running_job_and_gives_back_the_others(broker, start_worker, journal):
    start_worker("--threads=1").ready()
    enqueue_many(nap, [(0.05, number) for number in range(40)])
    assert eventually(lambda: len(journal()) >= 10)  # it holds some by now, as they are short
    pause("default")
    assert eventually(lambda: broker.stats(["default"])["default"].in_flight == 0)
    done = len(journal())
    assert done + broker.stats(["default"])["default"].ready == 40
    resume("default")
    assert eventually(lambda: len(journal()) == 40)
    assert sorted(map(int, journal())) == list(range(40))


class TestOutage:
    @pytest.fixture
    def queue_template(self, scalekit_servers, tmp_path):
        """Give a PostgreSQL that the test may stop."""
        return with_template(scalekit_servers.postgres("own"), tmp_path)

    def test_outage_of_the_database_unpauses_nothing(
        self, broker, queue_template, start_worker, journal
    ):
        """Its jobs have no record, so that a worker could run them without a database."""
        pause("default")
        call_out.send("paused")
        assert eventually(lambda: broker.stats(["default"])["default"].ready == 1)
        worker = start_worker().ready()
        queue_template.stop()
        worker.says("cannot be read, so that stays as it was")
        time.sleep(3)  # more than one look
        assert journal() == []
        queue_template.start()
        assert eventually(lambda: resumed("default"), 30)
        assert eventually(lambda: journal() == ["PAUSED"], 30)


def resumed(queue):
    from django.db import DatabaseError, connection

    try:
        return resume(queue)
    except DatabaseError:
        connection.close()
        return False
