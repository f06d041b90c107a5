"""What is wrong with tasks and their settings, found before a worker meets it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.utils.module_loading import module_has_submodule

from scalekit.queue.conf import settings
from scalekit.queue.lanes import HIGH, LOW, queue_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def task_flaws(backends: Mapping[str, Mapping[str, Any]]) -> Iterator[CheckMessage]:
    """Find flaws of the tasks that run on `backends`, entries of TASKS by alias."""
    yield from _queues_like_lanes(backends)
    if backends:
        yield from _modules_that_do_not_import()
    yield from _backoff_upside_down()


def _queues_like_lanes(backends: Mapping[str, Mapping[str, Any]]) -> Iterator[CheckMessage]:
    for alias, params in backends.items():
        for name in map(str, params.get("QUEUES", [])):
            if queue_of(name) != name:
                yield Error(
                    f"TASKS[{alias!r}] has a queue {name!r}, which is the name of a lane of {queue_of(name)!r}.",
                    hint=f"Let no queue end with {HIGH} or {LOW}, and give tasks a priority.",
                    id="scalekit.queue.E010",
                )


def _modules_that_do_not_import() -> Iterator[CheckMessage]:
    for app in apps.get_app_configs():
        if app.module is None or not module_has_submodule(app.module, "tasks"):
            continue
        try:
            import_module(f"{app.name}.tasks")
        except Exception as error:  # noqa: BLE001 - a wrong keyword of a task is one of many reasons
            yield Error(
                f"Workers cannot import {app.name}.tasks: {error}",
                hint="Correct what the error names; no worker starts until then.",
                id="scalekit.queue.E011",
            )


def _backoff_upside_down() -> Iterator[CheckMessage]:
    if settings.MAX_BACKOFF < settings.MIN_BACKOFF:
        yield Caution(
            f"SCALEKIT_QUEUE_MAX_BACKOFF = {settings.MAX_BACKOFF} is less than SCALEKIT_QUEUE_MIN_BACKOFF = "
            f"{settings.MIN_BACKOFF}: every retry comes after {settings.MAX_BACKOFF} seconds.",
            hint="Make the first the larger one.",
            id="scalekit.queue.W010",
        )
