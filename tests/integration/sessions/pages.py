"""The pages that the outages are seen on."""

from __future__ import annotations

from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.cache import cache_control


def who(request):
    return HttpResponse(request.user.get_username())


def count(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(str(request.session["count"]))


def append(request):
    request.session.setdefault("cart", []).append(1)  # nobody says that it was modified
    return HttpResponse(str(len(request.session["cart"])))


def public(request):
    return HttpResponse("hello")


def broken(request):
    return HttpResponse("broken", status=500)


@cache_control(public=True, s_maxage=600)
def shared(request):
    return HttpResponse("hello")


def enter(request):
    login(
        request,
        User.objects.get(username="ana"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return HttpResponse("in")


def leave(request):
    logout(request)
    return HttpResponse("out")


async def count_async(request):
    await request.session.aset("count", await request.session.aget("count", 0) + 1)
    return HttpResponse(str(await request.session.aget("count")))


urlpatterns = [
    path("who/", who),
    path("count/", count),
    path("count_async/", count_async),
    path("append/", append),
    path("public/", public),
    path("broken/", broken),
    path("shared/", shared),
    path("enter/", enter),
    path("leave/", leave),
    path("password/", PasswordChangeView.as_view(success_url="/who/")),
]
