"""A page of all queues, on which they are paused and resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from scalekit.queue import pausing
from scalekit.queue.admin.pages import ListAlone
from scalekit.queue.admin.showing import span
from scalekit.queue.models import LONGEST_PATH, PausedQueue
from scalekit.queue.statistics import QueueFigures, queue_statistics

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@admin.register(PausedQueue)
class QueueAdmin(ListAlone):
    """Shows the queues, not the table, which has the paused ones alone. Who may change them may pause them."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            self._change(request)
            return redirect(request.get_full_path())
        found = queue_statistics()
        longest = max([1, *(figures.ready or 0 for figures in found.queues)])
        context = {
            **self.admin_site.each_context(request),
            **(extra_context or {}),
            "title": _("Queues"),
            "opts": self.opts,
            "media": self.media,
            "queues": [_shown(figures) for figures in found.queues],
            "longest": longest,
            "trouble": found.trouble,
            "may_pause": self.has_change_permission(request),
        }
        return TemplateResponse(request, "admin/scalekit_queue/queues.html", context)

    def _change(self, request: HttpRequest) -> None:
        if not self.has_change_permission(request):
            raise PermissionDenied
        name = request.POST.get("queue", "")[:LONGEST_PATH]
        if name not in {figures.queue for figures in queue_statistics().queues}:
            messages.error(request, _("There is no such queue."))
            return
        if "resume" in request.POST:
            changed, message = pausing.resume(name), _("%s goes on.") % name
        else:
            changed = pausing.pause(name, by=request.user.get_username())
            message = _("%s is paused; running jobs finish.") % name
        if changed:
            self.log_change(request, PausedQueue(queue_name=name), message)
        messages.success(request, message)


def _shown(figures: QueueFigures) -> dict[str, Any]:
    waited = figures.waited
    return {"figures": figures, "oldest": "-" if waited is None else span(waited)}
