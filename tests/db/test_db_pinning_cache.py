from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from django.core.cache import caches
from django.http import HttpResponse
from django.test import RequestFactory, override_settings

from scalekit.db.events import PINNING_FAILED
from scalekit.db.pinning.cache import CachePinning
from scalekit.db.pins import Pin

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "pins"}
}
PINS = "scalekit_pin"
USER = "scalekit_user"


@pytest.fixture(autouse=True)
def cache():
    with override_settings(CACHES=CACHES):
        caches["default"].clear()
        yield caches["default"]


@pytest.fixture
def pinning():
    return CachePinning("default")


def pin(lsn, life=30):
    return Pin(round(time.time() + life, 3), 7, 1, lsn)


def person(pk):
    return SimpleNamespace(pk=pk, is_authenticated=pk is not None)


def request(user=None, **cookies):
    made = RequestFactory().get("/")
    made.COOKIES |= cookies
    made.user = person(user)
    return made


def wrote(pinning, pins, asked):
    """Let a request write; return the cookies that its device has from then on."""
    response = HttpResponse()
    pinning.remember(asked, response, pins)
    return {**asked.COOKIES, **{name: morsel.value for name, morsel in response.cookies.items()}}


def test_a_user_s_other_device_must_see_what_one_has_written(pinning):
    phone = wrote(pinning, {"default": pin(5)}, request(1))
    laptop = {USER: phone[USER]}
    assert pinning.recall(request(1, **laptop))["default"].lsn == 5
    wrote(pinning, {"default": pin(9)}, request(1, **laptop))
    assert pinning.recall(request(1, **phone))["default"].lsn == 9


def test_other_users_and_strangers_know_nothing_of_it(pinning):
    wrote(pinning, {"default": pin(5)}, request(1))
    other = wrote(pinning, {"other": pin(1)}, request(2))
    assert "default" not in pinning.recall(request(2, **{USER: other[USER]}))
    assert pinning.recall(request()) == {}
    assert pinning.recall(request(**{USER: "1"})) == {}
    assert pinning.recall(request(**{USER: "1:forged"})) == {}


def test_what_is_kept_moves_forward_only_also_in_a_race(pinning, cache, monkeypatch):
    device = wrote(pinning, {"default": pin(9)}, request(1))
    wrote(pinning, {"default": pin(5)}, request(1))
    assert pinning.recall(request(**{USER: device[USER]}))["default"].lsn == 9
    put, races = type(cache).set, [pin(3)]

    def overtaken(self, key, value, **options):
        put(self, key, value, **options)
        if races:  # another device read before we wrote, and writes after
            from scalekit.db.tokens import seal

            put(self, key, seal({"default": races.pop()}), **options)

    monkeypatch.setattr(type(cache), "set", overtaken)
    wrote(pinning, {"default": pin(20)}, request(1))
    assert pinning.recall(request(**{USER: device[USER]}))["default"].lsn == 20


def test_the_cookie_follows_login_and_logout(pinning):
    device = wrote(pinning, {"default": pin(5)}, request(1))
    assert USER not in _cookies_of(pinning, request(1, **device))
    assert _cookies_of(pinning, request(2, **device))[USER].value != device[USER]
    assert _cookies_of(pinning, request(None, **device))[USER]["max-age"] == 0
    assert USER not in _cookies_of(pinning, request(None))


def _cookies_of(pinning, asked):
    response = HttpResponse()
    pinning.remember(asked, response, {"default": pin(6)})
    return response.cookies


def test_without_its_cache_a_visitor_still_has_the_cookie(pinning, cache, monkeypatch):
    heard = []
    end = PINNING_FAILED.subscribe(lambda _, payload: heard.append(payload["error"]))

    def gone(*args, **kwargs):
        raise ConnectionError("gone")

    monkeypatch.setattr(type(cache), "get", gone)
    monkeypatch.setattr(type(cache), "set", gone)
    device = wrote(pinning, {"default": pin(5)}, request(1))
    assert pinning.recall(request(**device))["default"].lsn == 5
    end()
    assert set(heard) == {"gone"}


@pytest.mark.parametrize("poison", [b"x", 7, {"default": [1]}, "forged"])
def test_what_is_found_in_the_cache_is_not_trusted(pinning, cache, poison):
    from scalekit.db.pinning.cache import _key

    device = wrote(pinning, {"default": pin(5)}, request(1))
    cache.set(_key("1"), poison)
    assert pinning.recall(request(**{USER: device[USER]})) == {}


def by_header(request):
    return request.headers.get("X-Customer", "")


def test_api_clients_are_known_by_what_a_function_says():
    pinning = CachePinning("default", identify=f"{__name__}.by_header")

    def of(customer):
        return RequestFactory().get("/", headers={"X-Customer": customer})

    response = HttpResponse()
    pinning.remember(of("7"), response, {"default": pin(5)})
    assert USER not in response.cookies
    assert pinning.recall(of("7"))["default"].lsn == 5
    assert pinning.recall(of("8")) == {}


def test_under_asgi_the_cache_is_asked_in_a_thread(replicas, monkeypatch):
    import asyncio
    import threading

    from scalekit.db.middleware import ReadYourWrites

    threads = []
    recall = CachePinning.recall
    monkeypatch.setattr(
        CachePinning, "recall", lambda *a: threads.append(threading.get_ident()) or recall(*a)
    )

    async def view(asked):
        return HttpResponse(str(threading.get_ident()))

    plug = {"default": {"BACKEND": "scalekit.db.pinning.cache.CachePinning"}}
    with override_settings(SCALEKIT_DB_PINNING=plug):
        response = asyncio.run(ReadYourWrites(view)(request()))
    assert threads
    assert response.content != str(threads[0]).encode()
