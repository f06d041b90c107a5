"""Hooks of middleware, of which only those that do something are called."""

from __future__ import annotations

import pytest
from dramatiq import Middleware
from dramatiq.middleware import MiddlewareError

from scalekit.queue.brokers.memory import MemoryBroker


class Told(Middleware):
    """Notes what it is told; a subclass hears of one thing more."""

    def __init__(self, heard):
        self.heard = heard

    def before_ack(self, broker, message):
        self.heard.append(("before", message))


class ToldMore(Told):
    def after_ack(self, broker, message):
        self.heard.append(("after", message))


class Failing(Middleware):
    def before_ack(self, broker, message):
        raise self.error

    after_ack = before_ack


@pytest.fixture
def broker():
    broker = MemoryBroker("default")
    yield broker
    broker.close()


@pytest.fixture
def heard():
    return []


def test_inherited_hooks_are_called_too(broker, heard):
    broker.add_middleware(ToldMore(heard))
    broker.emit_before("ack", 1)
    broker.emit_after("ack", 1)
    assert heard == [("before", 1), ("after", 1)]


def test_hook_that_only_one_object_of_its_class_has_is_called(broker, heard):
    middleware = Middleware()
    middleware.after_ack = lambda _broker, message: heard.append(message)
    broker.add_middleware(middleware)
    broker.emit_after("ack", 1)
    assert heard == [1]


def test_middleware_that_is_added_or_removed_later_counts(broker, heard):
    broker.emit_before("ack", 0)
    late = Told(heard)
    broker.middleware.append(late)
    broker.emit_before("ack", 1)
    broker.middleware.remove(late)
    broker.emit_before("ack", 2)
    assert heard == [("before", 1)]


def test_hooks_after_run_in_the_reverse_order(broker, heard):
    class Named(Middleware):
        def __init__(self, name):
            self.name = name

        def after_ack(self, broker, message):
            heard.append(self.name)

    broker.add_middleware(Named("first"))
    broker.add_middleware(Named("last"))
    broker.emit_after("ack", 1)
    assert heard == ["last", "first"]


def test_error_of_one_hook_keeps_no_other_from_being_called(broker, heard):
    failing = Failing()
    failing.error = ValueError("of a hook")
    broker.add_middleware(failing)
    broker.add_middleware(ToldMore(heard))
    broker.emit_before("ack", 1)
    assert heard == [("before", 1)]


def test_middleware_error_is_for_the_caller_before_and_for_nobody_after(broker):
    failing = Failing()
    failing.error = MiddlewareError("stop")
    broker.add_middleware(failing)
    with pytest.raises(MiddlewareError, match="stop"):
        broker.emit_before("ack", 1)
    broker.emit_after("ack", 1)
