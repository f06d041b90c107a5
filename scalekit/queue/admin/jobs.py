"""The list of jobs, and the page of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from scalekit.queue.admin import showing
from scalekit.queue.admin.actions import ACTIONS, JobAction
from scalekit.queue.admin.filters import (
    AgeFilter,
    DatabaseFilter,
    QueueFilter,
    StatusFilter,
    TaskFilter,
    database_of,
)
from scalekit.queue.admin.pages import BoundedPaginator
from scalekit.queue.conf import settings
from scalekit.queue.models import Status, TaskRecord

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.utils.safestring import SafeString

    Jobs = QuerySet[TaskRecord]

HEAVY = ("args", "kwargs", "options", "return_value", "worker_ids", "raw")  # not on the list


@admin.register(TaskRecord)
class JobAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    """Whoever may view jobs sees them; requeueing, discarding and cancelling are permissions of their own."""

    actions = ACTIONS
    list_filter = (StatusFilter, AgeFilter, QueueFilter, TaskFilter, DatabaseFilter)
    list_display = ("status_badge", "task", "queue", "age", "attempts", "took")
    list_display_links = ("status_badge", "task")
    sortable_by = ()  # only what an index has in order
    list_per_page = 100
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count the whole table
    paginator = BoundedPaginator
    search_fields = ("pk",)  # shows the field; see get_search_results
    search_help_text = _("An id, a part of a task's path, or for dead letters a word of the error.")
    change_form_template = "admin/scalekit_queue/taskrecord/job.html"

    class Media:  # noqa: D106 - Django's
        css = {"all": ("scalekit_queue/admin.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - as above
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - as above
        return False  # one that waits or runs is cancelled, a dead one discarded

    def has_requeue_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "requeue")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "cancel")

    def has_discard_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "delete")

    def _may_do(self, request: HttpRequest, action: JobAction) -> bool:
        return bool(getattr(self, f"has_{action.permission}_permission")(request))

    def _may(self, request: HttpRequest, what: str) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.{what}_{self.opts.model_name}")

    def get_queryset(self, request: HttpRequest) -> Jobs:
        """Leave out of the list what only the page of a job shows; a job may have megabytes of it."""
        dead = request.GET.get(StatusFilter.parameter_name) == Status.FAILED
        rows = TaskRecord.objects.using(database_of(request))
        return rows.defer(*HEAVY) if dead else rows.defer(*HEAVY, "errors")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        dead = request.GET.get(StatusFilter.parameter_name) == Status.FAILED
        return ("-finished_at", "-pk") if dead else ("-pk",)

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        if request.GET.get(StatusFilter.parameter_name) != Status.FAILED:
            return self.list_display
        return ("task", "reason", "queue", "failed", "attempts")

    def get_fieldsets(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's
        obj: TaskRecord | None = None,
    ) -> Any:
        """Show of a job what there is to see."""
        call = ["unread"] if obj and obj.raw else ["arguments", "keywords"]
        if obj and obj.status == Status.SUCCESSFUL:
            call.append("returned")
        head = ("status_badge", "task", "queue_and_priority", "attempts", "took", "times")
        return [
            (None, {"fields": head}),
            (_("Call"), {"fields": call}),
            (_("Attempts"), {"fields": ("history", "workers")}),
            (_("Message"), {"fields": ("message", "message_options"), "classes": ["collapse"]}),
        ]

    def get_search_results(
        self, request: HttpRequest, queryset: Jobs, search_term: str
    ) -> tuple[Jobs, bool]:
        term = search_term.strip().replace("\x00", "")
        try:
            return queryset.filter(pk=UUID(term)), False
        except ValueError:
            found = Q(path__icontains=term)
            if request.GET.get(StatusFilter.parameter_name) == Status.FAILED:
                found |= Q(errors__icontains=term)
            return (queryset.filter(found) if term else queryset), False

    def get_object(
        self,
        request: HttpRequest,
        object_id: str,
        from_field: str | None = None,  # noqa: ARG002 - Django's
    ) -> TaskRecord | None:
        """Look in every database: a link knows the id alone."""
        try:
            id_ = TaskRecord._meta.pk.to_python(object_id)  # noqa: SLF001 - as Django's own does
        except ValidationError:
            return None
        first = database_of(request)
        for alias in sorted(settings.DATABASES, key=lambda alias: alias != first):
            if row := TaskRecord.objects.using(alias).filter(pk=id_).first():
                return row
        return None

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Jobs"), **(extra_context or {})})

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = context["original"]
        context["job_actions"] = [
            action
            for action in ACTIONS
            if row.status in action.statuses and self._may_do(request, action)
        ]
        context["database"] = row._state.db  # noqa: SLF001 - Django has no other name for it
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description=_("Status"))
    def status_badge(self, row: TaskRecord) -> SafeString:
        return showing.badge(row)

    @admin.display(description=_("Task"))
    def task(self, row: TaskRecord) -> str | SafeString:
        return showing.task(row)

    @admin.display(description=_("Queue"))
    def queue(self, row: TaskRecord) -> str:
        return row.queue_name

    @admin.display(description=_("Queue"))
    def queue_and_priority(self, row: TaskRecord) -> str:
        lies = _("%(queue)s, priority %(priority)d, in the database %(database)s")
        place = {"queue": row.queue_name, "priority": row.priority}
        return str(lies % {**place, "database": row._state.db})  # noqa: SLF001 - as above

    @admin.display(description=_("Times"))
    def times(self, row: TaskRecord) -> SafeString:
        return showing.times(row)

    @admin.display(description=_("Workers"))
    def workers(self, row: TaskRecord) -> str | SafeString:
        return showing.workers(row)

    @admin.display(description=_("Message"))
    def message(self, row: TaskRecord) -> SafeString:
        columns = ("id", "kind", "path", "backend", "group", "publications")
        return showing.as_json({name: getattr(row, name) for name in columns})

    @admin.display(description=_("Enqueued"))
    def age(self, row: TaskRecord) -> str | SafeString:
        return showing.age(row.enqueued_at)

    @admin.display(description=_("Failed"))
    def failed(self, row: TaskRecord) -> str | SafeString:
        return showing.age(row.finished_at)

    @admin.display(description=_("Attempts"))
    def attempts(self, row: TaskRecord) -> str | SafeString:
        return showing.attempts(row)

    @admin.display(description=_("Took"))
    def took(self, row: TaskRecord) -> str | SafeString:
        return showing.took(row)

    @admin.display(description=_("Reason"))
    def reason(self, row: TaskRecord) -> SafeString:
        return showing.reason(row)

    @admin.display(description=_("What was raised"))
    def history(self, row: TaskRecord) -> str | SafeString:
        return showing.history(row)

    @admin.display(description=_("Arguments"))
    def arguments(self, row: TaskRecord) -> SafeString:
        return showing.as_json(row.args)

    @admin.display(description=_("Keywords"))
    def keywords(self, row: TaskRecord) -> SafeString:
        return showing.as_json(row.kwargs)

    @admin.display(description=_("Result"))
    def returned(self, row: TaskRecord) -> SafeString:
        return showing.as_json(row.return_value)

    @admin.display(description=_("Options"))
    def message_options(self, row: TaskRecord) -> SafeString:
        return showing.as_json(row.options)

    @admin.display(description=_("What could not be read"))
    def unread(self, row: TaskRecord) -> str | SafeString:
        return showing.text(row.raw)
