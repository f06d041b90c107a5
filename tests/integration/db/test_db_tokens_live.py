from __future__ import annotations

import json
from collections import Counter

import pytest
from django.db import connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from scalekit.core.context import arrived_with, portable_facts, unit_of_work
from scalekit.db.events import PIN_REFUSED, POSITION_UNKNOWN, READ_ROUTED
from scalekit.db.facts import PINS
from scalekit.db.locating import position_of
from scalekit.db.monitor.watching import monitor
from scalekit.db.pins import Pin
from scalekit.db.tokens import seal, unseal
from tests.db.databases import rolled_back
from tests.integration.db.conftest import cluster
from tests.integration.db.watching import until, watch

pytestmark = pytest.mark.servers

HEADER = "X-Consistency-Token"
PAGE = 8192


def customers():
    from tests.db.shop.models import Customer

    return Customer.objects


@pytest.fixture
def watched(replicated):
    watch()
    return replicated


@pytest.fixture
def routed():
    heard = Counter()
    end = READ_ROUTED.subscribe(lambda _, payload: heard.update([payload["reason"]]))
    yield heard
    end()


def token_of_a_write(client=None, name="Ann"):
    return (client or Client()).get(f"/write/{name}").headers[HEADER]


def answer(token=None, client=None):
    headers = {HEADER: token} if token else {}
    return (client or Client()).get("/names", headers=headers).json()


def test_a_token_is_the_position_after_the_commit(watched, postgres_primary):
    before = postgres_primary.position()
    pin = unseal(token_of_a_write())["default"]
    assert pin.system == postgres_primary.value("SELECT system_identifier FROM pg_control_system()")
    assert pin.timeline == 1
    low, high = (
        postgres_primary.value("SELECT %s::pg_lsn - '0/0'", [lsn])
        for lsn in (before, postgres_primary.position())
    )
    assert low < pin.lsn <= high


def test_after_a_write_reads_go_to_replicas_that_show_it(watched, routed):
    for server in watched:
        server.catch_up()
    reasons = Counter()
    for i in range(20):
        client = Client()
        client.get(f"/write/visitor-{i}")
        routed.clear()
        assert f"visitor-{i}" in answer(client=client)["names"]
        reasons.update(routed)
    assert reasons["waited"] + reasons["caught up"] >= 15
    assert sum(reasons[reason] for reason in ("waited", "caught up", "pinned")) == 20


def test_with_every_replica_paused_nobody_reads_the_past(watched, routed):
    with watched[0].replay_paused(), watched[1].replay_paused():
        client = Client()
        client.get("/write/Ann")
        for _ in range(200):
            assert answer(client=client) == {"names": ["Ann"], "from": "default"}
    until(lambda: answer(client=client)["from"] != "default")


def test_with_one_replica_paused_only_the_other_answers(watched):
    paused, other = watched
    with paused.replay_paused():
        client = Client()
        client.get("/write/Ann")
        other.catch_up()
        until(lambda: answer(client=client)["from"] == other.name)
        for _ in range(50):
            assert answer(client=client) == {"names": ["Ann"], "from": other.name}


