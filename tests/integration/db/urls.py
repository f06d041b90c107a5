"""A site of a few pages: what it reads, and ways to write."""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse
from django.urls import path

from tests.db.databases import rolled_back


def names(request):
    from tests.db.shop.models import Customer

    rows = Customer.objects.order_by("id")
    return JsonResponse({"names": list(rows.values_list("name", flat=True)), "from": rows.db})


def write(request, name):
    from tests.db.shop.models import Customer

    Customer.objects.create(name=name)
    return HttpResponse(Customer.objects.filter(name=name).count())


def write_and_take_back(request, name):
    with rolled_back():
        write(request, name)
    return HttpResponse("taken back")


def log_in(request):
    request.session["name"] = "Ann"
    return HttpResponse("in")


def who(request):
    return HttpResponse(request.session.get("name", "nobody"))


urlpatterns = [
    path("names", names),
    path("write/<name>", write),
    path("take-back/<name>", write_and_take_back),
    path("log-in", log_in),
    path("who", who),
]
