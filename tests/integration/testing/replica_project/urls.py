from __future__ import annotations

from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpResponse
from django.urls import path


def names(request):
    return HttpResponse(",".join(Group.objects.order_by("name").values_list("name", flat=True)))


def add(request, name):
    Group.objects.create(name=name)
    return names(request)


def add_in_transaction(request, name):
    with transaction.atomic():
        add(request, name)
    return names(request)


def take_back(request, name):
    with transaction.atomic():
        add(request, name)
        transaction.set_rollback(True)
    return names(request)


def within(request):
    with transaction.atomic():
        return names(request)


def who(request):
    return HttpResponse(request.user.username)


urlpatterns = [
    path("names", names),
    path("within", within),
    path("who", who),
    path("add/<name>", add),
    path("add-in-transaction/<name>", add_in_transaction),
    path("take-back/<name>", take_back),
]
