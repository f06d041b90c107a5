"""Dead letters on a real database, beside workers, other operators, and locks."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections

from scalekit.queue.dead_letters import KEY_TAKEN, NOT_DEAD, Search, discard, find, requeue
from scalekit.queue.models import Status, TaskRecord
from tests.integration.queue.processes import eventually
from tests.queue.dead import dead_letters

TASKS = "tests.integration.queue.project.tasks"
NOTE = f"{TASKS}.note"
BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"


@pytest.fixture
def stranger(queue_template, queue_database):
    """Give a connection of somebody else to the same database."""
    with psycopg.connect(queue_template.dsn, dbname=queue_database["NAME"]) as stranger:
        yield stranger


def outcome(batches):
    found = list(batches)
    return sum(b.done for b in found), {i: why for b in found for i, why in b.refused.items()}


@pytest.fixture
def tell():
    """Give a function that calls the command with --json, and returns what it says."""

    def call(*args):
        output = StringIO()
        call_command(*args, "--json", stdout=output)
        return json.loads(output.getvalue())

    return call


def test_five_hundred_are_requeued_by_the_command_and_run_with_their_ids_and_histories(
    in_project, tell, start_worker, start_relay, journal, rows
):
    """Beside one that fails again, with new retries and one history, and an actor."""
    letters = dead_letters(500, path=NOTE, args=["again"], attempt=4, deaths=2)
    (failing,) = dead_letters(
        path=f"{TASKS}.fail",
        args=["no"],
        attempt=3,
        options={"max_retries": 1},
    )
    dead_letters(path="call_out", kind="actor", kept=False, backend="", args=["aloud"])
    start_relay()
    start_worker("--threads=8")
    assert tell("dead_letters", "requeue", "--all")["requeued"] == 502

    expected = {(str(letter.pk), Status.SUCCESSFUL, 5, 4) for letter in letters}
    expected.add((str(failing.pk), Status.FAILED, 5, 6))
    columns = ("id::text", "status", "attempt", "jsonb_array_length(errors)")
    assert eventually(lambda: set(rows(*columns)) == expected, 60), rows(*columns)[:3]
    ran = {"again": 500, "attempt": 2, "ALOUD": 1}
    assert eventually(lambda: Counter(journal()) == ran), Counter(journal())


def test_two_operators_at_once_do_each_letter_once(in_project):
    dead_letters(500)
    ready = threading.Barrier(2)

    def operate(_):
        try:
            ready.wait(10)
            return outcome(requeue(next(find()), batch=20))[0]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(operate, range(2))) == 500
    assert set(TaskRecord.objects.values_list("publications", flat=True)) == {1}


def test_a_letter_that_somebody_has_locked_is_left_alone_and_nobody_waits(in_project, stranger):
    locked, free = dead_letters(2)
    stranger.execute(
        "SELECT 1 FROM scalekit_queue_taskrecord WHERE id = %s FOR UPDATE", [locked.pk]
    )
    for act in (requeue, discard):
        found = Search(ids=[locked.pk, free.pk]).among(TaskRecord.objects.all())
        done, refused = outcome(act(found))
        assert refused[locked.pk] == NOT_DEAD
        assert done == 1
        TaskRecord.objects.filter(pk=free.pk).update(status=Status.FAILED)


def test_a_unique_key_that_is_taken_in_this_moment_costs_the_others_nothing(
    in_project, stranger, queue_template, queue_database
):
    mine, *others = dead_letters(5)
    TaskRecord.objects.filter(pk=mine.pk).update(options={"unique": {"key": "k", "for": 60}})
    (rival,) = dead_letters(status=Status.READY)
    # It holds the key already, and nobody else can see that before it commits.
    stranger.execute(
        "UPDATE scalekit_queue_taskrecord SET unique_key = 'k' WHERE id = %s", [rival.pk]
    )

    def operate():
        try:
            return outcome(requeue(next(find())))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(operate)
        name = queue_database["NAME"]
        assert eventually(lambda: queue_template.execute(BLOCKED, [name])[0][0] > 0)
        stranger.commit()
        assert result.result(20) == (len(others), {mine.pk: KEY_TAKEN})


def test_errors_are_searched_in_the_databases_own_json(in_project):
    dead_letters(2)
    (wanted,) = dead_letters(errors=[{"traceback": 'caf\u00e9: "Disk" full\n'}])
    for text in ("disk", "caf\u00e9", "FULL"):
        assert [row.pk for row in next(find(Search(error=text)))] == [wanted.pk]


def test_lists_of_a_large_table_are_answered_by_indexes(in_project, rf):
    from django.contrib.admin import site

    from scalekit.queue.admin.jobs import JobAdmin

    with connection.cursor() as cursor:
        cursor.execute(FILL)
        cursor.execute("ANALYZE scalekit_queue_taskrecord")
    page = JobAdmin(TaskRecord, site)
    for query in ("", "status=FAILED", "age=1h", "status=RUNNING"):
        request = rf.get("/", dict([query.split("=")] if query else []))
        listed = page.get_queryset(request).order_by(*page.get_ordering(request))
        for spec in page.list_filter:
            chosen = spec(request, dict(request.GET.lists()), TaskRecord, page)
            listed = chosen.queryset(request, listed)
        for part in (listed[:100], listed.order_by()[:10_000]):
            plan = part.explain()
            assert query == "" or "Seq Scan" not in plan, (query, plan)
            assert "Limit" in plan


@pytest.mark.parametrize("queue_settings", [{"SCALEKIT_QUEUE_DATABASES": ["default", "shard"]}])
class TestSeveralDatabases:
    @pytest.fixture
    def queue_databases(self, new_queue_database):
        return {"default": new_queue_database(), "shard": new_queue_database()}

    def test_letters_are_found_and_requeued_wherever_they_lie(self, in_project, tell):
        dead_letters(2)
        dead_letters(3, using="shard")
        assert tell("dead_letters", "requeue", "--all")["requeued"] == 5
        assert not TaskRecord.objects.using("shard").filter(status=Status.FAILED).exists()

    def test_one_database_may_be_chosen(self, in_project):
        dead_letters(2)
        (there,) = dead_letters(using="shard")
        assert [list(found) for found in find(using="shard")] == [[there]]

    def test_the_admin_lists_one_database_and_finds_a_job_in_any(self, in_project, rf):
        from django.contrib.admin import site

        from scalekit.queue.admin.jobs import JobAdmin

        (here,), (there,) = dead_letters(), dead_letters(using="shard")
        page = JobAdmin(TaskRecord, site)
        assert list(page.get_queryset(rf.get("/"))) == [here]
        assert list(page.get_queryset(rf.get("/?database=shard"))) == [there]
        assert list(page.get_queryset(rf.get("/?database=nowhere"))) == [here]
        assert page.get_object(rf.get("/"), str(there.pk)) == there

    def test_figures_are_summed_over_databases(self, in_project, broker):
        from scalekit.queue.statistics import queue_statistics

        dead_letters(2)
        dead_letters(3, using="shard")
        figures = {f.queue: f.dead for f in queue_statistics().queues}
        assert (figures["default"], figures["mail"]) == (
            5,
            0,
        )  # actors of other tests have queues, too


def test_the_figures_of_a_real_broker_are_shown(in_project, broker, tell):
    from tests.integration.queue.project import tasks

    for number in range(3):
        tasks.note.enqueue(number)
    tasks.note.using(priority=90).enqueue("urgent")
    found = tell("queue_stats")
    figures = {f["queue"]: (f["ready"], f["overdue"], f["dead"]) for f in found["queues"]}
    assert (figures["default"], figures["mail"]) == ((4, 0, 0), (0, 0, 0))
    assert found["trouble"] == ""


FILL = """
INSERT INTO scalekit_queue_taskrecord
  (id, path, queue_name, priority, kind, backend, args, kwargs, options, status, worker_ids, errors,
   enqueued_at, finished_at)
SELECT ('01999999-' || lpad(to_hex(n / 65536), 4, '0') || '-7' || lpad(to_hex(n % 4096), 3, '0')
        || '-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
       'shop.mail.send', 'default', 0, 'task', 'default', '[]', '{}', '{}',
       CASE WHEN n % 500 = 0 THEN 'FAILED' WHEN n % 5001 = 0 THEN 'RUNNING' ELSE 'SUCCESSFUL' END,
       '[]', '[]', now() - interval '1 day', now()
  FROM generate_series(1, 40000) n
"""
