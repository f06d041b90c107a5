"""Effects that happen once."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.db import IntegrityError, transaction

from scalekit.core.context import unit_of_work
from scalekit.queue import once
from scalekit.queue.exceptions import NoTransaction
from scalekit.queue.facts import JOB_ID
from scalekit.queue.models import InboxEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def in_a_job():
    with unit_of_work():
        JOB_ID.set("0191d6a4-0000-7000-8000-000000000000")
        yield


def test_the_first_time_is_the_only_one():
    assert [once(key="charge") for _ in range(3)] == [True, False, False]


def test_effect_that_was_rolled_back_may_happen_again():
    with transaction.atomic():
        assert once(key="charge")
        transaction.set_rollback(True)
    assert once(key="charge")


@pytest.mark.usefixtures("in_a_job")
def test_effects_of_a_job_are_told_apart_by_name():
    assert [once(), once("mail"), once("charge"), once(), once("mail")] == [True] * 3 + [False] * 2
    assert InboxEntry.objects.filter(pk="0191d6a4-0000-7000-8000-000000000000:mail").exists()


def test_outside_a_job_a_key_is_needed():
    with pytest.raises(ValueError, match="once\\(key='order:7:charge'\\)"):
        once("charge")


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_key_that_the_table_cannot_hold_is_refused(key):
    with pytest.raises(ValueError, match="1 to 255 characters"):
        once(key=key)


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_it_says_what_to_write():
    with pytest.raises(NoTransaction, match=r"with transaction.atomic\(\)"):
        once(key="charge")
    with pytest.raises(NoTransaction, match="No transaction is open on 'default'"):
        once(key="charge", using="default")


@pytest.mark.django_db(transaction=True)
def test_caught_error_of_the_effect_takes_the_entry_along_with_its_savepoint():
    with transaction.atomic():
        with suppress(IntegrityError), transaction.atomic():
            assert once(key="charge")
            raise IntegrityError
        assert once(key="charge")
