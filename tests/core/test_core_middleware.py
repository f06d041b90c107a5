from __future__ import annotations

import asyncio
import io
import logging
import sys

import pytest
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import Client
from django.urls import path

from scalekit.core.context import Fact, current_unit, facts, unit_of_work
from scalekit.core.middleware import FlowMiddleware, unit_of
from tests.core.serving import answer_asgi, counted_hops, serve_asgi, serve_wsgi

VISITOR: Fact[str] = Fact("sample_visitor", "nobody")
story: list[object] = []


@pytest.fixture(autouse=True)
def _fresh_story():
    story.clear()
    yield
    assert current_unit() is None


def teardown_module():
    facts.pop(VISITOR.name)


class Recorder(FlowMiddleware):
    def flow(self, request):
        VISITOR.set(request.GET.get("as", "somebody"))
        try:
            response = yield
        except BaseException as error:
            story.append(("broke", type(error).__name__, VISITOR.get()))
            raise
        response["X-Visitor"] = VISITOR.get()
        ending = yield response
        story.append((ending.outcome, ending.bytes, VISITOR.get()))


class Inner(FlowMiddleware):
    def flow(self, request):
        story.append(("inner sees", VISITOR.get()))
        VISITOR.set(VISITOR.get() + "+")
        yield


class Doorkeeper(FlowMiddleware):
    def flow(self, request):
        if request.path == "/closed":
            return HttpResponse("closed", status=503)
        response = yield
        if request.path == "/swapped":
            return HttpResponse("another")
        return response


class Swallower(FlowMiddleware):
    def flow(self, request):
        try:
            yield
        except BaseException:  # noqa: BLE001 - wrong on purpose
            return


class PassAlong(FlowMiddleware):
    def flow(self, request):
        return
        yield


def sync_view(request):
    return HttpResponse(VISITOR.get())


async def async_view(request):
    await asyncio.sleep(0)
    return HttpResponse(VISITOR.get())


def learns(request):
    VISITOR.set("Ada")
    return HttpResponse("known")


def boom(request):
    raise ValueError("boom")


def exits(request):
    raise SystemExit(3)


async def sleeps(request):
    request.scope["leave"]()
    await asyncio.sleep(30)


def _chunks():
    for _ in range(3):
        yield VISITOR.get().encode()


def stream(request):
    return StreamingHttpResponse(_chunks())


def broken_stream(request):
    def chunks():
        yield b"1234"
        raise ValueError("half-way")

    return StreamingHttpResponse(chunks())


async def _achunks():
    for _ in range(3):
        await asyncio.sleep(0)
        yield VISITOR.get().encode()


async def async_stream(request):
    return StreamingHttpResponse(_achunks())


async def async_broken_stream(request):
    async def chunks():
        yield b"1234"
        raise ValueError("half-way")

    return StreamingHttpResponse(chunks())


def late_learner(request):
    def chunks():
        VISITOR.set("late")
        yield b"x"

    return StreamingHttpResponse(chunks())


def sends_file(request):
    return FileResponse(io.BytesIO(b"12345678"))


def nested(request):
    assert serve_wsgi("/sync?as=inner").body == b"inner"
    return HttpResponse(VISITOR.get())


urlpatterns = [
    path("sync", sync_view),
    path("async", async_view),
    path("learns", learns),
    path("boom", boom),
    path("exits", exits),
    path("sleeps", sleeps),
    path("stream", stream),
    path("broken-stream", broken_stream),
    path("async-stream", async_stream),
    path("async-broken-stream", async_broken_stream),
    path("late", late_learner),
    path("file", sends_file),
    path("nested", nested),
    path("swapped", sync_view),
]


@pytest.fixture(autouse=True)
def site(settings):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [f"{__name__}.Recorder"]
    return settings


both = pytest.mark.parametrize("serve", [serve_wsgi, serve_asgi], ids=["wsgi", "asgi"])


@both
@pytest.mark.parametrize("view", ["sync", "async"])
def test_view_sees_the_facts_and_the_flow_the_end(serve, view):
    reply = serve(f"/{view}?as=Ada")
    assert (reply.status, reply.body, reply.headers["X-Visitor"]) == (200, b"Ada", "Ada")
    assert story == [("sent", 3, "Ada")]


@both
def test_what_the_view_learns_the_flow_knows(serve):
    assert serve("/learns").headers["X-Visitor"] == "Ada"


@both
def test_all_flows_of_a_request_share_its_unit(serve, site):
    site.MIDDLEWARE = [f"{__name__}.Recorder", f"{__name__}.Inner", f"{__name__}.Inner"]
    assert serve("/sync?as=Ada").body == b"Ada++"
    assert story == [("inner sees", "Ada"), ("inner sees", "Ada+"), ("sent", 5, "Ada++")]


@both
def test_exception_of_a_view_arrives_as_the_page_it_becomes(serve):
    assert serve("/boom").status == 500
    [(outcome, _, visitor)] = story
    assert (outcome, visitor) == ("sent", "somebody")


@both
def test_exit_of_a_view_is_seen_and_goes_on(serve):
    with pytest.raises(SystemExit):
        serve("/exits?as=Ada")
    assert story == [("broke", "SystemExit", "Ada")]


@both
def test_a_flow_that_ends_on_an_exception_does_not_hide_it(serve, site):
    site.MIDDLEWARE = [f"{__name__}.Swallower"]
    with pytest.raises(SystemExit):
        serve("/exits")


@both
def test_early_answer_and_swapped_answer(serve, site):
    site.MIDDLEWARE = [f"{__name__}.Doorkeeper"]
    assert serve("/closed").status == 503
    assert serve("/swapped").body == b"another"
    assert serve("/sync").status == 200


