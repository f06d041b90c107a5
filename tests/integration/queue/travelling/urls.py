from __future__ import annotations

from django.db import transaction
from django.http import HttpResponse
from django.urls import path

from scalekit.db import using_shard
from tests.integration.queue.travelling.models import Effect, Photo
from tests.integration.queue.travelling.tasks import develop


def upload(request, owner):
    with using_shard("users", owner):
        Photo.objects.create(id=owner, owner_id=owner)
        with transaction.atomic():
            Effect.objects.create(name=f"upload of {owner}")
            develop.enqueue(f"upload of {owner}")
    return HttpResponse("on its way")


urlpatterns = [path("upload/<int:owner>/", upload)]
