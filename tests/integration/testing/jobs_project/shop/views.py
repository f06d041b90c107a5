from __future__ import annotations

from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpResponse

from .tasks import send_receipt


def buy(request, name):
    with transaction.atomic():
        order = Group.objects.create(name=name)
        send_receipt.enqueue(order.pk, copies=2)
    return HttpResponse(order.pk)


def fail(request, name):
    try:
        with transaction.atomic():
            Group.objects.create(name=name)
            send_receipt.enqueue(0)
            raise ValueError(name)
    except ValueError:
        return HttpResponse("sorry")
