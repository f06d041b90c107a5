"""Pages and fragments in a Valkey that several processes share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.core.cache import caches
from django.http import HttpResponse
from django.template import Context, Engine
from django.test import Client
from django.urls import path

from scalekit.cache import cached_view, invalidate_tags
from scalekit.cache.clients import client_of
from scalekit.testing.cache import fake_clock, fresh_cache
from scalekit.testing.fakes import captured_events

pytestmark = [pytest.mark.servers, pytest.mark.django_db(transaction=True)]
runs: list[str] = []


@cached_view(60, jitter=0, tags=lambda request, name: [f"group:{name}"], depends_on=[Group])
def group(request, name):
    runs.append(name)
    return HttpResponse(f"{name} {len(runs)}")


@cached_view(60, jitter=0, stale=60)
def news(request):
    runs.append("news")
    return HttpResponse(f"news {len(runs)}")


urlpatterns = [path("news", news), path("<name>", group)]


@pytest.fixture(autouse=True)
def site(valkey, settings):
    backend = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": valkey.url}
    settings.CACHES = {"default": backend}
    settings.ROOT_URLCONF = __name__
    runs.clear()
    with fresh_cache():
        yield


def get(address: str) -> bytes:
    return Client().get(address).content


def stored_keys() -> list[bytes]:
    return list(
        client_of(caches["default"]).scan_iter(match=f"{caches['default'].key_prefix}*views*")
    )


def test_a_page_ends_with_its_tags_and_models():
    assert get("/staff") == get("/staff") == b"staff 1"
    invalidate_tags("group:staff")
    assert get("/staff") == b"staff 2"
    Group.objects.create(name="anything")
    assert get("/staff") == b"staff 3"
    assert get("/staff") == b"staff 3"


def test_a_page_ends_with_its_time():
    with fake_clock() as clock:
        assert get("/staff") == b"staff 1"
        clock.move(61)
        assert get("/staff") == b"staff 2"


@pytest.mark.parametrize(
    "spoil", [lambda page: page[:-1], lambda page: b"garbage", lambda page: page[:40]]
)
def test_a_page_that_somebody_spoilt_is_made_again(spoil):
    get("/staff")
    client = client_of(caches["default"])
    (key,) = stored_keys()
    client.set(key, spoil(client.get(key)))
    with captured_events("cache_unreadable") as unreadable:
        assert get("/staff") == b"staff 2"
    assert len(unreadable) >= 1
    assert get("/staff") == b"staff 2"


def test_a_page_moved_to_another_address_is_not_believed():
    get("/staff")
    (staff,) = stored_keys()
    get("/guests")
    (guests,) = set(stored_keys()) - {staff}
    client = client_of(caches["default"])
    client.set(guests, client.get(staff))
    assert get("/guests") == b"guests 3"


PROCESS = """\
import sys
import django
from django.conf import settings
settings.configure(
    SECRET_KEY=sys.argv[3],
    LANGUAGE_CODE="en",
    TIME_ZONE="UTC",
    INSTALLED_APPS=["scalekit.cache"],
    CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": sys.argv[1], "KEY_PREFIX": sys.argv[2]}},
)
django.setup()
from django.template import Context, Engine
engine = Engine(libraries={"scalekit_cache": "scalekit.cache.templatetags.scalekit_cache"})
source = "{% load scalekit_cache %}{% cached 60 side %}{{ text }}{% endcached %}"
print(engine.from_string(source).render(Context({"text": sys.argv[4]})))
"""


def test_processes_share_fragments(settings, valkey):
    libraries = {"scalekit_cache": "scalekit.cache.templatetags.scalekit_cache"}
    source = "{% load scalekit_cache %}{% cached 60 side %}{{ text }}{% endcached %}"
    prefix = settings.CACHES["default"]["KEY_PREFIX"]
    arguments = [valkey.url, prefix, settings.SECRET_KEY, "theirs"]
    said = subprocess.check_output(
        [sys.executable, "-c", PROCESS, *arguments],
        cwd=Path(__file__).resolve().parents[3],
        text=True,
    )
    assert said.strip() == "theirs"
    ours = Engine(libraries=libraries).from_string(source)
    assert ours.render(Context({"text": "ours"})) == "theirs"
