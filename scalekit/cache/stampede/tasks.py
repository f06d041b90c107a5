"""Ask the project's task workers to load a value again, through Django's own interface."""

from __future__ import annotations

import json
from secrets import token_bytes
from typing import TYPE_CHECKING, Any

from scalekit.cache.conf import settings
from scalekit.cache.events import CACHE_FAILED
from scalekit.cache.stampede.requests import Claim

if TYPE_CHECKING:
    from functools import partial

    from scalekit.cache.policy import Policy
    from scalekit.cache.store import Store

_ASKED_MS = 10_000  # no second task for a key before this, however many readers find it due


def enqueue(store: Store, policy: Policy, key: str, call: partial[Any]) -> bool:
    """Return whether a task worker has been asked; then no thread need do it."""
    if not settings.REFRESH_TASKS or not policy.path or not _is_plain(call):
        return False
    if store.run("lease", Claim(key + ":q", token_bytes(8), _ASKED_MS)) is not True:
        return True  # it has been asked already, or there is no cache to refresh
    try:
        from scalekit.cache.stampede.refresh_task import refresh_value

        task = refresh_value.using(backend=settings.REFRESH_TASKS)
        task.enqueue(policy.path, list(call.args), call.keywords)
    except Exception as error:  # noqa: BLE001 - no broker, perhaps: a thread does it
        CACHE_FAILED.emit(alias=store.alias, operation="enqueue", error=repr(error))
        return False
    return True


def _is_plain(call: partial[Any]) -> bool:
    """Return whether the arguments come back from JSON as they were, which Django's tasks demand."""
    given = [list(call.args), call.keywords]
    try:
        return bool(json.loads(json.dumps(given)) == given) and _is_of_json(given)
    except (TypeError, ValueError):
        return False


def _is_of_json(value: Any) -> bool:
    """Return whether JSON has the very type: a member of an enum may equal its text, and has another key."""
    if type(value) is list:
        return all(map(_is_of_json, value))
    if type(value) is dict:
        return all(type(key) is str and _is_of_json(item) for key, item in value.items())
    return type(value) in _OF_JSON


_OF_JSON = {type(None), bool, int, float, str}
