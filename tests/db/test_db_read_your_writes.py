from __future__ import annotations

import time

import pytest
from asgiref.sync import async_to_sync
from django.core import signing
from django.db import transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory, override_settings

from scalekit.db import writes
from scalekit.db.events import PIN_EXPIRED, PIN_REFUSED
from scalekit.db.middleware import HEADER, ReadYourWrites
from scalekit.db.pins import Pin
from scalekit.db.tokens import MAX_LENGTH, SALT, seal, unseal
from tests.db.databases import rolled_back

COOKIE = "scalekit_pin"


def served(view, **headers):
    """Return the response of one request to a site that is `view` behind the middleware."""
    cookies = headers.pop("cookies", None)
    request = RequestFactory().get("/", headers=headers)
    if cookies:
        request.COOKIES |= cookies
    return ReadYourWrites(view)(request)


def reading(request):
    from django.db import router

    from tests.db.shop.models import Customer

    return HttpResponse(router.db_for_read(Customer))


def writing(request):
    from tests.db.shop.models import Customer

    Customer.objects.create(name="Ann")
    return HttpResponse("written")


def failing(request):
    with rolled_back():
        writing(request)
    return HttpResponse("rolled back")


@pytest.fixture
def refusals():
    heard = []
    end = PIN_REFUSED.subscribe(lambda _, payload: heard.append(payload["reason"]))
    yield heard
    end()


def signed(payload):
    return signing.Signer(salt=SALT).sign_object(payload)


def test_a_request_that_writes_nothing_gets_nothing(replicas):
    for view in (reading, failing):
        response = served(view)
        assert response.cookies == {}
        assert set(response.headers) == {"Content-Type"}


def test_a_write_pins_its_visitor_by_cookie(replicas):
    cookie = served(writing).cookies[COOKIE]
    assert served(reading, cookies={COOKIE: cookie.value}).content == b"default"
    assert served(reading).content.startswith(b"replica")
    assert (cookie["max-age"], cookie["httponly"], cookie["samesite"]) == (60, True, "Lax")


def test_a_write_pins_api_clients_by_header(replicas):
    token = served(writing).headers[HEADER]
    answer = served(reading, **{HEADER: token})
    assert answer.content == b"default"
    assert set(answer.headers) == {"Content-Type"}  # it wrote nothing, and a CDN may keep it


def test_what_carries_a_pin_is_kept_by_no_cdn(replicas):
    def public(request):
        response = writing(request)
        response["Cache-Control"] = "public, max-age=60"
        return response

    assert served(public).headers["Cache-Control"] == "max-age=60, private"


@override_settings(SESSION_COOKIE_SAMESITE="None")
def test_the_cookie_goes_where_the_session_s_goes(replicas):
    assert served(writing).cookies[COOKIE]["samesite"] == "None"


def test_hooks_that_came_before_the_write_read_what_was_written(replicas, monkeypatch):
    monkeypatch.setattr(writes, "is_testing", lambda: False)  # order them as in production
    seen = []

    def hooked(request):
        with transaction.atomic():
            transaction.on_commit(lambda: seen.append(reading(request).content))
            writing(request)
        return HttpResponse("written")

    assert COOKIE in served(hooked).cookies
    assert seen == [b"default"]


@override_settings(SCALEKIT_DB_PIN_SECONDS=0.2)
def test_a_pin_ends(replicas):
    token = served(writing).headers[HEADER]
    time.sleep(0.25)
    answer = served(reading, **{HEADER: token})
    assert answer.content.startswith(b"replica")
    assert HEADER not in answer.headers


