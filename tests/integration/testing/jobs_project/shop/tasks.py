from __future__ import annotations

from django.contrib.auth.models import Group

from scalekit.queue import actor, task


@task
def send_receipt(order_id, *, copies=1):
    return f"{copies} of {order_id}"


@task
def restock(name):
    Group.objects.create(name=f"restocked {name}")


@task
def place_order(name):
    Group.objects.create(name=name)
    restock.enqueue(name)


@task(max_retries=1, min_backoff=60, max_backoff=60)
def charge(card):
    if Group.objects.get_or_create(name=f"declined {card}")[1]:
        raise ConnectionError("the bank does not answer")
    return "charged"


@task(record=False)
def count_visit(page):
    Group.objects.get_or_create(name=f"visited {page}")


@task
async def greet(name):
    await Group.objects.acreate(name=f"hello {name}")


@task
def breed():
    breed.enqueue()


@actor
def notify(name):
    Group.objects.create(name=f"notified {name}")
