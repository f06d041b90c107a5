from __future__ import annotations

import pytest

from scalekit.queue.exceptions import BrokerUnreachable
from scalekit.queue.health import checks


def test_nothing_to_check_without_a_broker(settings):
    settings.SCALEKIT_QUEUE_BROKER = {}
    assert checks() == []


def test_broker_that_answers_is_well(broker):
    (check,) = checks()
    check.run()
    assert not check.critical


def test_broker_that_is_not_there_raises(settings):
    settings.SCALEKIT_QUEUE_BROKER = {
        "default": {
            "BACKEND": "scalekit.queue.brokers.redis.RedisBroker",
            "OPTIONS": {"url": "redis://127.0.0.1:1/0"},
        }
    }
    (check,) = checks()
    with pytest.raises(BrokerUnreachable):
        check.run()
