from __future__ import annotations

import pytest

from scalekit.queue.brokers import default_broker
from scalekit.queue.exceptions import MiddlewareInvalid
from scalekit.testing.queue.contracts import Heard

MEMORY = "scalekit.queue.brokers.memory.MemoryBroker"


def broker_with(settings, *middleware):
    options = {"middleware": list(middleware)}
    settings.SCALEKIT_QUEUE_BROKER = {"default": {"BACKEND": MEMORY, "OPTIONS": options}}
    return default_broker()


def test_middleware_of_others_stands_after_ours(settings):
    broker = broker_with(settings, "scalekit.testing.queue.contracts.Heard")
    assert isinstance(broker.middleware[-1], Heard)


@pytest.mark.parametrize(
    "path", ["no.such.Middleware", "dramatiq.results.Results", "not_even_a_path"]
)
def test_middleware_that_cannot_be_made_is_named(settings, path):
    with pytest.raises(MiddlewareInvalid, match=f"{path!r} cannot be made.*SCALEKIT_QUEUE_BROKER"):
        broker_with(settings, path)
