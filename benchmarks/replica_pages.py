"""The pages of `replica_sites`."""
# ruff: noqa: ARG001 - views take a request

from __future__ import annotations

from time import perf_counter_ns

from django.contrib.auth.models import Group
from django.db import connections, router
from django.http import JsonResponse
from django.urls import path
from django.utils.crypto import get_random_string


def read(request, pk):
    group = Group.objects.filter(pk=pk).first()
    where = Group.objects.all().db if group is None else group._state.db  # noqa: SLF001 - what Django keeps
    return JsonResponse({"found": group is not None, "from": where})


def write(request):
    group = Group.objects.create(name=get_random_string(20))
    # A redirect, after which django-replicated reads from the primary; it does so after no other answer.
    return JsonResponse({"pk": group.pk}, status=302, headers={"Location": "/"})


def time_routing(request, count):
    return _timed(lambda: router.db_for_read(Group), count)


def time_get(request, count):
    return _timed(lambda: Group.objects.get(pk=1), count)


def _timed(function, count):
    function()
    begin = perf_counter_ns()
    for _ in range(count):
        function()
    return JsonResponse({"ns": (perf_counter_ns() - begin) / count})


class Counting:
    """Count the statements that a request sends anywhere, middleware included."""

    total = 0

    def __call__(self, execute, *arguments):
        Counting.total += 1
        return execute(*arguments)


def count_on(request):
    for alias in connections:
        connections[alias].execute_wrappers.append(Counting())
    return JsonResponse({})


def counted(request):
    found, Counting.total = Counting.total, 0
    return JsonResponse({"statements": found})


urlpatterns = [
    path("read/<int:pk>", read),
    path("write", write),
    path("time/routing/<int:count>", time_routing),
    path("time/get/<int:count>", time_get),
    path("count", count_on),
    path("counted", counted),
]
