"""A task of the `django-tasks` backport, as Wagtail declares its own on every Django."""

from __future__ import annotations

from django_tasks import task

from tests.queue.sample_tasks import done


@task
def backport_note(word):
    done.append(word)