@both
def test_an_outer_flow_sees_the_early_answer_of_an_inner_one(serve, site):
    site.MIDDLEWARE = [f"{__name__}.Recorder", f"{__name__}.Doorkeeper"]
    assert serve("/closed").headers["X-Visitor"] == "somebody"
    assert story == [("sent", 6, "somebody")]


@both
def test_a_flow_may_stay_out_of_it(serve, site):
    site.MIDDLEWARE = [f"{__name__}.PassAlong"]
    assert serve("/sync").body == b"nobody"


@pytest.mark.parametrize(
    ("serve", "view"), [(serve_wsgi, "stream"), (serve_asgi, "async-stream")], ids=["wsgi", "asgi"]
)
def test_stream_ends_with_its_last_chunk_and_each_chunk_has_the_unit(serve, view):
    assert serve(f"/{view}?as=Ada").body == b"AdaAdaAda"
    assert story == [("sent", 9, "Ada")]


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
@pytest.mark.parametrize(
    ("serve", "view"), [(serve_asgi, "stream"), (serve_wsgi, "async-stream")], ids=["asgi", "wsgi"]
)
def test_stream_of_the_other_world_works_as_in_bare_django(serve, view):
    assert serve(f"/{view}?as=Ada").body == b"AdaAdaAda"
    assert story == [("sent", 9, "Ada")]


@pytest.mark.parametrize(
    ("serve", "view"),
    [(serve_wsgi, "broken-stream"), (serve_asgi, "async-broken-stream")],
    ids=["wsgi", "asgi"],
)
def test_stream_that_breaks_half_way_has_failed(serve, view):
    reply = serve(f"/{view}?as=Ada")
    assert isinstance(reply.error, ValueError)
    assert story == [("failed", 4, "Ada")]


@pytest.mark.parametrize(
    ("serve", "view"), [(serve_wsgi, "stream"), (serve_asgi, "async-stream")], ids=["wsgi", "asgi"]
)
def test_client_that_leaves_cancels_the_stream(serve, view):
    serve(f"/{view}?as=Ada", chunks=1)
    [(outcome, sent, visitor)] = story
    assert (outcome, visitor) == ("cancelled", "Ada")
    assert 3 <= sent <= 6


def test_client_that_leaves_before_the_answer_cancels_the_view():
    serve_asgi("/sleeps?as=Ada", chunks=0)
    assert story == [("broke", "CancelledError", "Ada")]


@both
def test_what_a_stream_learns_its_flow_knows(serve, recwarn):
    serve("/late")
    assert story == [("sent", 1, "late")]
    recwarn.clear()


@both
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_file_keeps_its_fast_path_and_ends_in_its_unit(serve):
    assert serve("/file?as=Ada").body == b"12345678"
    assert story == [("sent", 8, "Ada")]


def test_file_is_still_handed_to_the_servers_file_wrapper():
    wrapped = []
    serve_wsgi("/file?as=Ada", file_wrapper=lambda file, *_: wrapped.append(file) or file)
    assert len(wrapped) == 1


@both
def test_head_request(serve):
    assert serve("/sync?as=Ada", method="HEAD").status == 200
    assert story == [("sent", 3, "Ada")]


@both
def test_request_sent_from_inside_a_view_has_its_own_unit(serve):
    assert serve("/nested?as=outer").body == b"outer"
    assert story == [("sent", 5, "inner"), ("sent", 5, "outer")]


def test_a_caller_keeps_the_unit_it_had():
    with unit_of_work():
        VISITOR.set("caller")
        assert Client().get("/sync?as=Ada").content == b"Ada"
        assert VISITOR.get() == "caller"


def test_unit_of_a_request_can_still_be_read_after_it():
    request = Client().get("/sync?as=Ada").wsgi_request
    assert unit_of(request) == {"sample_visitor": "Ada"}
    assert unit_of(object()) is None


def test_concurrent_requests_do_not_see_each_other():
    async def crowd():
        names = [f"n{i}" for i in range(100)]
        asked = [
            answer_asgi(f"/{'sync' if i % 2 else 'async'}?as={n}") for i, n in enumerate(names)
        ]
        return names, await asyncio.gather(*asked)

    names, replies = asyncio.run(crowd())
    assert [reply.body.decode() for reply in replies] == names


@pytest.mark.parametrize("view", ["async", "sync", "async-stream"])
def test_no_thread_hop_is_added(view, site, monkeypatch):
    site.MIDDLEWARE = []
    with counted_hops(monkeypatch) as bare:
        serve_asgi(f"/{view}")
    site.MIDDLEWARE = [f"{__name__}.Recorder", f"{__name__}.Inner", f"{__name__}.Doorkeeper"]
    with counted_hops(monkeypatch) as flowing:
        serve_asgi(f"/{view}")
    assert len(flowing) - len(bare) == 0


def test_django_adapts_nothing(caplog, site):
    site.DEBUG = True  # Django reports adaptations only then
    with caplog.at_level(logging.DEBUG, "django.request"):
        ASGIHandler()
    assert "adapted" not in caplog.text


def test_work_handed_to_a_thread_shares_the_unit():
    async def view(request):
        await sync_to_async(VISITOR.set)("thread")
        return HttpResponse(VISITOR.get())

    module = sys.modules[__name__]
    module.urlpatterns.append(path("thread", view))
    try:
        assert serve_asgi("/thread").headers["X-Visitor"] == "thread"
    finally:
        module.urlpatterns.pop()
