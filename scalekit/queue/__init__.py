"""Work that outlives the request: Django's Tasks framework on Dramatiq workers.

    from scalekit.queue import task

    @task
    def make_thumbnail(photo_id): ...

    make_thumbnail.enqueue(photo.id)      # leaves when the transaction commits

`task` is Django's decorator (the `django-tasks` backport's on Django 5.2) with more keywords; `actor`
declares a plain Dramatiq actor on the broker of SCALEKIT_QUEUE_BROKER. `group`, `pipeline` and `step` compose
jobs, `cancel`, `report_progress` and `progress_of` deal with one, and `once` guards its effects. All names are
imported on first use, so that the app may be installed without what they need.

Pages: docs/journey/message_queue.md, docs/howto/compose_jobs.md and docs/explanation/exactly_once.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalekit.queue.actors import actor
    from scalekit.queue.backend import enqueue_many
    from scalekit.queue.cancelling import cancel
    from scalekit.queue.flows import get_group, group, pipeline, step
    from scalekit.queue.inbox import once
    from scalekit.queue.progress import progress_of, report_progress
    from scalekit.queue.tasks import task

__all__ = [
    "actor",
    "cancel",
    "enqueue_many",
    "get_group",
    "group",
    "once",
    "pipeline",
    "progress_of",
    "report_progress",
    "step",
    "task",
]

_LATER = {
    "actor": "scalekit.queue.actors",
    "cancel": "scalekit.queue.cancelling",
    "enqueue_many": "scalekit.queue.backend",
    "get_group": "scalekit.queue.flows",
    "group": "scalekit.queue.flows",
    "once": "scalekit.queue.inbox",
    "pipeline": "scalekit.queue.flows",
    "progress_of": "scalekit.queue.progress",
    "report_progress": "scalekit.queue.progress",
    "step": "scalekit.queue.flows",
    "task": "scalekit.queue.tasks",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(_LATER[name]), name)
