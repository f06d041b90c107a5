"""What visitors of a site with lagging replicas must never notice."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import defaultdict
from contextlib import ExitStack

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group, User
from django.db import connections
from django.test import AsyncClient, Client, override_settings

from scalekit.db.events import READ_ROUTED
from tests.db.databases import create_tables
from tests.integration.db.conftest import MIDDLEWARE
from tests.integration.db.visitor_pages import VISIT

pytestmark = pytest.mark.servers

HEADER = "X-Consistency-Token"
SETTINGS = {
    "ROOT_URLCONF": "tests.integration.db.visitor_pages",
    "MIDDLEWARE": [*MIDDLEWARE, "django.contrib.auth.middleware.AuthenticationMiddleware"],
    "SCALEKIT_DB_PIN_SECONDS": 60,
    "SCALEKIT_DB_MAX_LAG": 600,
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
}


@pytest.fixture
def lagging(replicated):
    """Both replicas know the people and groups of the beginning, and nothing that comes after."""
    with override_settings(**SETTINGS), ExitStack() as stack:
        for app in ("contenttypes", "auth"):
            create_tables("default", app=app)
        Group.objects.create(name="first")
        User.objects.bulk_create(User(username=f"ann{i}", password=hashed()) for i in range(20))
        for server in replicated:
            server.catch_up()
            stack.enter_context(server.replay_paused())
        yield


def hashed():
    from django.contrib.auth.hashers import make_password

    return make_password("secret")


def two_servers(**options):
    """Return two web servers that one visitor meets in turn."""
    one, other = Client(**options), Client(**options)
    other.cookies = one.cookies
    return one, other


def names(client, **headers):
    return client.get("/names", headers=headers).json()["names"]


@pytest.mark.parametrize("page", ["write", "stream", "fail", "on-commit", "nested"])
def test_a_get_that_writes_is_read_back_on_the_next_web_server(lagging, page):
    one, other = two_servers(raise_request_exception=False)
    response = one.get(f"/{page}/new")
    if response.streaming:
        assert response.getvalue() == b"first new new"
    assert response.status_code == (500 if page == "fail" else 200)
    assert names(other) == ["first", "new"]
    assert names(Client(), **{HEADER: response.headers[HEADER]}) == ["first", "new"]


def test_what_is_rolled_back_inside_a_transaction_pins_nobody(lagging):
    one, other = two_servers()
    response = one.get("/nested-in-vain/new")
    assert response.cookies == {}
    assert HEADER not in response.headers
    assert names(other) == ["first"]


def test_lag_logs_nobody_out(lagging):
    lost = []
    for number in range(20):
        one, other = two_servers()
        assert one.post("/log-in", {"name": f"ann{number}"}).content == b"in"
        for turn, client in enumerate([other, one] * 3):
            client.get(f"/basket/{turn}")
            lost += [number] if client.get("/who").content != f"ann{number}".encode() else []
        lost += [number] if one.get("/basket/last").content != b"0,1,2,3,4,5,last" else []
    assert lost == []


def test_logging_out_of_one_login_and_into_the_next_holds(lagging):
    one, other = two_servers()
    for name in ("ann1", "ann2", "ann1"):
        one.post("/log-in", {"name": name})
        assert other.get("/who").content == name.encode()


def test_a_form_sees_what_another_visitor_has_just_taken(lagging):
    assert Client().post("/form", {"name": "taken"}).content == b"saved"
    answer = Client().post("/form", {"name": "taken"})
    assert answer.status_code == 400
    assert "already exists" in answer.json()["name"][0]


def test_a_form_may_take_what_another_visitor_has_just_given_back(lagging):
    Group.objects.filter(name="first").delete()
    assert Client().post("/form", {"name": "first"}).content == b"saved"


class Reads:
    """Where each visit's reads went, as the router announced."""

    def __init__(self):
        self.by_visit = defaultdict(list)

    def hear(self, _event, payload):
        self.by_visit[VISIT.get()].append((payload["alias"], payload["reason"]))


def visits(count):
    """Return visits of both kinds in a random order: their number, whether pinned, whether they ask."""
    draw = random.Random(7)
    return [(n, draw.random() < 0.4, draw.random() < 0.4) for n in range(1, count + 1)]


def faults(reads, all_visits):
    """Return the visits that read where another visit's facts would have sent them."""
    found = []
    for number, pinned, block in all_visits:
        read = reads.by_visit[number]
        replicas = {alias for alias, _ in read if alias != "default"}
        asked = [alias for alias, reason in read if reason == "using_primary"]
        right = not replicas if pinned else len(replicas) == 1
        if (
            not right
            or bool(asked) != block
            or set(asked) - {"default"}
            or (not pinned and sum(alias == "default" for alias, _ in read) != len(asked))
        ):
            found.append((number, pinned, block, read))
    return found


def serve_in_threads(queue, token):
    def work():
        client = Client()
        while queue:
            number, pinned, block = queue.pop()
            headers = {HEADER: token} if pinned else {}
            client.get(f"/mixed/{number}" + "?block=1" * block, headers=headers)
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    return threads


async def serve_in_tasks(queue, token):
    async def work():
        client = AsyncClient()
        while queue:
            number, pinned, block = queue.pop()
            headers = {HEADER: token} if pinned else {}
            await client.get(f"/mixed-async/{number}" + "?block=1" * block, headers=headers)

    await asyncio.gather(*(work() for _ in range(12)))
    await sync_to_async(connections.close_all)()


def test_no_visit_of_a_thousand_reads_where_another_one_should(lagging):
    token = Client().get("/write/new").headers[HEADER]
    all_visits, reads = visits(1000), Reads()
    end = READ_ROUTED.subscribe(reads.hear)
    try:
        threads = serve_in_threads(all_visits[:600], token)
        asyncio.run(serve_in_tasks(all_visits[600:], token))
        for thread in threads:
            thread.join()
    finally:
        end()
    assert set(reads.by_visit) == {number for number, *_ in all_visits}
    assert faults(reads, all_visits) == []
