"""System checks of the queue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution
from django.utils.module_loading import import_string

from scalekit.core.exceptions import ScalekitError
from scalekit.queue.conf import settings
from scalekit.queue.cron.checks import cron_flaws
from scalekit.queue.database_checks import database_flaws
from scalekit.queue.exceptions import DependencyMissing
from scalekit.queue.frameworks import framework
from scalekit.queue.task_checks import task_flaws

if TYPE_CHECKING:
    from collections.abc import Iterator

QUEUE_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9._-]*")  # what Dramatiq accepts
EXAMPLE = (
    'SCALEKIT_QUEUE_BROKER = {"default": {"BACKEND": "scalekit.queue.brokers.redis.RedisBroker", '
    '"OPTIONS": {"url": "redis://queue.internal:6379/1"}}}'
)


@register()
def check_queue(**_: Any) -> list[CheckMessage]:
    """Find what would keep tasks from being enqueued or run."""
    ours = our_backends()
    return [
        *_framework_missing(ours),
        *_broker_missing(ours),
        *_broker_unusable(),
        *_aliases_unread(),
        *_queues_misnamed(ours),
        *database_flaws(is_used=bool(ours) or "default" in settings.BROKER),
        *cron_flaws(),
        *task_flaws(ours),
    ]


def check_app_is_installed() -> Iterator[CheckMessage]:
    if not apps.is_installed("scalekit.queue"):
        yield Error(
            "TASKS names DramatiqBackend, but the app of its workers and checks is not installed.",
            hint='Add "scalekit.queue" to INSTALLED_APPS.',
            id="scalekit.queue.E004",
        )


def our_backends() -> dict[str, dict[str, Any]]:
    """Return the entries of TASKS whose backend is ours, or a subclass, by alias."""
    configured = getattr(django_settings, "TASKS", None) or {}
    return {alias: params for alias, params in configured.items() if _is_ours(params)}


def _is_ours(params: Any) -> bool:
    path = params.get("BACKEND", "") if isinstance(params, dict) else ""
    try:
        return bool(getattr(import_string(path), "runs_on_dramatiq", False))
    except DependencyMissing:
        return True
    except ImportError:
        return False


def _framework_missing(ours: dict[str, Any]) -> Iterator[CheckMessage]:
    try:
        if ours:
            framework()
    except DependencyMissing:
        yield Error(
            "TASKS names DramatiqBackend, and this Django has no Tasks framework.",
            hint="pip install django-tasks, or move to Django 6.0.",
            id="scalekit.queue.E005",
        )


def _broker_missing(ours: dict[str, Any]) -> Iterator[CheckMessage]:
    if ours and "default" not in settings.BROKER:
        yield Error(
            f"TASKS[{next(iter(ours))!r}] runs on Dramatiq, but SCALEKIT_QUEUE_BROKER has no 'default'.",
            hint=f"Write for example {EXAMPLE}.",
            id="scalekit.queue.E001",
        )


def _broker_unusable() -> Iterator[CheckMessage]:
    if "default" not in settings.BROKER:
        return
    try:
        from scalekit.queue.brokers import default_broker

        default_broker()
    except (ScalekitError, ImportError) as error:
        yield Error(str(error), id="scalekit.queue.E002")


def _aliases_unread() -> Iterator[CheckMessage]:
    for alias in settings.BROKER:
        if alias != "default":
            yield Caution(
                f"SCALEKIT_QUEUE_BROKER[{alias!r}] is not used: tasks and actors have one broker.",
                hint="Call it 'default', or remove it.",
                id="scalekit.queue.W001",
            )


def _queues_misnamed(ours: dict[str, Any]) -> Iterator[CheckMessage]:
    for alias, params in ours.items():
        for name in params.get("QUEUES", []):
            if not QUEUE_NAME.fullmatch(str(name)):
                yield Error(
                    f"TASKS[{alias!r}] has a queue {name!r}, which Dramatiq cannot name.",
                    hint="A queue begins with a letter or _, then letters, digits and . _ - follow.",
                    id="scalekit.queue.E003",
                )