def test_a_log_that_ends_with_its_page_is_reached_on_an_idle_primary(watched, postgres_primary):
    connection = connections["default"]
    with connection.cursor() as cursor:
        for _ in range(2000):
            cursor.execute("SELECT (pg_current_wal_insert_lsn() - '0/0') %% %s", [PAGE])
            at = int(cursor.fetchone()[0])
            if at == 24:
                break
            # A message takes its length and a little; the last step ends exactly with the page.
            missing = PAGE - at
            length = missing - OVERHEAD if OVERHEAD < missing < 900 else min(600, missing // 2)
            cursor.execute(
                "SELECT pg_logical_emit_message(false, '', repeat('x', %s))", [max(length, 0)]
            )
        assert at == 24
        position = position_of(connection)
        cursor.execute("SELECT pg_current_wal_insert_lsn() - '0/0'")
        assert int(cursor.fetchone()[0]) - position.lsn in (24, 40)
    for server in watched:
        until(lambda s=server: monitor.sight_of(s.name).has(position), 3)
    from scalekit.db.monitor.waiting import shows

    assert all(shows(server.name, position, 0.05) for server in watched)


OVERHEAD = 24 + 2 + 32 + 1  # record header, block-less data header, message header, empty prefix


def test_a_read_costs_no_query_and_a_write_one(watched, postgres_primary):
    client = Client()
    client.get("/write/warm")
    for server in watched:
        server.catch_up()
    with CaptureQueriesContext(connections["default"]) as queries:
        Client().get("/write/Ann")
    assert [q["sql"].split()[0] for q in queries] == ["INSERT", "SELECT", "--"]
    captured = [CaptureQueriesContext(connections[alias]) for alias in connections]
    for context in captured:
        context.__enter__()
    Client().get("/names")
    assert sum(len(context) for context in captured) == 1
    for context in captured:
        context.__exit__(None, None, None)


def test_several_commits_cost_one_position(watched):
    from django.http import HttpResponse
    from django.test import RequestFactory

    from scalekit.db.middleware import ReadYourWrites

    def view(request):
        for i in range(5):
            customers().create(name=f"n{i}")
        return HttpResponse()

    with CaptureQueriesContext(connections["default"]) as queries:
        ReadYourWrites(view)(RequestFactory().get("/"))
    assert len(queries) == 6


def test_on_commit_hooks_savepoints_and_late_exceptions_are_seen(watched):
    from django.core.exceptions import PermissionDenied
    from django.core.handlers.exception import convert_exception_to_response
    from django.test import RequestFactory

    from scalekit.db.middleware import ReadYourWrites

    def served(view):
        inner = convert_exception_to_response(view)
        return ReadYourWrites(inner)(RequestFactory().get("/"))

    def hooked(request):
        with transaction.atomic():
            transaction.on_commit(lambda: customers().create(name="late"))
        raise PermissionDenied

    def taken_back(request):
        with transaction.atomic(), rolled_back():
            customers().create(name="never")
        raise PermissionDenied

    assert unseal(served(hooked).headers[HEADER])["default"].system
    assert HEADER not in served(taken_back).headers


def test_tokens_of_another_cluster_are_ignored_and_of_the_future_not_trusted(watched):
    refused = []
    end = PIN_REFUSED.subscribe(lambda _, payload: refused.append(payload["reason"]))
    pin = unseal(token_of_a_write())["default"]
    until(lambda: answer(seal({"default": pin}))["from"] != "default")
    assert answer(seal({"default": pin._replace(system=pin.system + 1)}))["from"] != "default"
    assert answer(seal({"default": pin._replace(timeline=9)}))["from"] == "default"
    assert answer(seal({"default": pin._replace(lsn=1 << 59)}))["from"] == "default"
    end()
    assert refused == ["another cluster", "future timeline"]


def test_a_job_reads_the_write_of_its_request(watched):
    """Enqueued on commit, carried as JSON, run while no replica shows anything new."""
    carried = []
    with watched[0].replay_paused(), watched[1].replay_paused():
        with unit_of_work(), transaction.atomic():
            customers().create(name="Ann")
            transaction.on_commit(lambda: carried.append(json.dumps(portable_facts())))
        with arrived_with(json.loads(carried[0])):
            assert customers().get().name == "Ann"


def test_a_job_that_carries_a_position_reads_from_replicas_that_show_it(watched):
    pin = unseal(token_of_a_write())["default"]
    for server in watched:
        server.catch_up()
    until(lambda: all(monitor.sight_of(s.name).has(pin.position) for s in watched))
    with arrived_with(json.loads(json.dumps({"db_pins": {"default": pin}}))):
        assert customers().all().db.startswith("replica_")


def test_a_form_is_validated_against_what_was_just_written_by_others(watched):
    from django.http import HttpResponse
    from django.test import RequestFactory

    from scalekit.db.middleware import ReadYourWrites

    def view(request):
        return HttpResponse(customers().filter(name="Ann").exists())

    with watched[0].replay_paused(), watched[1].replay_paused():
        customers().create(name="Ann")
        assert ReadYourWrites(view)(RequestFactory().post("/")).content == b"True"


def test_without_pg_monitor_replicas_answer_after_a_second(postgres_primary, postgres_replicas):
    postgres_primary.execute("DROP ROLE IF EXISTS plain")
    postgres_primary.execute("CREATE ROLE plain LOGIN PASSWORD 'plain' SUPERUSER")
    with cluster(postgres_primary, postgres_replicas):
        postgres_primary.execute(
            "GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC", database="shop"
        )
        postgres_primary.execute(
            "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC", database="shop"
        )
        postgres_primary.execute("ALTER ROLE plain NOSUPERUSER")
        for server in postgres_replicas:
            server.catch_up()
        for alias in connections:
            connections[alias].close()
            connections[alias].settings_dict.update(USER="plain", PASSWORD="plain")
        watch()
        token = token_of_a_write()
        assert unseal(token)["default"].system
        took = until(lambda: answer(token)["from"] != "default")
        assert took < 3.5
        assert answer(token)["names"] == ["Ann"]
        connections.close_all()
        monitor.stop()


def test_a_primary_that_tells_no_position_keeps_its_visitors(watched, monkeypatch):
    from scalekit.db import locating

    heard = []
    end = POSITION_UNKNOWN.subscribe(lambda _, payload: heard.append(payload["alias"]))
    monkeypatch.setattr(locating, "SQL", "SELECT no_such_function()")
    token = token_of_a_write()
    end()
    assert heard == ["default"]
    assert answer(token)["from"] == "default"


@pytest.fixture
def promoted(scalekit_servers):
    """A cluster whose primary fails with a write that nobody else has."""
    primary = scalekit_servers.postgres("primary")
    heir = scalekit_servers.postgres_replica(primary, "heir")
    other = scalekit_servers.postgres_replica(primary, "replica_1")
    with cluster(primary, [other]):
        watch()
        heir.kill()  # so that it lacks what comes now
        other.kill()
        lost = unseal(token_of_a_write(name="lost"))["default"]
        connections.close_all()
        primary.kill()
        heir.start()
        other.start()
        yield heir, other, lost


def test_a_token_of_the_old_timeline_is_never_believed(promoted):
    heir, other, lost = promoted
    heir.promote()
    other.follow(heir)
    connections["default"].close()
    for entry in (connections["default"].settings_dict, connections.settings["default"]):
        entry["PORT"] = heir.port
    monitor.stop()
    for i in range(500):
        customers().create(name=f"row-{i}" * 5)
    other.catch_up()
    watch()
    sight = monitor.sight_of("replica_1")
    assert sight.proven.lsn > lost.lsn  # as a number, it has "caught up"
    assert sight.proven.timeline == 2
    with unit_of_work():
        PINS.set({"default": lost})
        assert customers().all().db == "default"
    with unit_of_work():
        PINS.set({"default": Pin(lost.expiry, *sight.proven)})
        assert customers().all().db == "replica_1"


def test_under_asgi_the_position_is_taken_on_the_connection_that_committed(watched):
    from asgiref.sync import async_to_sync
    from django.test import AsyncClient

    client = AsyncClient()
    response = async_to_sync(client.get)("/write/Ann")
    assert unseal(response.headers[HEADER])["default"].system
    for server in watched:
        server.catch_up()
    reading = async_to_sync(client.get)("/names")
    assert reading.json()["names"] == ["Ann"]
    assert HEADER not in reading.headers


def test_a_primary_that_is_down_shows_none_of_its_writers_the_past(scalekit_servers, routed):
    primary = scalekit_servers.postgres("primary")
    one = scalekit_servers.postgres_replica(primary, "replica_1")
    with cluster(primary, [one]):
        watch()
        one.pause_replay()
        token = token_of_a_write()
        one.resume_replay()
        far = {a: p._replace(lsn=p.lsn + (1 << 30)) for a, p in unseal(token).items()}
        primary.kill()
        until(lambda: monitor.sight_of("default").reason == "unreachable")
        with unit_of_work():
            PINS.set(far)
            assert customers().all().db == "default"
        assert routed["pinned"]
        with unit_of_work():
            assert customers().all().db == one.name  # somebody else reads on
        connections.close_all()


def test_who_may_take_over_a_read_must_show_the_same(watched):
    from scalekit.db.servers import may_answer

    paused, other = watched
    with paused.replay_paused():
        pin = unseal(token_of_a_write())["default"]
        other.catch_up()
        until(lambda: monitor.sight_of(other.name).has(pin.position))
        with unit_of_work():
            assert may_answer(other.name)
            PINS.set({"default": pin})
            assert may_answer(other.name)
            assert not may_answer(paused.name)


def test_a_read_that_moves_on_never_moves_to_who_does_not_show_the_write(scalekit_servers):
    primary = scalekit_servers.postgres("primary")
    one, late = (scalekit_servers.postgres_replica(primary, f"replica_{i}") for i in (1, 2))
    with cluster(primary, [one, late]):
        watch()
        late.delay_replay(8)  # and so in rotation, for its lag is allowed
        pin = unseal(token_of_a_write())["default"]
        until(lambda: monitor.sight_of(one.name).has(pin.position))
        with unit_of_work():
            PINS.set({"default": pin})
            assert customers().all().db == one.name
            one.kill()
            assert customers().get().name == "Ann"
        connections.close_all()
