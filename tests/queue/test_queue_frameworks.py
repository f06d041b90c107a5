"""Django's Tasks framework and the backport, each with Task classes of its own, in one process."""

from __future__ import annotations

import django
import pytest

from scalekit.queue.frameworks import framework, framework_of
from tests.queue.sample_tasks import done, note

pytestmark = pytest.mark.skipif(
    django.VERSION < (6, 0), reason="other version: Django 5.2 has the backport alone"
)


@pytest.fixture
def backport(broker):
    return framework("django_tasks")


@pytest.fixture
def backport_note(backport):
    from tests.queue import backport_tasks

    return backport_tasks.backport_note


def test_task_is_one_of_djangos_tasks():
    from django.tasks import Task

    assert isinstance(note, Task)


def test_each_framework_gets_a_backend_of_its_kind(backport):
    for one in (framework(), backport):
        assert isinstance(one.task_backends["default"], one.backends.BaseTaskBackend)
        assert issubclass(one.task_backends["default"].task_class, one.base.Task)


def test_backend_is_found_by_the_name_in_the_settings(broker):
    from scalekit.queue.backend import DramatiqBackend

    assert type(framework().task_backends["default"]) is DramatiqBackend


def test_task_knows_its_framework(backport, backport_note):
    assert framework_of(note) is framework()
    assert framework_of(backport_note) is backport
    assert framework_of(note.func) is None


def test_each_result_is_of_the_frameworks_class(backport, backport_note):
    assert isinstance(note.enqueue("django"), framework().base.TaskResult)
    assert isinstance(backport_note.enqueue("backport"), backport.base.TaskResult)


def test_one_worker_runs_both(backport_note, work_off):
    note.enqueue("django")
    backport_note.enqueue("backport")
    work_off()
    assert done == [(["django"], {}), "backport"]


def test_refusal_is_in_the_frameworks_own_class(backport, backport_note):
    with pytest.raises(backport.exceptions.InvalidTaskError, match="whole number between"):
        backport_note.using(priority=101)


def test_result_of_the_backport_is_none_of_djangos(backport, backport_note):
    result = backport_note.enqueue("x")
    assert backport_note.get_result(result.id).task == backport_note
    with pytest.raises(framework().exceptions.TaskResultDoesNotExist):
        note.get_result(result.id)


def test_signals_of_the_backport_are_sent_to_its_receivers(backport, backport_note, work_off):
    ids = []

    def receive(sender, task_result, **_):
        ids.append((sender, task_result.id))

    backport.signals.task_finished.connect(receive)
    try:
        result = backport_note.enqueue("x")
        work_off()
    finally:
        backport.signals.task_finished.disconnect(receive)
    assert ids == [(type(backport.task_backends["default"]), result.id)]
