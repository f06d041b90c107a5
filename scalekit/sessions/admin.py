"""A page of the admin that lists a user's sessions, wherever they lie, and ends them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from scalekit.sessions.accounts import ENGINES, end_sessions, logout_everywhere, sessions_of
from scalekit.sessions.models import Session
from scalekit.sessions.records import name_of

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern


@admin.register(Session)
class SessionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    """Asks the store of SESSION_ENGINE, not the table: that is empty where Redis alone keeps sessions.

    Whoever may view sessions sees when a user's began; whoever may delete them ends them. What makes a
    session's cookie is neither shown nor known.
    """

    def has_module_permission(self, request: HttpRequest) -> bool:
        ours = django_settings.SESSION_ENGINE in ENGINES
        return ours and super().has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - as above
        return False

    def get_urls(self) -> list[URLPattern]:
        """Leave the list alone: there is no page of a single session."""
        return [url for url in super().get_urls() if str(url.name).endswith("_changelist")]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request) or django_settings.SESSION_ENGINE not in ENGINES:
            raise PermissionDenied
        username = request.GET.get("user", "")
        user = _user(username)
        if request.method == "POST" and user is not None:
            self._end(request, user)
            return redirect(request.get_full_path())
        context = {
            **self.admin_site.each_context(request),
            **(extra_context or {}),
            "title": _("Sessions of a user"),
            "opts": self.opts,
            "username": username,
            "account": user,
            "sessions": [_shown(s, request) for s in sessions_of(user)] if user else [],
            "may_end": self.has_delete_permission(request),
        }
        return TemplateResponse(request, "admin/scalekit_sessions/sessions.html", context)

    def _end(self, request: HttpRequest, user: Any) -> None:
        if not self.has_delete_permission(request):
            raise PermissionDenied
        if "everywhere" in request.POST:
            count = logout_everywhere(user)
        else:
            theirs = {session.name for session in sessions_of(user)}
            count = end_sessions(sorted(theirs & set(request.POST.getlist("name"))))
        message = ngettext("%d session ended.", "%d sessions ended.", count) % count
        self.log_change(request, user, message)
        messages.success(request, message)


def _user(username: str) -> Any:
    model = get_user_model()
    try:
        return model._default_manager.get_by_natural_key(username) if username else None  # noqa: SLF001 - as Django's backend does
    except (model.DoesNotExist, ValueError):  # ValueError: a NUL, which PostgreSQL refuses
        return None


def _shown(session: Any, request: HttpRequest) -> dict[str, Any]:
    times = {name: getattr(session, name) for name in ("created", "saved", "expires")}
    return {
        "name": session.name,
        "is_this": session.name == name_of(request.session.session_key),
        **{name: datetime.fromtimestamp(when, UTC) for name, when in times.items()},
    }
