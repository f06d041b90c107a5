"""A site that writes where it should not: in GETs, in streams, before errors; and one that people log in to."""

from __future__ import annotations

import asyncio

from asgiref.sync import sync_to_async
from django import forms
from django.contrib.auth import authenticate, login
from django.contrib.auth.models import Group
from django.db import connections, transaction
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

from scalekit.core.context import Fact
from scalekit.db import using_primary
from tests.db.databases import rolled_back

VISIT = Fact("test_visit", 0)


def names(request=None):
    return JsonResponse(
        {"names": list(Group.objects.order_by("name").values_list("name", flat=True))}
    )


def write(request, name):
    Group.objects.create(name=name)
    return names()


def stream(request, name):
    """Write before the first chunk; read while the chunks go out."""
    Group.objects.create(name=name)

    def chunks():
        for group in Group.objects.order_by("name"):
            yield f"{group.name} "
        yield Group.objects.filter(name=name).get().name

    return StreamingHttpResponse(chunks())


def fail(request, name):
    Group.objects.create(name=name)
    raise RuntimeError("after the commit")


def on_commit(request, name):
    """Write in a callback alone, after a transaction that only read."""
    with transaction.atomic():
        Group.objects.count()
        transaction.on_commit(lambda: Group.objects.create(name=name))
    return HttpResponse("done")


def nested(request, name):
    """Take an inner block back, keep the outer one."""
    with transaction.atomic():
        Group.objects.create(name=name)
        with rolled_back():
            Group.objects.create(name=f"{name} taken back")
    return HttpResponse("done")


def nested_in_vain(request, name):
    with transaction.atomic(), rolled_back():
        Group.objects.create(name=name)
    return HttpResponse("done")


def log_in(request):
    user = authenticate(request, username=request.POST["name"], password="secret")
    if user is None:
        return HttpResponse("refused", status=403)
    login(request, user)
    return HttpResponse("in")


def who(request):
    return HttpResponse(request.user.username or "nobody")


def basket(request, item):
    request.session.setdefault("basket", []).append(item)
    request.session.modified = True
    return HttpResponse(",".join(request.session["basket"]))


class GroupForm(forms.ModelForm):
    class Meta:
        model = Group
        fields = ("name",)


def form(request):
    group = GroupForm(request.POST)
    if not group.is_valid():
        return JsonResponse(group.errors, status=400)
    group.save()
    return HttpResponse("saved")


def _count():
    return Group.objects.count()


def _count_elsewhere():
    try:
        return _count()
    finally:
        connections.close_all()  # this thread is not seen again


def mixed(request, number):
    VISIT.set(number)
    _count()
    if request.GET.get("block"):
        with using_primary():
            _count()
    _count()
    return HttpResponse(number)


async def mixed_async(request, number):
    VISIT.set(number)
    await sync_to_async(_count)()
    if request.GET.get("block"):
        with using_primary():
            await asyncio.gather(Group.objects.aexists(), sync_to_async(_count)())
    elsewhere = sync_to_async(_count_elsewhere, thread_sensitive=False)
    await asyncio.gather(Group.objects.aexists(), elsewhere())
    return HttpResponse(number)


urlpatterns = [
    path("names", names),
    path("write/<name>", write),
    path("stream/<name>", stream),
    path("fail/<name>", fail),
    path("on-commit/<name>", on_commit),
    path("nested/<name>", nested),
    path("nested-in-vain/<name>", nested_in_vain),
    path("log-in", log_in),
    path("who", who),
    path("basket/<item>", basket),
    path("form", form),
    path("mixed/<int:number>", mixed),
    path("mixed-async/<int:number>", mixed_async),
]
