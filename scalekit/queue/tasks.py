"""The `task` decorator: Django's, with more keywords, on every Django."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from django.utils.module_loading import import_string

from scalekit.queue.frameworks import PRIMARY, framework, framework_of
from scalekit.queue.keywords import flaws_of

if TYPE_CHECKING:
    from collections.abc import Callable

# Django 6.0 has them in its decorator alone, where others have them in the class.
DEFAULTS = {"priority": 0, "queue_name": "default", "backend": "default", "run_after": None}


def task(function: Callable[..., Any] | None = None, **keywords: Any) -> Any:
    """Declare a Task: ``@task`` or ``@task(queue_name="mail", max_retries=5)``.

    Beyond Django's `priority`, `queue_name`, `backend` and `takes_context` it takes, with durations in
    seconds or as `timedelta`:

    `max_retries`, `min_backoff`, `max_backoff`   instead of the settings SCALEKIT_QUEUE_MAX_RETRIES ...
    `time_limit`    after which the job is interrupted, and has failed
    `unique_for`    for how long a second job with the same arguments is the first one at most
    `record`        False: nothing is kept of the job, which makes it cheaper
    `shard`         the argument that holds the sharding key, or such a key
    `rate_limit`, `concurrency`, `limit_by`, `limit_name`   see `scalekit.queue.limits`

    Raises TypeError for any other keyword, and Django's InvalidTask for a value that cannot be. Another
    backend than ours runs the Task without them.
    """
    if "run_after" in keywords:
        msg = "run_after belongs to one job, not to the Task: write .using(run_after=...)."
        raise TypeError(msg)

    def declare(func: Callable[..., Any]) -> Any:
        return scale_task(PRIMARY)(func=func, **{**DEFAULTS, **keywords})

    return declare if function is None else declare(function)


@cache
def scale_task(package: str) -> type[Any]:
    """Return the class of our Tasks in one of the frameworks; its instances are Tasks of that framework."""
    base = framework(package).base

    @dataclass(frozen=True, slots=True, kw_only=True)
    class ScaleTask(base.Task):  # type: ignore[misc,name-defined]  # known when the framework is
        """A Task with our keywords; None leaves it to the settings."""

        max_retries: Any = None
        min_backoff: Any = None
        max_backoff: Any = None
        time_limit: Any = None
        unique_for: Any = None
        record: Any = True
        shard: Any = None
        rate_limit: Any = None
        concurrency: Any = None
        limit_by: Any = None
        limit_name: Any = None

        def __post_init__(self) -> None:
            base.Task.__post_init__(self)
            for flaw in flaws_of(self):
                raise invalid_task(package)(f"{self.module_path}: {flaw}")

        def __reduce__(self) -> Any:
            others = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "func"}
            return _restored, (self.module_path, others)

    return ScaleTask


def invalid_task(package: str = PRIMARY) -> type[Exception]:
    """Return the class of what a framework raises for a Task that cannot be; the backport calls it otherwise."""
    names = framework(package).exceptions
    found: type[Exception] = getattr(names, "InvalidTask", None) or names.InvalidTaskError
    return found


def _restored(path: str, others: dict[str, Any]) -> Any:
    """Unpickle: find the Task where it was declared, as the function itself is hidden behind it."""
    try:
        declared = import_string(path)
    except ImportError as error:
        raise ValueError(f"Expected {path!r} to point to a Task instance.") from error
    if framework_of(declared) is None:
        raise ValueError(f"Expected {path!r} to point to a Task instance.")
    return replace(declared, **others)
