"""The task that loads a value again; imported where ``SCALEKIT_CACHE_REFRESH_TASKS`` names who runs it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction

from scalekit.cache.conf import settings

try:
    from django.tasks import task
except ImportError:  # Django 5.2, with the backport
    from django_tasks import task  # type: ignore[no-redef]  # the same, for an older Django


@task(backend=settings.REFRESH_TASKS or "default")
def refresh_value(path: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Refresh what the function at ``module:qualname`` returns for these arguments, if that is still due.

    It does so as a thread of a web server would: by lease, and never over an invalidation.
    """
    module, _, name = path.partition(":")
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    renew = async_to_sync(found.renew) if iscoroutinefunction(found) else found.renew
    renew(*args, **kwargs)
