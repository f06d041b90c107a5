"""Tasks for the tests of flows; what they were called with does not matter there."""

from __future__ import annotations

from scalekit.queue import task


@task
def add(*numbers):
    return sum(numbers)


@task
def total(numbers, more=0):
    return sum(numbers) + more


@task
def call_back(group_id, word):
    return f"{word} {group_id}"


@task(priority=50, queue_name="default")
def urgent():
    return None


@task(record=False)
def unrecorded():
    return None


@task(unique_for=60)
def unique():
    return None


@task(rate_limit="10/s", concurrency=2, limit_by="account")
def limited(account):
    return account


@task(shard=("users", "owner_id"))
def of_owner(owner_id):
    return owner_id


@task(concurrency=1, limit_by="account", takes_context=True)
def limited_with_context(context, account):
    return account
