"""Records while their database, or the broker, is not there."""

from __future__ import annotations

import signal

import pytest

from tests.integration.queue.conftest import EFFECTS, eventually
from tests.integration.queue.project.tasks import note, stumble

pytestmark = pytest.mark.servers


class TestOwnServers:
    """Both servers are this test's own, and keep their data over a kill -9."""

    @pytest.fixture
    def own_postgres(self, scalekit_servers):
        return scalekit_servers.postgres("own")

    @pytest.fixture
    def own_valkey(self, scalekit_servers):
        return scalekit_servers.valkey(appendonly=True)

    @pytest.fixture
    def options(self, own_valkey):
        return {"url": own_valkey.url, "timeout": 0.5}

    @pytest.fixture
    def queue_database(self, own_postgres):
        return own_postgres.django_settings(CONN_MAX_AGE=60)

    @pytest.fixture
    def migrated(self, manage, own_postgres):
        migrating = manage("migrate", "-v0")
        assert migrating.wait(60) == 0, migrating.output
        own_postgres.execute(EFFECTS)
        return own_postgres

    def statuses(self, server):
        sql = "SELECT status, count(*) FROM scalekit_queue_taskrecord GROUP BY status"
        return dict(server.execute(sql))

    @pytest.mark.timeout(180)
    def test_jobs_that_fail_while_database_and_broker_are_down_are_not_lost(
        self, migrated, own_valkey, broker, start_worker, start_relay, journal
    ):
        """Dramatiq itself loses them: it acknowledges what it could not enqueue again."""
        worker = start_worker("--threads=4").ready()
        relay = start_relay()
        for _ in range(8):
            stumble.enqueue(1.5)
        assert eventually(lambda: journal().count("attempt 1") >= 4)
        own_valkey.kill()
        migrated.kill()
        assert eventually(lambda: "The job waits" in worker.output, 30), worker.output
        migrated.start()
        own_valkey.start()
        assert eventually(lambda: self.statuses(migrated) == {"SUCCESSFUL": 8}, 100), self.statuses(
            migrated
        )
        assert journal().count("attempt 2") >= 8
        assert worker.process.poll() is None
        assert relay.process.poll() is None

    def test_job_that_cannot_be_claimed_goes_back_to_the_broker(
        self, migrated, broker, start_worker, start_relay, journal
    ):
        worker = start_worker().ready()
        worker.process.send_signal(signal.SIGSTOP)
        result = note.enqueue("x")
        migrated.kill()
        worker.process.send_signal(signal.SIGCONT)
        again = f"Job {result.id} is delivered again"
        assert eventually(lambda: again in worker.output, 30), worker.output
        assert journal() == []
        migrated.start()
        assert eventually(lambda: self.statuses(migrated) == {"SUCCESSFUL": 1}, 30)


class TestTwoDatabases:
    @pytest.fixture
    def queue_settings(self):
        return {"SCALEKIT_QUEUE_DATABASES": ["default", "shard"]}

    @pytest.fixture
    def queue_databases(self, queue_database, new_queue_database):
        return {"default": queue_database, "shard": new_queue_database()}

    def test_record_lies_where_the_transaction_was_and_is_found_there(
        self, broker, start_worker, rows
    ):
        from django.db import transaction

        with transaction.atomic(using="shard"):
            result = note.enqueue("x")
        assert rows("status") == []
        start_worker().ready()
        assert eventually(lambda: note.get_result(result.id).status == "SUCCESSFUL")

    def test_database_that_is_down_holds_up_no_job_of_another(
        self, broker, start_worker, journal, queue_databases, manage
    ):
        from django.db import transaction

        with transaction.atomic(using="shard"):
            for number in range(4):
                note.enqueue(f"shard {number}")
        note.enqueue("default")
        queue_databases["shard"] = {**queue_databases["shard"], "PORT": 1}
        worker = start_worker("--threads=1").ready()
        assert eventually(lambda: journal() == ["default"], 30), worker.output
