from __future__ import annotations

from contextvars import ContextVar

import pytest
from django.core.cache import caches

from scalekit.cache import store
from scalekit.core.events import events
from tests.cache.shop.database import files_in, photos_in
from tests.cache.shop.recorder import Recorder


@pytest.fixture(autouse=True)
def empty_cache():
    caches["default"].clear()
    store._stores.clear()
    yield
    caches["default"].clear()
    store._stores.clear()


tenant = ContextVar("tenant", default="public")


def key_of_the_tenant(key, prefix, version):
    return f"{tenant.get()}:{prefix}:{version}:{key}"


@pytest.fixture
def tenants(settings):
    """Separate tenants by KEY_FUNCTION, as django-tenants does; return the variable that names one."""
    default = {**settings.CACHES["default"], "KEY_FUNCTION": key_of_the_tenant}
    settings.CACHES = {**settings.CACHES, "default": default}
    return tenant


@pytest.fixture
def heard():
    """Collect the payloads of an event: ``heard("cache_read")`` from now on."""
    undo = []

    def listen(name: str) -> list[dict]:
        payloads: list[dict] = []
        undo.append(events[name].subscribe(lambda event, payload: payloads.append(payload)))
        return payloads

    yield listen
    for end in undo:
        end()


@pytest.fixture
def photos(tmp_path, django_db_blocker):
    """The photos' app with its tables in SQLite; every write to it is announced."""
    with (
        django_db_blocker.unblock(),
        photos_in(files_in(tmp_path), SCALEKIT_CACHE_MODELS=["gallery"]),
    ):
        yield


@pytest.fixture
def told(photos):
    """What the cache is told, from now on."""
    recorder = store._stores["default"] = Recorder()
    return recorder


@pytest.fixture
def photo(photos):
    from tests.cache.shop.models import Photo

    return Photo.objects.create(title="sea")


@pytest.fixture
def tag(photos):
    from tests.cache.shop.models import Tag

    return Tag.objects.create(word="blue")
