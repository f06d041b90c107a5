from __future__ import annotations

import time
from collections import Counter
from itertools import count

import pytest
from django.db import connections
from django.test import Client

from tests.db.databases import create_tables, databases
from tests.integration.db.conftest import MIDDLEWARE, NAME
from tests.integration.db.failing import calling, customers, eventually, forget_servers
from tests.integration.db.test_db_failover_primary import settings_of

pytestmark = pytest.mark.servers


@pytest.fixture
def site(scalekit_servers, settings):
    """A site on a primary and a replica that may take over."""
    settings.SCALEKIT_DB_FAILOVER_WAIT = 0.2
    one = scalekit_servers.postgres("one")
    other = scalekit_servers.postgres_replica(one, "other")
    one.create_database(NAME)
    forget_servers()
    middleware = ["scalekit.db.outage.middleware.ReadOnlyMode", *MIDDLEWARE]
    with databases(
        settings_of(one, other), MIDDLEWARE=middleware, ROOT_URLCONF="tests.integration.db.urls"
    ):
        create_tables("default")
        create_tables("default", app="sessions")
        customers().create(name="Ann")
        other.catch_up()
        yield one, other
        connections.close_all()
        forget_servers()


def visitor(cookies=None):
    client = Client(raise_request_exception=False)
    client.cookies = cookies or client.cookies
    return client


def test_with_the_primary_down_reads_go_on_and_writes_are_asked_to_come_back(site):
    one, other = site
    logged_in = visitor()
    logged_in.get("/log-in")
    other.catch_up()
    one.kill()
    for _ in range(3):
        page = visitor().get("/names")
        assert page.json() == {"names": ["Ann"], "from": "replica_1"}
        for path in ("/write/Bob", "/take-back/Bob", "/log-in"):
            response = visitor().get(path)
            assert response.status_code == 503, path
            assert response.headers["Retry-After"] == "5"
            assert response.cookies == {}
    assert logged_in.get("/log-in").status_code == 503  # a session that is saved, not made
    other.promote()
    assert eventually(lambda: visitor().get("/write/Bob").status_code == 200, 5)
    assert customers().filter(name="Bob").count() == 1


def test_a_visitor_whose_write_no_replica_has_is_not_shown_the_past(site):
    one, other = site
    writer = visitor()
    with other.replay_paused():
        assert writer.get("/write/Bob").status_code == 200
        one.kill()
        assert writer.get("/names").status_code == 503
        assert visitor().get("/names").json()["names"] == ["Ann"]


def test_a_failover_under_load_costs_writers_a_503_and_readers_nothing(site):
    one, other = site
    reads, writes, numbers = Counter(), Counter(), count()

    def read():
        reads[visitor().get("/names").status_code] += 1

    def write():
        writes[visitor().get(f"/write/n{next(numbers)}").status_code] += 1

    with calling(read, threads=2, rate=20), calling(write, threads=2, rate=10):
        time.sleep(1)
        one.kill()
        time.sleep(1)
        other.promote()
        promoted, before = time.monotonic(), writes[200]
        assert eventually(lambda: writes[200] > before, 8)
        print(f"first write {time.monotonic() - promoted:.2f} s after the promotion")  # noqa: T201
        time.sleep(1)
    print(reads, writes)  # noqa: T201
    assert set(reads) == {200}
    assert set(writes) == {200, 503}
    written = Counter(customers().exclude(name="Ann").values_list("name", flat=True))
    assert set(written.values()) == {
        1
    }  # nothing twice; the last ones may have died with the primary
