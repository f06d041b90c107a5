"""Filters of the list of jobs, each answered by an index or by a look at the newest rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.admin import SimpleListFilter
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from scalekit.queue.conf import settings
from scalekit.queue.models import Status, TaskRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib.admin import ModelAdmin
    from django.db.models import QuerySet
    from django.http import HttpRequest

    Choices = Iterable[tuple[str, Any]]
    Jobs = QuerySet[TaskRecord]

NEWEST = 2_000  # rows among which the choices of a filter are looked for
LATER = "later"
AGES = {
    "10m": (timedelta(minutes=10), _("Past ten minutes")),
    "1h": (timedelta(hours=1), _("Past hour")),
    "1d": (timedelta(days=1), _("Past day")),
    "7d": (timedelta(days=7), _("Past seven days")),
}
OLDER = "older"


def database_of(request: HttpRequest) -> str:
    """Return the database that a page is about: the one of its filter, or the first."""
    chosen = request.GET.get(DatabaseFilter.parameter_name)
    return str(chosen) if chosen in settings.DATABASES else settings.DATABASES[0]


class _Filter(SimpleListFilter):
    """One whose choices do not depend on the page."""

    choice_list: Choices = ()

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:  # noqa: ARG002 - Django's
        return self.choice_list


class StatusFilter(_Filter):
    title = _("status")
    parameter_name = "status"
    choice_list = (
        (Status.FAILED, _("Failed: dead letters")),
        (Status.RUNNING, _("Running")),
        (Status.READY, _("Ready")),
        (LATER, _("Ready, due later")),
        (Status.SUCCESSFUL, _("Successful")),
    )

    def queryset(self, request: HttpRequest, queryset: Jobs) -> Jobs:  # noqa: ARG002 - Django's
        if self.value() == LATER:
            return queryset.filter(
                status=Status.READY, publish_at__isnull=False, run_after__gt=Now()
            )
        return queryset.filter(status=self.value()) if self.value() in Status.values else queryset


class AgeFilter(_Filter):
    """By the time in the id, which the primary key has in order."""

    title = _("enqueued")
    parameter_name = "age"
    choice_list = (
        *((name, label) for name, (_span, label) in AGES.items()),
        (OLDER, _("Before that")),
    )

    def queryset(self, request: HttpRequest, queryset: Jobs) -> Jobs:  # noqa: ARG002 - Django's
        value = self.value()
        if value == OLDER:
            return queryset.filter(pk__lt=_first_id(timezone.now() - AGES["7d"][0]))
        if value in AGES:
            return queryset.filter(pk__gte=_first_id(timezone.now() - AGES[value][0]))
        return queryset


class DatabaseFilter(_Filter):
    """Offered where there are several; the list takes its rows from there, see `database_of`."""

    title = _("database")
    parameter_name = "database"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:  # noqa: ARG002 - Django's
        several = len(settings.DATABASES) > 1
        return [(alias, alias) for alias in settings.DATABASES] if several else []

    def queryset(self, request: HttpRequest, queryset: Jobs) -> Jobs:  # noqa: ARG002 - Django's
        return queryset


class _ValueFilter(SimpleListFilter):
    """One of the values that a column has in the newest rows: no index knows all of them."""

    column = ""

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:  # noqa: ARG002 - Django's
        newest = TaskRecord.objects.using(database_of(request)).order_by("-pk")[:NEWEST]
        values = set(newest.values_list(self.column, flat=True))
        values.add(request.GET.get(str(self.parameter_name), ""))
        return [(value, value) for value in sorted(values) if value]

    def queryset(self, request: HttpRequest, queryset: Jobs) -> Jobs:  # noqa: ARG002 - Django's
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


class QueueFilter(_ValueFilter):
    title = _("queue")
    parameter_name = "queue"
    column = "queue_name"


class TaskFilter(_ValueFilter):
    title = _("task")
    parameter_name = "task"
    column = "path"


def _first_id(moment: datetime) -> UUID:
    """Return the smallest id of version 7 that could have been made at `moment`."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
