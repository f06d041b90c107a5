from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scalekit.queue import enqueue_many, task
from scalekit.queue.exceptions import NotKeepable, PublishFailed
from scalekit.queue.frameworks import PRIMARY, framework
from scalekit.queue.models import TaskRecord
from tests.queue.sample_tasks import PRICE, note, think

framework_exceptions = framework().exceptions
InvalidTask = (
    getattr(framework_exceptions, "InvalidTask", None) or framework_exceptions.InvalidTaskError
)


def backend():
    return framework().task_backends["default"]


def next_message(broker):
    from dramatiq import Message

    return Message.decode(broker.queues["default"].get_nowait())


def test_result_is_ready_and_has_the_id_of_the_message(broker):
    result = note.enqueue(1, two=2)
    assert (result.status, result.args, result.kwargs) == ("READY", [1], {"two": 2})
    assert next_message(broker).message_id == result.id


def test_result_says_when_it_was_enqueued(broker):
    assert timezone.now() - note.enqueue().enqueued_at < timedelta(seconds=5)


def test_async_enqueue(broker, waiting):
    result = async_to_sync(think.aenqueue)("deep")
    assert waiting() == 1
    assert next_message(broker).message_id == result.id


def test_message_holds_path_and_json_arguments(broker):
    note.enqueue((1, 2), key=b"text")
    assert next_message(broker).args == (
        "tests.queue.sample_tasks.note",
        [[1, 2]],
        {"key": "text"},
    )


def test_argument_that_is_no_json_is_refused_and_nothing_is_published(broker, waiting):
    with pytest.raises(TypeError, match="Unsupported type"):
        note.enqueue(object())
    assert waiting() == 0


def test_fact_that_is_no_json_is_named_and_nothing_is_published(broker, waiting):
    with PRICE.bind(Decimal(1)), pytest.raises(TypeError, match="fact 'test_price'"):
        note.enqueue()
    assert waiting() == 0


def test_enqueued_signal_comes_from_the_backend(broker):
    senders = []

    def receive(sender, task_result, **_):
        senders.append((sender, task_result.id))

    framework().signals.task_enqueued.connect(receive)
    try:
        result = note.enqueue()
    finally:
        framework().signals.task_enqueued.disconnect(receive)
    assert senders == [(type(backend()), result.id)]


def test_receiver_that_fails_does_not_undo_the_enqueueing(broker, waiting):
    def fail(**_):
        raise ValueError("a receiver's own problem")

    framework().signals.task_enqueued.connect(fail)
    try:
        note.enqueue()
    finally:
        framework().signals.task_enqueued.disconnect(fail)
    assert waiting() == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"priority": 101}, "priority must be a whole number between -100 and 100."),
        ({"run_after": datetime(2030, 1, 1)}, "run_after must be an aware datetime."),  # noqa: DTZ001 - naive on purpose
        ({"queue_name": "nowhere"}, "Queue 'nowhere' is not valid for backend."),
    ],
)
def test_what_it_cannot_do_is_refused_in_the_frameworks_words(broker, changes, message):
    with pytest.raises(InvalidTask) as refusal:
        note.using(**changes)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("priority", "lane"),
    [
        (100, "default.high"),
        (34, "default.high"),
        (33, "default"),
        (-33, "default"),
        (-34, "default.low"),
        (-100, "default.low"),
    ],
)
def test_priority_chooses_the_lane(broker, waiting, priority, lane):
    note.using(priority=priority).enqueue()
    assert waiting(lane) == 1


def test_job_of_later_waits_in_the_database(broker, waiting):
    tomorrow = timezone.now() + timedelta(days=1)
    result = note.using(run_after=tomorrow).enqueue()
    assert waiting() == 0
    assert note.get_result(result.id).task.run_after == tomorrow


def test_task_is_validated_again_when_it_is_enqueued(broker, settings, waiting):
    settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": ["mail"]}}
    with pytest.raises(InvalidTask):
        note.enqueue()
    assert waiting() == 0


def test_function_inside_a_function_is_no_task(broker):
    with pytest.raises(InvalidTask, match="module level"):
        task(lambda: None)


def test_any_queue_is_valid_where_the_backend_names_none(broker, settings, waiting):
    settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": []}}
    note.using(queue_name="thumbnails").enqueue()
    assert waiting("thumbnails") == 1


def test_flags_tell_the_truth(broker):
    flags = ["supports_async_task", "supports_defer", "supports_get_result", "supports_priority"]
    assert all(getattr(backend(), flag) for flag in flags)


@pytest.mark.parametrize("value", [float("nan"), "a\x00b", "half of a pair: \ud800"])
def test_argument_that_no_database_keeps_is_refused_and_nothing_is_stored(broker, waiting, value):
    with pytest.raises(NotKeepable, match="leave out NaN"):
        note.enqueue({"deep": [value]})
    assert (waiting(), TaskRecord.objects.count()) == (0, 0)


def test_enqueueing_is_announced(broker, heard):
    enqueued = heard("queue_job_enqueued")
    result = note.enqueue()
    assert enqueued == [
        {"task": "tests.queue.sample_tasks.note", "queue": "default", "id": result.id}
    ]


def test_many_are_stored_in_one_statement(broker, waiting):
    with CaptureQueriesContext(connection) as queries:
        results = enqueue_many(note, [(1,), {"key": 2}, ((3,), {"key": 4})])
    assert sum("INSERT" in query["sql"] for query in queries) == 1
    assert [(r.args, r.kwargs) for r in results] == [
        ([1], {}),
        ([], {"key": 2}),
        ([3], {"key": 4}),
    ]
    assert waiting() == 3


def test_many_of_none_are_none(broker):
    assert enqueue_many(note, []) == []


def test_many_calls_that_are_none_are_refused_and_nothing_is_stored(broker, waiting):
    with pytest.raises(TypeError, match="write a tuple of arguments"):
        enqueue_many(note, [(1,), "text"])
    assert waiting() == 0


def test_many_go_to_a_backend_of_another_kind_one_by_one(broker, settings, done):
    settings.TASKS = {"default": {"BACKEND": f"{PRIMARY}.backends.immediate.ImmediateBackend"}}
    assert [r.status for r in enqueue_many(note, [(1,), (2,)])] == ["SUCCESSFUL"] * 2


def test_row_is_stored_in_the_transaction_and_its_result_is_visible_there(broker, waiting):
    with transaction.atomic():
        result = note.enqueue()
        assert note.get_result(result.id).status == "READY"
        assert waiting() == 0
    assert waiting() == 1


def test_without_a_broker_jobs_wait_in_the_database(broker, settings):
    settings.SCALEKIT_QUEUE_BROKER = {}
    assert note.get_result(note.enqueue().id).status == "READY"


def test_broker_that_takes_nothing_costs_the_caller_nothing_and_is_announced(
    broker, heard, monkeypatch
):
    def refuse(*_args, **_options):
        raise PublishFailed

    monkeypatch.setattr(broker, "enqueue", refuse)
    monkeypatch.setattr(broker, "enqueue_many", refuse)
    failed = heard("queue_publish_failed")
    result = note.enqueue()
    assert [payload["id"] for payload in failed] == [result.id]
    assert note.get_result(result.id).status == "READY"
