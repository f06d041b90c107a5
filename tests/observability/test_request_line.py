from __future__ import annotations

import asyncio
import gc
import json
import logging
import weakref

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser, User
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception
from django.db import connection, connections
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from scalekit.observability.facts import REQUEST_ID
from tests.core.serving import answer_asgi, counted_hops, serve_asgi, serve_wsgi

REQUEST = "scalekit.observability.middleware.RequestMiddleware"
FAILING = "tests.observability.sample_site.Failing"


@pytest.fixture(autouse=True)
def site(settings):
    settings.ROOT_URLCONF = "tests.observability.sample_site"
    settings.DEBUG = False
    settings.SCALEKIT_TRUSTED_PROXIES = ["127.0.0.1"]  # all requests of these tests come from there
    settings.MIDDLEWARE = [
        REQUEST,
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    return settings


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


both = pytest.mark.parametrize("serve", [serve_wsgi, serve_asgi], ids=["wsgi", "asgi"])


@both
def test_one_line_says_what_was_asked_and_answered(serve, lines, site):
    site.MIDDLEWARE = [REQUEST]
    reply = serve("/users/7?token=CANARY", headers={"x-request-id": "abc-1"})
    [line] = lines.requests
    duration = line.pop("duration_ms")
    line.pop("ts")
    assert 0 < duration < 5000
    assert line == {
        "level": "INFO",
        "logger": "scalekit.request",
        "event": "GET /users/<int:pk> 200",
        "request_id": "abc-1",
        "method": "GET",
        "route": "/users/<int:pk>",
        "path": "/users/7",
        "status": 200,
        "outcome": "sent",
        "bytes": 1,
        "ip": "127.0.0.1",
        "db": {},
        "db_n": 0,
        "db_ms": 0,
    }
    assert reply.headers["X-Request-ID"] == "abc-1"


@pytest.mark.parametrize(
    ("what", "status", "error"),
    [
        ("value", 500, "ValueError"),
        ("404", 404, None),
        ("403", 403, None),
        ("400", 400, None),
        ("suspicious", 400, None),
        ("big", 400, None),
    ],
)
def test_an_exception_is_one_line_with_the_status_of_its_page(client, lines, what, status, error):
    fired = []

    def count(**kwargs):
        fired.append(kwargs)

    got_request_exception.connect(count)
    try:
        assert client.get(f"/raises/{what}").status_code in {status, 413}
    finally:
        got_request_exception.disconnect(count)
    [line] = lines.requests
    assert line["status"] in {status, 413}
    assert line.get("error_type") == error
    assert line["level"] == ("ERROR" if error else "INFO")
    assert len(fired) == (1 if error else 0)


@both
def test_exception_is_named_under_both_handlers(serve, lines):
    assert serve("/raises/value").status == 500
    assert [line["error_type"] for line in lines.requests] == ["ValueError"]


@pytest.mark.parametrize("query", ["fail-in", "fail-out"])
@pytest.mark.parametrize("outermost", [True, False])
def test_exception_of_a_middleware_is_one_line(client, lines, site, query, outermost):
    own = [REQUEST, FAILING] if outermost else [FAILING, REQUEST]
    site.MIDDLEWARE = own
    assert client.get(f"/hello?{query}").status_code == 500
    seen = [line["status"] for line in lines.requests]
    expected = [500] if outermost else [200] if query == "fail-out" else []
    assert seen == expected


def test_exception_while_a_template_is_rendered_is_one_line(client, lines):
    assert client.get("/broken-template").status_code == 500
    assert [line["error_type"] for line in lines.requests] == ["TemplateDoesNotExist"]


@both
@pytest.mark.parametrize(
    ("what", "kind"), [("exit", "SystemExit"), ("interrupt", "KeyboardInterrupt")]
)
def test_what_ends_the_process_is_still_logged(serve, lines, what, kind):
    with pytest.raises((SystemExit, KeyboardInterrupt)):
        serve(f"/raises/{what}")
    [line] = lines.requests
    assert (line["status"], line["outcome"], line["error_type"]) == (500, "failed", kind)
    assert REQUEST_ID.get() == ""


def test_wrong_host_is_logged_and_the_line_itself_asks_for_no_host(client, lines, site):
    site.MIDDLEWARE = [REQUEST, "django.middleware.common.CommonMiddleware"]
    assert client.get("/hello", headers={"host": "evil.example"}).status_code == 400
    site.MIDDLEWARE = [REQUEST]
    assert Client().get("/hello", headers={"host": "10.0.0.7"}).status_code == 200
    assert [line["status"] for line in lines.requests] == [400, 200]


@pytest.mark.parametrize(
    ("serve", "path"),
    [(serve_wsgi, "/slow-stream"), (serve_asgi, "/async-slow-stream")],
    ids=["wsgi", "asgi"],
)
def test_stream_is_timed_to_its_end(serve, path, lines):
    serve(path)
    [line] = lines.requests
    assert (line["outcome"], line["bytes"]) == ("sent", 12)
    assert line["duration_ms"] >= 150


@pytest.mark.parametrize(
    ("serve", "path"),
    [(serve_wsgi, "/slow-stream"), (serve_asgi, "/async-slow-stream")],
    ids=["wsgi", "asgi"],
)
def test_client_that_leaves_is_one_line(serve, path, lines):
    serve(path, chunks=1)
    [line] = lines.requests
    assert (line["outcome"], line["status"], line["level"]) == ("cancelled", 200, "INFO")
    assert line["request_id"]


def test_client_that_leaves_before_the_answer_is_499(lines):
    serve_asgi("/sleeps", chunks=0)
    [line] = lines.requests
    assert (line["outcome"], line["status"], line["route"]) == ("cancelled", 499, "/sleeps")


def test_stream_that_breaks_is_an_error_with_the_bytes_so_far(lines):
    serve_wsgi("/broken-stream")
    [line] = lines.requests
    assert (line["outcome"], line["level"], line["bytes"]) == ("failed", "ERROR", 4)
    assert line["error_type"] == "ValueError"


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
@both
def test_file_is_one_line_with_its_request_id(serve, lines):
    reply = serve("/file")
    [line] = lines.requests
    assert (line["outcome"], line["bytes"]) == ("sent", 8)
    assert line["request_id"] == reply.headers["X-Request-ID"]


def test_response_that_nobody_closes_is_one_line(lines, rf):
    from scalekit.observability.middleware import RequestMiddleware
    from tests.observability.sample_site import slow_stream

    response = RequestMiddleware(slow_stream)(rf.get("/slow-stream"))
    del response
    gc.collect()
    assert [line["outcome"] for line in lines.requests] == ["cancelled"]


@pytest.mark.parametrize("path", ["/hello", "/slow-stream"])
@pytest.mark.parametrize("middleware", [[], [REQUEST]], ids=["bare", "observed"])
def test_request_is_freed_without_the_garbage_collector(path, middleware, site):
    site.MIDDLEWARE = middleware  # Django's lazy `request.user` would hold it
    alive = []
    serve_wsgi(path)  # what is cached on first use is cached now
    gc.collect()
    gc.disable()
    try:
        serve_wsgi(path, application=_remembering(alive))
        assert [ref() for ref in alive] == [None]
    finally:
        gc.enable()


def _remembering(alive):
    class Handler(WSGIHandler):
        def get_response(self, request):
            alive.append(weakref.ref(request))
            return super().get_response(request)

    return Handler()


def test_head_sends_no_body(lines):
    serve_wsgi("/hello", method="HEAD")
    assert [(line["method"], line["bytes"]) for line in lines.requests] == [("HEAD", 0)]


def test_unknown_method_has_a_name_of_its_own(lines):
    serve_wsgi("/hello", method="BREW")
    assert [line["method"] for line in lines.requests] == ["_OTHER"]


def test_home_page_and_unknown_page_have_routes_too(client, lines):
    client.get("/")
    client.get("/no/such/page")
    assert [line["route"] for line in lines.requests] == ["/", "(unmatched)"]


def test_queries_are_counted_by_database(client, lines, db):
    client.get("/queries")
    client.get("/hello")
    first, second = lines.requests
    assert (first["db"]["default"]["n"], first["db_n"]) == (2, 2)
    assert 0 < first["db_ms"] == first["db"]["default"]["ms"]
    assert second["db_n"] == 0


def test_queries_of_a_stream_are_counted(client, lines, db):
    b"".join(client.get("/querying-stream"))
    assert [line["db_n"] for line in lines.requests] == [1]


def test_queries_of_async_code_are_counted(lines, transactional_db):
    async def ask():
        await AsyncClient().get("/async-orm")
        await sync_to_async(connections.close_all)()

    asyncio.run(ask())
    assert [line["db_n"] for line in lines.requests] == [1]


def test_counting_survives_a_first_connection_inside_another_wrapper(lines, transactional_db):
    connection.close()
    connection.execute_wrappers.clear()
    assert Client().get("/first-connection").content == b"1"
    assert [line["db_n"] for line in lines.requests] == [2]
    assert len(connection.execute_wrappers) == 1


def test_reconnecting_counts_once(lines, transactional_db):
    for _ in range(3):
        connection.close()
        Client().get("/queries")
    assert [line["db_n"] for line in lines.requests] == [2, 2, 2]


def test_djangos_own_counting_of_queries_is_unchanged(client, db, django_assert_num_queries):
    with django_assert_num_queries(2):
        client.get("/queries")


def test_what_the_cache_announces_stands_in_the_line(client, lines):
    client.get("/reads-cache")
    assert [line["cache"] for line in lines.requests] == [{"hit": 2, "miss": 1}]


def test_session_cookie_alone_costs_no_query_and_no_vary(client, lines, db):
    client.force_login(User.objects.create_user("ada"))
    with CaptureQueriesContext(connection) as captured:
        response = client.get("/hello")
    assert len(captured) == 0
    assert "Vary" not in response.headers
    assert "user_id" not in lines.requests[-1]


def test_user_that_the_view_has_loaded_is_named_by_key(client, lines, db):
    ada = User.objects.create_user("ada")
    client.get("/whoami")
    client.force_login(ada)
    client.get("/whoami")
    first, second = lines.requests
    assert "user_id" not in first
    assert AnonymousUser().pk is None
    assert second["user_id"] == ada.pk
    assert "ada" not in json.dumps(second)


def test_nested_request_has_its_own_id_and_the_outer_one_survives(client, lines):
    response = client.get("/nested", headers={"x-request-id": "outer"})
    assert response.content == b"inner outer"
    assert [line["request_id"] for line in lines.requests] == ["inner", "outer"]


def test_hundred_concurrent_requests_keep_their_ids(lines):
    async def crowd():
        ids = [f"id-{i}" for i in range(100)]
        paths = ("/hello", "/async-hello")
        asked = [
            answer_asgi(paths[i % 2], headers={"x-request-id": id_}) for i, id_ in enumerate(ids)
        ]
        return ids, await asyncio.gather(*asked)

    ids, replies = asyncio.run(crowd())
    assert [reply.headers["X-Request-ID"] for reply in replies] == ids
    assert sorted(line["request_id"] for line in lines.requests) == sorted(ids)


@pytest.mark.parametrize("path", ["/async-hello", "/hello", "/async-slow-stream"])
def test_no_thread_hop_is_added(path, site, monkeypatch):
    site.MIDDLEWARE = []
    with counted_hops(monkeypatch) as bare:
        serve_asgi(path)
    site.MIDDLEWARE = [
        "scalekit.health.middleware.HealthMiddleware",
        REQUEST,
        "scalekit.regions.middleware.RegionMiddleware",
    ]
    with counted_hops(monkeypatch) as observed:
        serve_asgi(path)
    assert len(observed) - len(bare) == 0


def test_django_adapts_no_scalekit_middleware(caplog, site):
    site.DEBUG = True
    site.MIDDLEWARE = [
        "scalekit.health.middleware.HealthMiddleware",
        REQUEST,
        "scalekit.regions.middleware.RegionMiddleware",
    ]
    with caplog.at_level(logging.DEBUG, "django.request"):
        ASGIHandler()
    assert "adapted" not in caplog.text


@pytest.mark.parametrize(
    "given",
    [
        "x" * 10_000,
        "x" * 129,
        "a b",
        "a=b",
        "id\r\nSet-Cookie: a=b",
        "id\n",
        "\u00e9",
        "",
        "a,b",
        "\x00",
        "<script>",
    ],
)
def test_hostile_request_id_is_replaced(rf, given):
    from scalekit.observability.middleware import RequestMiddleware
    from tests.observability.sample_site import hello

    request = rf.get("/hello")
    request.META["HTTP_X_REQUEST_ID"] = given
    answered = RequestMiddleware(hello)(request)["X-Request-ID"]
    assert answered != given
    assert len(answered) == 32
    assert int(answered, 16) > 0


@both
@pytest.mark.parametrize("trusted", [[], ["10.0.0.0/24"]], ids=["nobody", "others"])
def test_request_id_of_one_who_is_no_proxy_of_ours_is_replaced(serve, site, trusted):
    site.SCALEKIT_TRUSTED_PROXIES = trusted
    reply = serve("/hello", headers={"x-request-id": "abc-1", "x-forwarded-for": "10.0.0.5"})
    assert len(reply.headers["X-Request-ID"]) == 32


def test_two_request_ids_are_none():
    first_and_second = {"x-request-id": "a", "X-Request-ID": "b"}
    assert len(serve_asgi("/hello", headers=first_and_second).headers["X-Request-ID"]) == 32


def test_line_holds_no_secret(lines, client):
    headers = {
        "authorization": "Bearer CANARY",
        "cookie": "sessionid=CANARY",
        "x-csrftoken": "CANARY",
    }
    client.post("/hello?token=CANARY&sig=CANARY", {"password": "CANARY"}, headers=headers)
    client.get("/reset/MQ/CANARY-1a2b/")
    client.get("/raises/canary", headers=headers)
    assert len(lines.requests) == 3
    assert "CANARY" not in "\n".join(lines.raw)
    assert lines.requests[1]["path"] == "/reset/MQ/[redacted]/"


def test_hostile_path_stays_on_its_line(lines, client):
    client.get("/a\nb\r\x1b[2J\u2028\x85\x00")
    assert all("\n" not in raw and "\x1b" not in raw and raw.isascii() for raw in lines.raw)
    assert len(lines.requests) == 1


def test_listed_twice_is_still_one_line(client, lines, site):
    site.MIDDLEWARE = [REQUEST, *site.MIDDLEWARE]
    client.get("/hello")
    assert len(lines.requests) == 1


def test_log_that_cannot_be_written_costs_no_request(client, site):
    class Broken(logging.Handler):
        def emit(self, record):
            raise OSError("disk full")

    handler, logger = Broken(), logging.getLogger("scalekit.request")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        assert client.get("/hello").status_code == 200
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def test_djangos_own_lines_carry_the_request_id_too(client, lines):
    client.get("/no/such/page", headers={"x-request-id": "abc"})
    [line] = lines.of("django.request")
    assert (line["event"], line["request_id"]) == ("Not Found: /no/such/page", "abc")
    assert "request" not in line


@pytest.mark.parametrize("token", ["CANARY-1a2b", "CANARY", "%C3%A9CANARY", "a%5CCANARY"])
def test_what_the_path_took_for_a_token_is_on_none_of_djangos_lines_either(client, lines, token):
    client.get(f"/lost/{token}")
    [line] = lines.of("django.request")
    assert line["event"] == "Internal Server Error: /lost/[redacted]"
    assert line["error_message"] == "nobody has asked for [redacted]"
    assert "CANARY" not in "\n".join(lines.raw)


def test_token_of_one_letter_leaves_djangos_line_readable(client, lines):
    client.get("/lost/e")
    [line] = lines.of("django.request")
    assert line["event"] == "Internal Server Error: /lost/[redacted]"
    assert line["error_message"] == "nobody has asked for e"


def test_request_that_is_none_is_no_error(lines):
    """The development server passes its socket by that name."""
    logging.getLogger("shop").error("said", extra={"request": object()})
    assert lines.of("shop")[0]["event"] == "said"
