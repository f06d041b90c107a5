"""What is forgotten, and when."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from scalekit.queue import get_group, group, once, pipeline, step
from scalekit.queue.exceptions import GroupUnknown
from scalekit.queue.housekeeping import forget_groups, forget_inbox, forget_limits
from scalekit.queue.models import (
    InboxEntry,
    Limit,
    LimitHolder,
    LimitWaiter,
    TaskGroup,
    TaskRecord,
)
from scalekit.queue.sweeping import forget_expired
from tests.queue.flow_tasks import add, total
from tests.queue.playing import die, requeued, succeed, waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]


def ago(**how):
    return Now() - timedelta(**how)


def test_effect_is_known_for_as_long_as_the_setting_says(settings):
    settings.SCALEKIT_QUEUE_KEEP_INBOX_SECONDS = 3600
    once(key="old")
    InboxEntry.objects.update(happened_at=ago(hours=2))
    once(key="new")
    forget_inbox("default")
    assert [once(key="old"), once(key="new")] == [True, False]


def test_effect_is_known_for_ever_if_the_setting_says_so(settings):
    settings.SCALEKIT_QUEUE_KEEP_INBOX_SECONDS = None
    once(key="old")
    InboxEntry.objects.update(happened_at=ago(days=1000))
    forget_inbox("default")
    assert not once(key="old")


def test_group_that_has_succeeded_is_forgotten_as_its_jobs_are(settings):
    settings.SCALEKIT_QUEUE_KEEP_SUCCESSFUL_SECONDS = 3600
    found = group([group([step(add)])]).enqueue()
    forget_groups("default")
    succeed(waiting("add")[0])
    forget_groups("default")
    assert get_group(found.id).is_finished
    TaskGroup.objects.update(finished_at=ago(hours=2))
    forget_groups("default")
    assert not TaskGroup.objects.exists()


def test_group_with_a_dead_member_is_kept_as_long_as_that(settings):
    settings.SCALEKIT_QUEUE_KEEP_FAILED_SECONDS = 7200
    found = group([group([step(add)]), group([step(add)])]).enqueue()
    one, other = waiting("add")
    die(one)
    succeed(other)
    TaskGroup.objects.filter(pk=found.id).update(finished_at=ago(hours=1))
    forget_groups("default")
    assert TaskGroup.objects.count() == 3
    TaskGroup.objects.filter(pk=found.id).update(finished_at=ago(hours=3))
    forget_groups("default")
    assert not TaskGroup.objects.exists()


def test_results_are_kept_while_a_dead_member_may_yet_succeed():
    """Whether their own group, or one around it, is waiting for it."""
    pipeline(group([group([step(add, 1)]), step(add, 2), step(add, 3)]), step(total)).enqueue()
    inner, outer, dead = waiting("add")
    succeed(inner, value=1)
    succeed(outer, value=2)
    die(dead)
    TaskRecord.objects.update(expires_at=ago(days=1))
    forget_expired("default")
    succeed(requeued(dead), value=3)
    assert waiting("total")[0].args == [[[1], 2, 3]]


def test_results_beside_a_dead_member_are_kept_as_long_as_it_may_be_requeued():
    found = group([step(add, 1), step(add, 2)]).enqueue()
    dead, other = waiting("add")
    succeed(other, value=2)
    die(dead)
    TaskRecord.objects.filter(pk=other.pk).update(expires_at=ago(days=1))
    forget_expired("default")
    succeed(requeued(dead), value=1)
    assert found.values() == [1, 2]


def test_results_that_are_forgotten_are_no_short_list():
    found = group([step(add, 1), step(add, 2)]).enqueue()
    for row in waiting("add"):
        succeed(row)
    TaskRecord.objects.filter(args=[1]).delete()
    with pytest.raises(GroupUnknown, match="Of 2 results 1 are left"):
        found.values()


def test_places_and_lines_that_nobody_uses_are_forgotten():
    for name, when in (("old", ago(days=2)), ("new", ago(hours=1))):
        Limit.objects.create(name=name, theoretical_arrival=when)
        LimitHolder.objects.create(name=name, place=0, holder="", until=when)
    LimitWaiter.objects.create(
        name="old", job=add.enqueue().id, database="default", since=ago(days=8)
    )
    forget_limits("default")
    assert [row.name for row in (*Limit.objects.all(), *LimitHolder.objects.all())] == ["new"] * 2
    assert not LimitWaiter.objects.exists()
