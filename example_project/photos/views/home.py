from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import render
from django.views.decorators.http import require_safe

from example_project.photos import pages
from example_project.photos.people import suggestions

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

LANDING_PHOTOS = 12


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show members what the people they follow have shared, and strangers what this is."""
    if not request.user.is_authenticated:
        return render(request, "photos/landing.html", {"page": pages.explore(size=LANDING_PHOTOS)})
    page = pages.feed(request.user.pk, pages.read_before(request.GET.get("before")))
    people = suggestions(request.user)
    return render(request, "photos/feed.html", {"page": page, "suggestions": people})


@require_safe
def explore(request: HttpRequest) -> HttpResponse:
    page = pages.explore(pages.read_before(request.GET.get("before")))
    return render(request, "photos/explore.html", {"page": page})
