"""Groups as a whole: how they end when their callbacks cannot be told, and how they are cancelled."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync

from scalekit.queue import get_group, group, pipeline, records, step
from scalekit.queue.exceptions import TaskCancelled
from scalekit.queue.models import TaskGroup, TaskRecord
from tests.queue.flow_tasks import add, call_back, total
from tests.queue.playing import begin, called, die, discarded, requeued, succeed, waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]


def callbacks():
    """Return which callbacks wait to be run."""
    return sorted(args[1] for args in called("call_back"))


def left_of(found):
    """Return how many members of a group are pending, and how many failed."""
    found.refresh()
    return found.pending, found.failed


def test_member_whose_group_cannot_call_back_is_a_dead_letter_that_ends_it_when_it_is_requeued():
    found = group([step(add, 1)]).enqueue(on_finish=step(call_back, "over"))
    stored = TaskGroup.objects.get().on_finish
    TaskGroup.objects.update(on_finish={"unheard": "of"})
    [member] = waiting("add")
    succeed(member)
    found.refresh()
    assert (TaskRecord.objects.get().status, found.pending) == ("FAILED", 1)
    TaskGroup.objects.update(on_finish=stored)
    succeed(requeued(member))
    assert callbacks() == ["over"]
    found.refresh()
    assert (found.pending, found.failed) == (0, 0)


def test_group_that_cannot_call_back_ends_when_its_dead_member_is_discarded(caplog):
    found = group([step(add, 1), step(add, 2)]).enqueue(
        on_failure=step(call_back, "some failed"), on_finish=step(call_back, "over")
    )
    TaskGroup.objects.update(on_finish={"unheard": "of"})
    first, last = waiting("add")
    succeed(first)
    succeed(last)
    assert left_of(found) == (1, 0)
    discarded(last)
    assert left_of(found) == (0, 1)
    assert TaskGroup.objects.get().finished_at is not None
    assert callbacks() == ["some failed"]
    assert "on_finish" in caplog.text


def test_group_around_one_that_cannot_call_back_ends_too_when_the_dead_member_is_discarded():
    whole = pipeline(group([step(add, 1)]), step(total))
    found = whole.enqueue(on_failure=step(call_back, "some failed"))
    good = TaskGroup.objects.get(group__isnull=False)
    TaskGroup.objects.filter(pk=good.pk).update(on_failure={"unheard": "of"})
    [member] = waiting("add")
    die(member)
    discarded(member)
    assert left_of(found) == (0, 1)
    assert callbacks() == ["some failed"]


def test_dead_member_that_was_counted_is_not_counted_again_when_it_is_discarded():
    found = group([step(add, 1), step(add, 2)]).enqueue(on_failure=step(call_back, "some failed"))
    first, second = waiting("add")
    die(first)
    discarded(first)
    assert left_of(found) == (1, 1)
    succeed(second)
    assert left_of(found) == (0, 1)
    assert callbacks() == ["some failed"]


def test_group_that_is_cancelled_ends_at_once_where_none_has_begun_and_the_callback_sees_why():
    found = group([step(add, n) for n in range(3)]).enqueue(
        on_success=step(call_back, "well"), on_failure=step(call_back, "cancelled")
    )
    assert found.cancel() == 3
    assert (found.pending, found.failed) == (0, 3)
    assert callbacks() == ["cancelled"]
    errors = [result.errors[0].exception_class for result in get_group(found.id).results()]
    assert errors == [TaskCancelled] * 3


def test_member_that_runs_goes_on_when_its_group_is_cancelled():
    found = group([step(add, 1), step(add, 2)]).enqueue(on_failure=step(call_back, "cancelled"))
    running, _ = waiting("add")
    job = begin(running)
    assert found.cancel() == 1
    assert (found.pending, found.failed) == (1, 1)
    assert callbacks() == []
    assert records.finish(job, value=1)
    assert TaskRecord.objects.get(pk=running.pk).status == "SUCCESSFUL"
    assert callbacks() == ["cancelled"]


def test_member_that_runs_is_asked_to_stop_where_that_is_wanted():
    found = group([step(add, 1), step(add, 2)]).enqueue()
    running, _ = waiting("add")
    begin(running)
    assert found.cancel(running=True) == 2
    assert TaskRecord.objects.get(pk=running.pk).cancel_asked


def test_member_that_has_ended_stays_as_it_is_when_its_group_is_cancelled():
    found = group([step(add, 1), step(add, 2)]).enqueue()
    done, _ = waiting("add")
    succeed(done)
    assert found.cancel(running=True) == 1
    assert (found.pending, found.failed) == (0, 1)


def test_groups_and_pipelines_in_a_cancelled_group_are_cancelled_too():
    inner = pipeline(group([step(add, 1), step(add, 2)]), step(total))
    found = group([inner, pipeline(step(add, 3), step(add))]).enqueue(
        on_failure=step(call_back, "cancelled")
    )
    assert found.cancel() == 3
    assert (found.pending, found.failed) == (0, 2)
    assert waiting("add") == waiting("total") == []
    assert callbacks() == ["cancelled"]


def test_cancelled_member_that_is_requeued_runs_after_all():
    found = group([step(add, 1)]).enqueue(on_success=step(call_back, "after all"))
    found.cancel()
    succeed(requeued(TaskRecord.objects.get(path=add.module_path)))
    assert left_of(found) == (0, 0)
    assert callbacks() == ["after all"]


def test_group_is_cancelled_from_async_code():
    found = group([step(add, 1)]).enqueue()
    assert async_to_sync(found.acancel)() == 1
    assert found.failed == 1
