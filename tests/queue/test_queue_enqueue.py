from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from scalekit.core.exceptions import SettingInvalid
from scalekit.queue import task
from scalekit.queue.exceptions import PublishFailed
from scalekit.queue.frameworks import framework
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
        ({"priority": 5}, "Backend does not support setting priority of tasks."),
        ({"priority": 101}, "Backend does not support setting priority of tasks."),
        ({"run_after": timezone.now()}, "Backend does not support run_after."),
        ({"queue_name": "nowhere"}, "Queue 'nowhere' is not valid for backend."),
    ],
)
def test_what_it_cannot_do_is_refused_in_the_frameworks_words(broker, changes, message):
    with pytest.raises(InvalidTask) as refusal:
        note.using(**changes)
    assert str(refusal.value) == message


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


def test_results_cannot_be_asked_for_yet(broker):
    with pytest.raises(NotImplementedError):
        note.get_result("123")


def test_flags_tell_the_truth(broker):
    flags = ["supports_async_task", "supports_defer", "supports_get_result", "supports_priority"]
    assert [getattr(backend(), flag) for flag in flags] == [True, False, False, False]


def test_threads_that_enqueue_first_do_not_disturb_each_other(broker, waiting):
    start = Barrier(8)

    def enqueue(number):
        start.wait()
        return note.enqueue(number)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(enqueue, range(8)))
    assert waiting() == len({result.id for result in results}) == 8


def test_enqueueing_is_announced(broker, heard):
    enqueued = heard("queue_job_enqueued")
    result = note.enqueue()
    assert enqueued == [
        {"task": "tests.queue.sample_tasks.note", "queue": "default", "id": result.id}
    ]


def test_without_a_broker_enqueueing_says_what_to_set(broker, settings):
    settings.SCALEKIT_QUEUE_BROKER = {}
    with pytest.raises(SettingInvalid, match="SCALEKIT_QUEUE_BROKER"):
        note.enqueue()


def test_broker_that_takes_nothing_raises_and_is_announced(broker, heard, monkeypatch):
    def refuse(*_args, **_options):
        raise PublishFailed

    monkeypatch.setattr(broker, "enqueue", refuse)
    failed = heard("queue_publish_failed")
    with pytest.raises(PublishFailed, match="may or may not run"):
        note.enqueue()
    assert len(failed) == 1