def test_a_write_extends_the_pin_and_reading_does_not(replicas):
    first = served(writing).cookies[COOKIE].value
    assert served(reading, cookies={COOKIE: first}).cookies == {}
    assert served(writing, cookies={COOKIE: first}).cookies[COOKIE].value != first


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("nonsense", "bad signature"),
        ("x" * 5000, "too long"),
        (lambda: seal({"default": Pin(time.time() + 3)})[:-1] + "x", "bad signature"),
        (lambda: signing.Signer(salt="another").sign_object({"default": [1]}), "bad signature"),
        (lambda: signed({"default": [time.time() + 3600]}), "absurd"),
        (lambda: signed({"default": ["soon"]}), "absurd"),
        (lambda: signed({"default": [-1]}), "absurd"),
        (lambda: signed({"default": []}), "absurd"),
        (lambda: signed({"default": time.time() + 3}), "absurd"),
        (lambda: signed(["default"]), "absurd"),
        (lambda: signed({f"db{i}": [time.time() + 1] for i in range(65)}), "absurd"),
        (lambda: signed({"default": [time.time() + 1, 7, 1, 0xFFFFFFFFFFFFFFFF]}), "absurd"),
        (lambda: signed({"default": [time.time() + 1, 7, 1 << 31, 5]}), "absurd"),
        (lambda: signed({"default": [time.time() + 1, 7, -1, 5]}), "absurd"),
        (lambda: signed({"default": [time.time() + 1, 7, 1]}), "absurd"),
        (lambda: signed({"default": [time.time() + 1, 7, 1, "5"]}), "absurd"),
        ("\x00\udcff", "bad signature"),
    ],
)
def test_a_token_that_is_not_ours_is_ignored_and_announced(replicas, refusals, token, reason):
    value = token() if callable(token) else token
    response = served(reading, cookies={COOKIE: value})
    assert response.status_code == 200
    assert response.content.startswith(b"replica")
    assert refusals == [reason]


def test_a_token_for_a_database_that_is_no_more_harms_nothing(replicas):
    assert served(reading, **{HEADER: seal({"gone": Pin(time.time() + 3)})}).status_code == 200


def test_a_token_replayed_after_its_life_demands_nothing_and_is_counted(replicas):
    heard = []
    end = PIN_EXPIRED.subscribe(lambda _, payload: heard.append(payload["source"]))
    token = signed({"default": [time.time() - 86400, 7, 1, 5]})
    assert served(reading, **{HEADER: token}).content.startswith(b"replica")
    end()
    assert heard == ["header"]


def test_a_token_of_many_databases_fits_into_a_cookie_and_keeps_the_newest():
    now = time.time()
    pins = {
        f"a_long_alias_of_shard_{i}": Pin(round(now + 9 + i / 100, 3), 7 << 60, 1, 1 << (i % 50))
        for i in range(64)
    }
    token = seal(pins)
    assert len(token) <= MAX_LENGTH
    kept = unseal(token)
    assert kept.items() <= pins.items()
    assert "a_long_alias_of_shard_63" in kept


def test_an_unsafe_request_reads_from_the_primary(replicas):
    from scalekit.db import using_replica

    def searching(request):
        with using_replica():
            return reading(request)

    def posted(view):
        return ReadYourWrites(view)(RequestFactory().post("/")).content

    assert posted(reading) == b"default"
    assert posted(searching).startswith(b"replica")


def test_under_asgi_a_reading_request_hops_to_no_thread(replicas, monkeypatch):
    from scalekit.db import middleware

    hops = []

    async def view(request):
        return HttpResponse("read")

    async def view_that_writes(request):
        from asgiref.sync import sync_to_async

        return await sync_to_async(writing)(request)

    in_thread = middleware._in_thread
    monkeypatch.setattr(middleware, "_in_thread", lambda f: hops.append(f) or in_thread(f))
    request = RequestFactory().get("/")
    async_to_sync(ReadYourWrites(view))(request)
    assert hops == []
    response = async_to_sync(ReadYourWrites(view_that_writes))(request)
    assert COOKIE in response.cookies
    assert len(hops) == 1


def test_old_keys_still_read_cookies(replicas):
    with override_settings(SECRET_KEY="old"):
        token = served(writing).headers[HEADER]
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"]):
        assert served(reading, **{HEADER: token}).content == b"default"


def test_without_replicas_no_request_is_touched(unsharded, refusals):
    response = served(writing, cookies={COOKIE: "nonsense"})
    assert response.cookies == {}
    assert HEADER not in response.headers
    assert refusals == []


def test_an_exception_after_the_commit_still_pins(replicas):
    from django.core.handlers.exception import convert_exception_to_response

    def breaking(request):
        writing(request)
        raise PermissionError

    with override_settings(
        DEBUG_PROPAGATE_EXCEPTIONS=False, ROOT_URLCONF="django.contrib.auth.urls"
    ):
        from django.core.exceptions import PermissionDenied

        def denied(request):
            writing(request)
            raise PermissionDenied

        response = served(convert_exception_to_response(denied))
    assert response.status_code == 403
    assert COOKIE in response.cookies


def test_streams_pass_through(replicas):
    def streaming(request):
        writing(request)
        return StreamingHttpResponse([b"a", b"b"])

    response = served(streaming)
    assert COOKIE in response.cookies
    assert b"".join(response) == b"ab"
