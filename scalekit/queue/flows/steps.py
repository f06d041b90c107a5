"""What is to be called, before it is: frozen values, which are checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from scalekit.queue.exceptions import FlowInvalid
from scalekit.queue.frameworks import framework_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scalekit.queue.flows.results import GroupResult


@dataclass(frozen=True, slots=True)
class Step:
    """A call of a Task that may become a job."""

    task: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class _Flow:
    """What can be enqueued as a whole."""

    __slots__ = ()

    def enqueue(
        self,
        *,
        on_success: Step | None = None,
        on_failure: Step | None = None,
        on_finish: Step | None = None,
    ) -> GroupResult:
        """Enqueue all that can begin, when the open transaction commits; return where to see what became of it.

        When every job has ended, `on_success` is enqueued if none failed for good, else `on_failure`, and
        `on_finish` in both cases. Each gets the id of the group as its first argument (see `get_group`).
        """
        from scalekit.queue.flows.enqueuing import enqueue

        callbacks = {"on_success": on_success, "on_failure": on_failure, "on_finish": on_finish}
        for name, callback in callbacks.items():
            if callback is not None and not isinstance(callback, Step):
                raise FlowInvalid(f"{name} is {callback!r}; write {name}=step(task, ...).")
        return enqueue(self, callbacks)  # type: ignore[arg-type]  # one of the two below

    async def aenqueue(self, **callbacks: Step | None) -> GroupResult:
        """Do what `enqueue` does, from async code."""
        return await sync_to_async(self.enqueue, thread_sensitive=True)(**callbacks)


@dataclass(frozen=True, slots=True)
class Group(_Flow):
    """Members that run side by side, in no order."""

    members: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Pipeline(_Flow):
    """Steps that run one after the other."""

    steps: tuple[Node, ...]


Node = Step | Group | Pipeline


def step(task: Any, /, *args: Any, **kwargs: Any) -> Step:
    """Return the call of `task` with these arguments, for a group, a pipeline or a callback.

    Queue, priority and time are the task's: ``step(task.using(priority=50), 1)``. Raises `FlowInvalid` for a
    task whose end nobody would learn of (another backend's, ``record=False``) or that may be refused
    (``unique_for``), and TypeError for arguments that are no JSON.
    """
    framework = framework_of(task)
    if framework is None:
        raise FlowInvalid(f"{task!r} is no Task; decorate it with @task from scalekit.queue.")
    if flaw := _flaw(task):
        raise FlowInvalid(f"{task.module_path} cannot be a step: {flaw}")
    normal = framework.base.normalize_json
    return Step(task, tuple(normal(args)), normal(kwargs))


def group(members: Iterable[Node]) -> Group:
    """Return a group of `members`: steps, pipelines and groups. It may be empty, and then succeeds at once."""
    return Group(tuple(_node(member) for member in members))


def pipeline(*steps: Node) -> Pipeline:
    """Return a pipeline: what one of `steps` returns is put before the arguments of the next.

    A group among them hands on the list of its results, in order, and gives what it gets to each member.
    """
    if not steps:
        raise FlowInvalid("A pipeline has at least one step: pipeline(step(task, ...), ...).")
    return Pipeline(tuple(_node(each) for each in steps))


def _node(value: Any) -> Node:
    if isinstance(value, (Step, Group, Pipeline)):
        return value
    raise FlowInvalid(
        f"{value!r} is no step; write step(task, ...), group([...]) or pipeline(...)."
    )


def _flaw(task: Any) -> str:
    if not getattr(task.get_backend(), "runs_on_dramatiq", False):
        return f"TASKS[{task.backend!r}] is another backend, whose jobs are not followed."
    if not getattr(task, "record", True):
        return "it has record=False, so nothing would know when it has ended."
    if getattr(task, "unique_for", None) is not None:
        return (
            "it has unique_for, so another job might stand for it. Guard its effects with once()."
        )
    return ""
