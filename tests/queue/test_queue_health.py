from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from scalekit.queue.exceptions import BrokerUnreachable
from scalekit.queue.health import OutboxMoves, OutboxStuck, checks


def test_nothing_to_check_without_a_broker(settings):
    settings.SCALEKIT_QUEUE_BROKER = {}
    assert checks() == []


def test_broker_that_answers_is_well(broker):
    check, _ = checks()
    check.run()


def test_no_check_takes_a_web_server_out_of_service(broker):
    assert not any(check.critical for check in checks())


def test_broker_that_is_not_there_raises(settings):
    settings.SCALEKIT_QUEUE_BROKER = {
        "default": {
            "BACKEND": "scalekit.queue.brokers.redis.RedisBroker",
            "OPTIONS": {"url": "redis://127.0.0.1:1/0"},
        }
    }
    check, _ = checks()
    with pytest.raises(BrokerUnreachable):
        check.run()


@pytest.fixture
def due(db):
    """Give a function that puts a job into the outbox which has been due for so many seconds."""
    from scalekit.queue.ids import new_id
    from scalekit.queue.models import TaskRecord

    return lambda seconds: TaskRecord.objects.create(
        id=new_id(),
        path="a.b",
        queue_name="default",
        publish_at=timezone.now() - timedelta(seconds=seconds),
    )


@pytest.mark.parametrize("seconds", [None, -900, 5])
def test_outbox_in_which_nothing_is_late_is_well(broker, due, seconds):
    if seconds is not None:
        due(seconds)
    OutboxMoves().run()


def test_outbox_that_nobody_publishes_says_what_to_start(broker, due):
    due(100)
    with pytest.raises(OutboxStuck, match="no relay runs: start run_workers"):
        OutboxMoves().run()


def test_outbox_that_a_living_relay_does_not_publish_says_where_to_look(broker, due):
    from scalekit.queue.models import Lease

    due(100)
    until = timezone.now() + timedelta(seconds=30)
    Lease.objects.create(name="relay", holder="a relay", until=until)
    with pytest.raises(OutboxStuck, match="though a relay runs"):
        OutboxMoves().run()
