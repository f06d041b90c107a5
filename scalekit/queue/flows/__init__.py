"""Jobs that belong together: groups, pipelines, and what is called when they end.

    step(task, 1, 2)                          a call that is not made yet
    group([step(a, 1), step(a, 2)])           side by side
    pipeline(step(a, 1), step(b))             one after the other, the result of one given to the next
    group([...]).enqueue(on_failure=step(c))  a callback

`advance` takes each further step in the very transaction in which a job is finished, so that no death of a
process comes between the two. Page: docs/howto/compose_jobs.md.
"""

from __future__ import annotations

from scalekit.queue.flows.advancing import advance
from scalekit.queue.flows.dead_members import discarded, requeued
from scalekit.queue.flows.results import GroupResult, get_group
from scalekit.queue.flows.steps import Group, Pipeline, Step, group, pipeline, step

__all__ = [
    "Group",
    "GroupResult",
    "Pipeline",
    "Step",
    "advance",
    "discarded",
    "get_group",
    "group",
    "pipeline",
    "requeued",
    "step",
]
