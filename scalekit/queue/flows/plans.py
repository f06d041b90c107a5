"""A flow as JSON, as it waits in the rows of the jobs and groups that come before.

A chain is a list of elements that follow one another; an element is one job, ``{"job": its fields, "sharded": ...}``, or one
group, ``{"id": ..., "members": [chain, ...]}``. Whole rows are kept, not the names of tasks: a worker of an
older release sends the next step too, although only a newer one can run it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from scalekit.queue.flows.steps import Group, Pipeline, Step
from scalekit.queue.ids import new_id
from scalekit.queue.models import TaskRecord
from scalekit.queue.records import new_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scalekit.queue.flows.steps import Node

Element = dict[str, Any]
Chain = list[Element]

_FIELDS = ("path", "queue_name", "priority", "backend", "args", "kwargs", "options")


def ids_for(*nodes: Node | None) -> Iterator[UUID]:
    """Return an id for each job and group of `nodes`, in ascending order.

    In that order `chain_of` takes them, so that the order of the ids is the order of the members.
    """
    return iter(sorted(new_id() for _ in range(sum(_size(node) for node in nodes if node))))


def _size(node: Node) -> int:
    match node:
        case Group(members=inner):
            return 1 + sum(map(_size, inner))
        case Pipeline(steps=inner):
            return sum(map(_size, inner))
    return 1


def chain_of(node: Node, ids: Iterator[UUID]) -> Chain:
    """Return what `node` is made of, one after the other."""
    match node:
        case Pipeline(steps=steps):
            return [element for each in steps for element in chain_of(each, ids)]
        case Group(members=members):
            own = str(next(ids))
            return [{"id": own, "members": [chain_of(member, ids) for member in members]}]
    return [job_of(node, next(ids))]


def job_of(step: Step, id: UUID) -> Element:  # noqa: A002 - as in the table
    row = new_row(step.task, step.args, step.kwargs, id=id)
    fields = {name: getattr(row, name) for name in _FIELDS}
    run_after = row.run_after.isoformat() if row.run_after else None
    sharded = getattr(step.task, "shard", None) is not None
    return {"job": {**fields, "id": str(id), "run_after": run_after}, "sharded": sharded}


def row_of(element: Element, given: tuple[Any, ...]) -> TaskRecord:
    """Return the unsaved row of a job, with what it is `given` before its own arguments."""
    fields = dict(element["job"])
    run_after = fields.pop("run_after")
    row = TaskRecord(**{**fields, "id": UUID(fields["id"]), "options": {**fields["options"]}})
    row.args = [*given, *row.args]
    row.run_after = datetime.fromisoformat(run_after) if run_after else None
    return row
