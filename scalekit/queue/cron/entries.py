"""The entries of SCALEKIT_QUEUE_CRON, read and checked."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from scalekit.queue.conf import settings
from scalekit.queue.exceptions import CronInvalid
from scalekit.queue.frameworks import framework_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from scalekit.queue.cron.schedules import Schedule

KEYS = ("TASK", "CRON", "ARGS", "KWARGS", "TIME_ZONE", "CATCH_UP")
SHORTEST_CATCH_UP = timedelta(
    minutes=1
)  # the precision of cron itself; schedulers look every second
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: what it enqueues, and when. `catch_up` is how late a slot may be and still be fired."""

    name: str
    task: str
    schedule: Schedule
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    catch_up: timedelta

    def enqueue(self) -> str:
        """Enqueue the job, in the caller's transaction, and return its id. Raises `CronInvalid`."""
        target = load_target(self.task)
        if framework_of(target) is not None:
            return str(target.enqueue(*self.args, **self.kwargs).id)
        return str(target.send(*self.args, **self.kwargs).message_id)

    def slot(self, *, since: datetime, now: datetime) -> datetime | None:
        """Return the slot to fire at `now`: the latest one, if it is not older than `catch_up` or `since`."""
        return self.schedule.latest(max(since, now - self.catch_up), now)


def entries() -> list[Entry]:
    """Return the entries of the settings. Raises `CronInvalid` for the first that cannot be used."""
    return [read_entry(name, params) for name, params in settings.CRON.items()]


def read_entry(name: str, params: Any) -> Entry:
    """Return the entry that `params` describe. Raises `CronInvalid`, which says what to write."""
    _check_shape(name, params)
    from scalekit.queue.cron.schedules import Schedule

    return Entry(
        name=name,
        task=params["TASK"],
        schedule=Schedule.read(params["CRON"], _zone(params.get("TIME_ZONE"))),
        args=tuple(params.get("ARGS", ())),
        kwargs=dict(params.get("KWARGS", {})),
        catch_up=_catch_up(params.get("CATCH_UP", settings.CRON_CATCH_UP)),
    )


def load_target(path: str) -> Any:
    """Return the Task or actor at `path`. Raises `CronInvalid`."""
    try:
        found = import_string(path)
    except ImportError as error:
        raise CronInvalid(
            f"TASK {path!r} cannot be imported: {error}. Write the dotted path of a function with @task."
        ) from error
    if framework_of(found) is None and not hasattr(found, "send_with_options"):
        raise CronInvalid(
            f"TASK {path!r} is no task. Decorate the function with @task from scalekit.queue."
        )
    return found


def check_call(entry: Entry) -> None:
    """Raise `CronInvalid` unless the task can be called with the entry's arguments."""
    target = load_target(entry.task)
    function = getattr(target, "func", None) or target.fn
    context = [None] if getattr(target, "takes_context", False) else []
    try:
        inspect.signature(function).bind(*context, *entry.args, **entry.kwargs)
    except TypeError as error:
        raise CronInvalid(
            f"{entry.task} cannot be called with ARGS and KWARGS as they are: {error}. Correct them."
        ) from error


def _check_shape(name: Any, params: Any) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise CronInvalid(
            f"The name {name!r} is no text of 1 to {LONGEST_NAME} characters. It is what a slot is known by."
        )
    if not isinstance(params, dict) or not {"TASK", "CRON"} <= params.keys():
        raise CronInvalid('Write {"TASK": "shop.tasks.nightly", "CRON": "0 3 * * *"}.')
    for key in params:
        if key not in KEYS:
            close = get_close_matches(str(key).upper(), KEYS, n=1)
            raise CronInvalid(
                f"There is no key {key!r}. "
                + (f"Did you mean {close[0]!r}?" if close else f"Known are {', '.join(KEYS)}.")
            )
    for key, kinds, example in (
        ("TASK", str, '"shop.tasks.nightly"'),
        ("CRON", str, '"0 3 * * *"'),
        ("ARGS", (list, tuple), '["a", 1]'),
        ("KWARGS", dict, '{"size": 3}'),
    ):
        if key in params and not isinstance(params[key], kinds):
            raise CronInvalid(f"{key} is {params[key]!r}. Write for example {example}.")
    try:
        json.dumps([params.get("ARGS"), params.get("KWARGS")])
    except (TypeError, ValueError) as error:
        raise CronInvalid(
            f"ARGS and KWARGS are no JSON: {error}. A message holds no more."
        ) from error


def _zone(name: Any) -> ZoneInfo:
    key = django_settings.TIME_ZONE if name is None else name
    try:
        return ZoneInfo(key)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        close = get_close_matches(str(key), available_timezones(), n=1)
        raise CronInvalid(
            f"There is no time zone {key!r}. "
            + (f"Did you mean {close[0]!r}?" if close else 'Write for example "Europe/Berlin".')
        ) from error


def _catch_up(value: Any) -> timedelta:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and 0 <= value <= timedelta(days=366).total_seconds():
        value = timedelta(seconds=value)
    if not isinstance(value, timedelta) or not SHORTEST_CATCH_UP <= value <= timedelta(days=366):
        raise CronInvalid(
            f"CATCH_UP is {value!r}. Write seconds or a timedelta, from a minute to a year."
        )
    return value
