"""Work that outlives the request: Django's Tasks framework on Dramatiq workers.

    from scalekit.queue import task

    @task
    def make_thumbnail(photo_id): ...

    make_thumbnail.enqueue(photo.id)      # leaves when the transaction commits

`task` is Django's own decorator (the `django-tasks` backport's on Django 5.2); `actor` declares a plain
Dramatiq actor on the broker of SCALEKIT_QUEUE_BROKER. Both are imported on first use, so that the app
may be installed without them. Page: docs/journey/message_queue.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.tasks import task

    from scalekit.queue.actors import actor

__all__ = ["actor", "task"]


def __getattr__(name: str) -> Any:
    if name == "task":
        from scalekit.queue.frameworks import framework

        return framework().base.task
    if name == "actor":
        from scalekit.queue.actors import actor

        return actor
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
