"""Pages and fragments in a Valkey that several processes share."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group
from django.core.cache import caches
from django.http import HttpResponse
from django.template import Context, Engine
from django.test import AsyncClient, Client
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.translation import get_language, override
from django.views import View
from tiers import eventually

from scalekit.cache import cached_view, invalidate_tags
from scalekit.cache.store import store_of
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
    return HttpResponse(f"news {get_language()} {len(runs)}")


@cached_view(60, jitter=0, stale=60)
async def later(request):
    runs.append("later")
    await asyncio.sleep(0)
    return HttpResponse(f"later {len(runs)}")


@method_decorator(cached_view(60, jitter=0, stale=60), name="dispatch")
class Cart(View):
    def get(self, request):
        runs.append("cart")
        return HttpResponse(f"cart {self.request.COOKIES['cart'] if len(runs) > 1 else ''}")


urlpatterns = [
    *(path("news", news), path("later", later), path("cart", Cart.as_view())),
    path("<name>", group),
]


@pytest.fixture(autouse=True)
def site(valkey, settings):
    backend = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": valkey.url}
    settings.CACHES = {"default": backend}
    settings.ROOT_URLCONF = __name__
    runs.clear()
    with fresh_cache(), override("en"):
        yield


def get(address: str) -> bytes:
    return Client().get(address).content


def stored_keys() -> list[bytes]:
    return list(
        store_of("default").server.client.scan_iter(match=f"{caches['default'].key_prefix}*views*")
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


def test_a_stale_page_is_served_while_a_new_one_is_made_beside_it():
    with fake_clock() as clock:
        assert get("/news") == b"news en 1"
        clock.move(61)
        with override("de"):
            view_of_german = get("/news")
        assert view_of_german == b"news de 2"
        assert get("/news") == b"news en 1"
        assert eventually(lambda: get("/news") == b"news en 3")
        assert len(runs) == 3


def test_a_stale_async_page_is_made_anew_beside_its_visitor():
    async def visits() -> list[bytes]:
        client = AsyncClient()
        seen = []
        with fake_clock() as clock:
            seen.append((await client.get("/later")).content)
            clock.move(61)
            seen.append((await client.get("/later")).content)
            for _ in range(1000):
                renewed = (await client.get("/later")).content
                if renewed != b"later 1":
                    break
                await asyncio.sleep(0.01)
        return [*seen, renewed]

    assert async_to_sync(visits)() == [b"later 1", b"later 1", b"later 2"]


def test_a_class_based_view_that_runs_beside_its_visitor_keeps_nothing_of_theirs():
    ana, ben = Client(), Client()
    ana.cookies["cart"], ben.cookies["cart"] = "of-ana", "of-ben"
    with fake_clock() as clock, captured_events("cache_page_refused") as refused:
        assert get("/cart") == b"cart "
        clock.move(61)
        assert ana.get("/cart").content == b"cart "
        assert eventually(lambda: [event.payload["reason"] for event in refused] == ["cookies"])
        assert eventually(lambda: ben.get("/cart").content == b"cart of-ben")


def test_a_stale_fragment_is_rendered_anew_from_the_page_as_it_was():
    engine = Engine(libraries={"scalekit_cache": "scalekit.cache.templatetags.scalekit_cache"})
    template = engine.from_string(
        "{% load scalekit_cache %}{% for n in numbers %}"
        "{% cached 60 row n stale=60 %}{{ n }}{{ turn }} {% endcached %}{% endfor %}"
    )

    def rendered(turn: str) -> str:
        return template.render(Context({"numbers": [1, 2, 3], "turn": turn}))

    with fake_clock() as clock:
        assert rendered("a") == "1a 2a 3a "
        clock.move(61)
        assert rendered("b") == "1a 2a 3a "
        assert eventually(lambda: rendered("c") == "1b 2b 3b ")


@pytest.mark.parametrize(
    "spoil", [lambda page: page[:-1], lambda page: b"garbage", lambda page: page[:40]]
)
def test_a_page_that_somebody_spoilt_is_made_again(spoil):
    get("/staff")
    client = store_of("default").server.client
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
    client = store_of("default").server.client
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
