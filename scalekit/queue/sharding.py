"""The `shard` of a task: a job is enqueued, and so runs, for the shard of one of its arguments.

scalekit.db is not imported: what it needs to know is a fact of its own, found by name.
"""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from scalekit.core.context import facts
from scalekit.queue.exceptions import ShardUnknown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager


def for_shard(
    task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> AbstractContextManager[Any]:
    """Bind, while a job of `task` is enqueued, the shard that these arguments belong to.

    Raises `ShardUnknown` without scalekit.db, or if the argument is not given.
    """
    shard = getattr(task, "shard", None)
    if shard is None:
        return nullcontext()
    group, source = shard if isinstance(shard, tuple) else (None, shard)
    key = argument(task, source, args, kwargs) if isinstance(source, str) else source
    if "db_shards_for" not in facts:
        raise ShardUnknown(f"{task.module_path} has a shard, and scalekit.db is not in use.")
    return facts["db_shards"].bind(facts["db_shards_for"].get()(group, key))


def argument(task: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return the value that the argument `name` of `task` has in a call, its default included."""
    context = [None] if task.takes_context else []
    call = inspect.signature(task.func).bind(*context, *args, **kwargs)
    call.apply_defaults()
    if name not in call.arguments:
        raise ShardUnknown(f"{task.module_path} has shard={name!r}, and no argument of that name.")
    return call.arguments[name]
