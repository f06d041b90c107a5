"""Writes to default and both shards, and what interrupts them."""

# ruff: noqa: PT012 - the block runs until it dies at its end

from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.db import connections

from scalekit.db import two_phase
from scalekit.db.sharding.mapping.connecting import own_connection
from scalekit.db.sharding.transactions.coordinating import Coordinator
from scalekit.db.sharding.transactions.recovering import recover
from tests.integration.db.across.conftest import SHARDS

DECIDE = "INSERT INTO scalekit_db_transactiondecision"


def write(keys, note="both"):
    from tests.db.shop.models import Customer, Order

    Customer.objects.create(name=note)
    for key in keys:
        Order.objects.create(customer_id=key, note=note)


def counts():
    """Rows on default and each shard, as others see them."""
    from tests.db.shop.models import Customer, Order

    return (Customer.objects.count(), *(Order.objects.using(alias).count() for alias in SHARDS))


@contextmanager
def at(alias, statement, act):
    """Call `act(params)` just before a statement is sent."""

    def wrapper(execute, sql, params, many, context):
        if str(sql).startswith(statement):
            act(params)
        return execute(sql, params, many, context)

    with connections[alias].execute_wrapper(wrapper):
        yield


def recovered(grace=0.0):
    return sorted(one.action for one in recover(grace))


def terminate(alias):
    pid = connections[alias].connection.info.backend_pid
    with own_connection(alias) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


class Died(BaseException):
    pass


def leave_prepared(keys, note="both"):
    """End a block as a process does that dies after its prepares: nobody tidies up."""

    def die(_):
        raise Died

    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(Died),
        at("default", DECIDE, die),
        two_phase("users"),
    ):
        patch.setattr(Coordinator, "_outcome", lambda *_: "rollback")
        patch.setattr(Coordinator, "_undo", lambda _: None)
        write(keys, note=note)
