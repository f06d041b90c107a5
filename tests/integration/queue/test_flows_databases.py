"""Flows and effects where the queue has several databases, on real PostgreSQL ones."""

from __future__ import annotations

import pytest
from django.db import transaction

from scalekit.queue import cancel, get_group, once, pipeline, progress_of, step
from scalekit.queue.exceptions import NoTransaction
from scalekit.queue.models import InboxEntry, TaskGroup, TaskRecord
from scalekit.queue.progress import Progress
from tests.queue.flow_tasks import add, call_back
from tests.queue.playing import called, succeed, waiting

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("broker")]


@pytest.fixture
def broker_entry():
    return {"BACKEND": "scalekit.queue.brokers.memory.MemoryBroker"}


@pytest.fixture
def queue_databases(new_queue_database):
    return {"default": new_queue_database(), "other": new_queue_database()}


@pytest.fixture
def queue_settings():
    return {"SCALEKIT_QUEUE_DATABASES": ["default", "other"]}


def test_flow_lies_and_goes_on_in_the_database_that_was_written():
    with transaction.atomic(using="other"):
        found = pipeline(step(add, 1), step(add, 2)).enqueue(on_success=step(call_back, "done"))
    succeed(waiting("add", "other")[0], value=10, using="other")
    succeed(waiting("add", "other")[0], value=12, using="other")
    assert called("call_back", "other") == [[found.id, "done"]]
    assert get_group(found.id).values() == [12]
    assert not TaskRecord.objects.using("default").exists()
    assert not TaskGroup.objects.using("default").exists()


def test_job_is_found_wherever_it_lies():
    with transaction.atomic(using="other"):
        result = add.enqueue(1)
    said = {"done": 1, "total": 2, "message": ""}
    TaskRecord.objects.using("other").update(progress=said)
    assert progress_of(result) == Progress(1, 2)
    assert cancel(result)
    assert TaskRecord.objects.using("other").get().status == "FAILED"


def test_effect_is_noted_where_it_happens():
    with transaction.atomic(using="other"):
        assert once(key="charge")
    assert InboxEntry.objects.using("other").count() == 1
    with transaction.atomic():
        assert once(key="charge")  # of another database: another effect


def test_of_several_open_databases_that_of_the_effect_has_to_be_named():
    with transaction.atomic(), transaction.atomic(using="other"):
        with pytest.raises(NoTransaction, match="on 'default', 'other'"):
            once(key="charge")
        assert once(key="charge", using="other")
        assert not once(key="charge", using="other")
