"""Requeue, discard and cancel: asked for on the list, confirmed on a page, done in batches, and logged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.db.models import Count
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from scalekit.queue import dead_letters
from scalekit.queue.dead_letters import Batch
from scalekit.queue.models import Status, TaskRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.contrib.admin import ModelAdmin
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

    Jobs = QuerySet[TaskRecord]

ENDED = "it has ended"
UNKNOWN = "it has no record, or is forgotten by now"
EXAMPLES = 10  # tasks that the page of confirmation names
BATCH = 200


@dataclass(frozen=True, slots=True)
class JobAction:
    """What is done to jobs, and to which of those that were chosen."""

    name: str
    permission: str  # the ModelAdmin has a method has_..._permission
    label: Any
    button: Any  # the label where one job is in view
    question: Any
    explanation: Any
    done: Callable[[int], str]
    statuses: frozenset[str]
    act: Callable[..., Iterator[Batch]]
    log_flag: int = CHANGE

    do_not_call_in_templates: ClassVar[bool] = True  # this and the next three are Django's names

    @property
    def __name__(self) -> str:
        return self.name

    @property
    def allowed_permissions(self) -> list[str]:
        """Who may choose it."""
        return [self.permission]

    @property
    def short_description(self) -> Any:
        """What it is called on the list."""
        return self.label

    def __call__(
        self, model_admin: ModelAdmin[TaskRecord], request: HttpRequest, chosen: Jobs
    ) -> HttpResponse | None:
        jobs = chosen.filter(status__in=self.statuses)
        if request.POST.get("confirmed") == self.name:
            self._perform(model_admin, request, jobs)
            return None
        return self._ask(model_admin, request, jobs)

    def _ask(
        self, model_admin: ModelAdmin[TaskRecord], request: HttpRequest, jobs: Jobs
    ) -> HttpResponse | None:
        count = jobs.count()
        if not count:
            model_admin.message_user(
                request, _("None of the chosen jobs is one for this."), messages.WARNING
            )
            return None
        tasks = jobs.order_by().values_list("path").annotate(jobs=Count("pk")).order_by("-jobs")
        context = {
            **model_admin.admin_site.each_context(request),
            "title": self.label,
            "opts": model_admin.opts,
            "action": self,
            "count": count,
            "tasks": tasks[:EXAMPLES],
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "checkbox": ACTION_CHECKBOX_NAME,
            "across": request.POST.get("select_across", "0"),
        }
        return TemplateResponse(request, "admin/scalekit_queue/confirm.html", context)

    def _perform(
        self, model_admin: ModelAdmin[TaskRecord], request: HttpRequest, jobs: Jobs
    ) -> None:
        done, refused = 0, Counter[str]()
        for batch in self.act(jobs):
            done += batch.done
            refused.update(batch.refused.values())
            self._log(request, batch.rows)
        if done:
            model_admin.message_user(request, self.done(done), messages.SUCCESS)
        for why, count in refused.items():
            message = ngettext("%d job was left alone: ", "%d jobs were left alone: ", count)
            model_admin.message_user(request, message % count + f"{why}.", messages.WARNING)

    def _log(self, request: HttpRequest, rows: list[TaskRecord]) -> None:
        if rows:
            LogEntry.objects.log_actions(
                user_id=_user_id(request),
                queryset=rows,
                action_flag=self.log_flag,
                change_message=str(self.label),
            )


def _user_id(request: HttpRequest) -> Any:
    return request.user.pk


def _cancel(jobs: Jobs) -> Iterator[Batch]:
    # It needs Dramatiq, without which the admin must load.
    from scalekit.queue.cancelling import cancel
    from scalekit.queue.frameworks import framework

    unknown = framework().exceptions.TaskResultDoesNotExist
    ids = iter(list(jobs.values_list("pk", flat=True)))
    while some := list(islice(ids, BATCH)):
        batch = Batch()
        for row in jobs.filter(pk__in=some):
            try:
                is_cancelled, why = cancel(row, database=jobs.db), ENDED
            except unknown:
                is_cancelled, why = False, UNKNOWN
            if is_cancelled:
                batch.rows.append(row)
            else:
                batch.refused[row.pk] = why
        yield batch


REQUEUE = JobAction(
    name="requeue",
    permission="requeue",
    label=gettext_lazy("Run dead letters again"),
    button=gettext_lazy("Run again"),
    question=gettext_lazy("Run these dead letters again?"),
    explanation=gettext_lazy(
        "Each keeps its id and its history, gets new retries, and is published within seconds."
    ),
    done=lambda n: ngettext("%d dead letter runs again.", "%d dead letters run again.", n) % n,
    statuses=frozenset({Status.FAILED}),
    act=dead_letters.requeue,
)
DISCARD = JobAction(
    name="discard",
    permission="discard",
    label=gettext_lazy("Discard dead letters"),
    button=gettext_lazy("Discard"),
    question=gettext_lazy("Discard these dead letters?"),
    explanation=gettext_lazy("They are removed for good, with their arguments and history."),
    done=lambda n: ngettext("%d dead letter discarded.", "%d dead letters discarded.", n) % n,
    statuses=frozenset({Status.FAILED}),
    act=dead_letters.discard,
    log_flag=DELETION,
)
CANCEL = JobAction(
    name="cancel",
    permission="cancel",
    label=gettext_lazy("Cancel jobs"),
    button=gettext_lazy("Cancel"),
    question=gettext_lazy("Cancel these jobs?"),
    explanation=gettext_lazy(
        "Those that wait will not run; those that run are asked to stop, and may still end well."
    ),
    done=lambda n: ngettext("%d job cancelled.", "%d jobs cancelled.", n) % n,
    statuses=frozenset({Status.READY, Status.RUNNING}),
    act=_cancel,
)
ACTIONS = (REQUEUE, DISCARD, CANCEL)
