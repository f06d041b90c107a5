"""The keywords of `task` beyond Django's, on every Django."""

from __future__ import annotations

import pickle
from copy import deepcopy
from datetime import timedelta

import django
import pytest

from scalekit.core.context import facts
from scalekit.queue import task
from scalekit.queue.exceptions import ShardUnknown
from scalekit.queue.frameworks import framework
from scalekit.queue.models import TaskRecord
from scalekit.queue.tasks import invalid_task
from tests.queue.sample_tasks import hurried, note, once_an_hour, placed, unrecorded


def plain(word="x"):
    """Stand for a function of a project's."""


def test_keywords_become_options_of_the_message_in_milliseconds(broker):
    hurried.enqueue()
    options = TaskRecord.objects.get().options
    assert {name: options[name] for name in ("max_retries", "min_backoff", "time_limit")} == {
        "max_retries": 1,
        "min_backoff": 20,
        "time_limit": 60_000,
    }
    assert options["max_backoff"] == 90_000  # declared as timedelta


def test_task_without_keywords_adds_no_option(broker):
    note.enqueue()
    assert set(TaskRecord.objects.get().options) == {"scalekit"}


@pytest.mark.parametrize(
    "keywords",
    [
        {"max_retries": -1},
        {"max_retries": 1.5},
        {"max_retries": True},
        {"min_backoff": 0},
        {"max_backoff": "1h"},
        {"time_limit": timedelta(0)},
        {"time_limit": float("inf")},
        {"time_limit": float("nan")},
        {"unique_for": -5},
        {"unique_for": 60, "record": False},
        {"record": 1},
        {"shard": "nobody"},
        {"shard": ("users", "nobody")},
        {"rate_limit": "often"},
        {"concurrency": 0},
    ],
    ids=str,
)
def test_wrong_value_is_refused_where_the_task_is_declared_and_named(broker, keywords):
    with pytest.raises(invalid_task(), match=next(iter(keywords))):
        task(**keywords)(plain)


@pytest.mark.parametrize("keywords", [{"max_retreats": 1}, {"run_after": None}])
def test_unknown_keyword_is_a_type_error(broker, keywords):
    with pytest.raises(TypeError, match=next(iter(keywords))):
        task(**keywords)(plain)


@pytest.mark.skipif(django.VERSION < (6, 1), reason="other version: Django's own takes no keywords")
def test_djangos_own_decorator_takes_them_too(broker):
    from django.tasks import task as djangos

    assert djangos(max_retries=7)(plain).max_retries == 7
    with pytest.raises(TypeError, match="max_retreats"):
        djangos(max_retreats=7)(plain)


def test_task_runs_on_a_backend_of_another_kind(broker, settings, done):
    immediate = f"{framework().base.__name__.removesuffix('.base')}.backends.immediate"
    settings.TASKS = {"default": {"BACKEND": f"{immediate}.ImmediateBackend"}}
    assert hurried.enqueue().status == "SUCCESSFUL"


def test_task_and_result_pickle(broker):
    urgent = note.using(priority=50)
    assert pickle.loads(pickle.dumps(urgent)) == urgent
    result = hurried.enqueue()
    assert pickle.loads(pickle.dumps(result)) == result
    assert deepcopy(result) == result


def test_task_that_is_gone_does_not_unpickle(broker, monkeypatch):
    pickled = pickle.dumps(note)
    monkeypatch.delattr("tests.queue.sample_tasks.note")
    with pytest.raises(ValueError, match="to point to a Task"):
        pickle.loads(pickled)


def test_shard_is_that_of_the_argument(broker):
    asked = []

    def shards_for(group, key):
        asked.append((group, key))
        return {"users": 9}

    with facts["db_shards_for"].bind(shards_for):
        placed.enqueue(7)
        placed.enqueue(owner_id=8)
    assert asked == [("users", 7), ("users", 8)]
    carried = [row.options["scalekit"]["db_shards"] for row in TaskRecord.objects.all()]
    assert carried == [{"users": 9}] * 2


def test_shard_without_scalekit_db_is_refused_and_nothing_is_stored(broker, monkeypatch):
    monkeypatch.delitem(facts, "db_shards_for")
    with pytest.raises(ShardUnknown, match="is not in use"):
        placed.enqueue(7)
    assert not TaskRecord.objects.exists()


class TestUnique:
    def test_second_job_is_the_first(self, broker, waiting):
        first = once_an_hour.enqueue(1, key="a")
        assert once_an_hour.enqueue(1, key="a").id == first.id
        assert waiting() == 1

    def test_other_arguments_are_another_job(self, broker, waiting):
        assert once_an_hour.enqueue(1).id != once_an_hour.enqueue(2).id

    def test_queue_and_order_of_names_make_no_difference(self, broker, settings):
        settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": []}}
        first = once_an_hour.enqueue(a=1, b=(2,))
        assert once_an_hour.using(queue_name="other").enqueue(b=[2], a=1).id == first.id

    def test_job_that_has_finished_is_in_nobodys_way(self, broker, work_off, done):
        first = once_an_hour.enqueue()
        work_off()
        assert once_an_hour.enqueue().id != first.id

    def test_job_that_waits_for_its_retry_still_is(self, broker, work_off, done):
        first = once_an_hour.enqueue(fail=True)
        TaskRecord.objects.update(options={"max_retries": 1, "min_backoff": 60_000})
        work_off()
        assert done
        assert once_an_hour.enqueue(fail=True).id == first.id

    def test_time_ends_it_even_if_the_job_has_not(self, broker):
        first = once_an_hour.enqueue()
        past = django.utils.timezone.now() - timedelta(seconds=1)  # SQLite tells whole milliseconds
        TaskRecord.objects.update(unique_until=past)
        assert once_an_hour.enqueue().id != first.id

    def test_of_many_the_same_ones_are_one(self, broker):
        from scalekit.queue import enqueue_many

        ids = [result.id for result in enqueue_many(once_an_hour, [(1,), (2,), (1,)])]
        assert ids[0] == ids[2] != ids[1]


def test_job_without_a_record_runs_and_leaves_nothing(broker, work_off, done):
    result = unrecorded.enqueue("x")
    assert not TaskRecord.objects.exists()  # it is published
    work_off()
    assert done == ["x"]
    with pytest.raises(framework().exceptions.TaskResultDoesNotExist):
        unrecorded.get_result(result.id)
