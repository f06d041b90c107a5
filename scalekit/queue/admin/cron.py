"""A page of what cron enqueues, on which an entry can be run now."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from scalekit.core.exceptions import ScalekitError
from scalekit.queue.admin.pages import ListAlone
from scalekit.queue.conf import settings
from scalekit.queue.cron.entries import entries, read_entry
from scalekit.queue.cron.listing import Listed, listed
from scalekit.queue.models import CronEntry

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

NEXT = 3  # times that are shown


@admin.register(CronEntry)
class CronAdmin(ListAlone):
    """Shows the settings, not the table. Who may view entries sees them, who may change them runs them."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            self._run(request)
            return redirect(request.get_full_path())
        trouble, shown = "", []
        try:
            shown = [_shown(one) for one in listed(entries())]
        except ScalekitError as error:
            trouble = str(error)
        context = {
            **self.admin_site.each_context(request),
            **(extra_context or {}),
            "title": _("Cron"),
            "opts": self.opts,
            "media": self.media,
            "entries": shown,
            "trouble": trouble,
            "may_run": self.has_change_permission(request),
        }
        return TemplateResponse(request, "admin/scalekit_queue/cron.html", context)

    def _run(self, request: HttpRequest) -> None:
        if not self.has_change_permission(request):
            raise PermissionDenied
        name = request.POST.get("entry", "")
        if name not in settings.CRON:
            messages.error(request, _("There is no such entry."))
            return
        try:
            job = read_entry(name, settings.CRON[name]).enqueue()
        except ScalekitError as error:
            messages.error(request, str(error))
            return
        message = _("%(entry)s was enqueued as %(job)s.") % {"entry": name, "job": job}
        self.log_change(request, CronEntry(name=name), message)
        messages.success(request, message)


def _shown(one: Listed) -> dict[str, Any]:
    zone = one.entry.schedule.zone
    coming = islice(one.entry.schedule.after(one.now), NEXT)
    return {
        "entry": one.entry,
        "next": [due_at.astimezone(zone) for due_at in coming],
        "slot": one.slot,
        "last": one.slot and one.slot.due_at.astimezone(zone),
        "status": one.status,
    }
