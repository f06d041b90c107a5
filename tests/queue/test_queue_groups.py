"""Groups as a whole: how they end when their callbacks cannot be told, and how they are cancelled."""

from __future__ import annotations

import pytest

from scalekit.queue import group, pipeline, step
from scalekit.queue.models import TaskGroup, TaskRecord
from tests.queue.flow_tasks import add, call_back, total
from tests.queue.playing import called, die, discarded, requeued, succeed, waiting

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
