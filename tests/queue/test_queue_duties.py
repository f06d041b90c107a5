from __future__ import annotations

import json
from datetime import timedelta
from threading import Event, Thread
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.db.models.functions import Now
from django.utils import timezone

from scalekit.queue import duties, leadership, relaying
from scalekit.queue.brokers.base import DeadMessage
from scalekit.queue.ids import new_id
from scalekit.queue.models import Lease, Status, TaskGroup, TaskRecord
from scalekit.queue.records import new_row
from scalekit.queue.sweeping import forget_expired, import_dead, sweep_lost
from tests.queue.sample_tasks import note

pytestmark = pytest.mark.django_db


def stored(**fields):
    row = new_row(note, ("a",), {})
    for name, value in fields.items():
        setattr(row, name, value)
    row.save(force_insert=True)
    return row


def again(row):
    return TaskRecord.objects.get(pk=row.pk)


def ago(**units):
    return timezone.now() - timedelta(**units)


# Jobs whose worker is lost


def test_job_whose_lease_has_ended_is_due_again(broker, heard):
    lost = heard("queue_jobs_lost")
    row = stored(status=Status.RUNNING, attempt=1, leased_until=ago(seconds=1))
    sweep_lost("default")
    sweep_lost("default")
    row = again(row)
    assert (row.status, row.attempt, row.publications) == (Status.RUNNING, 1, 1)
    assert row.publish_at <= timezone.now()
    assert lost == [{"database": "default", "jobs": 1}]


def test_job_whose_worker_lives_is_left_alone(broker):
    row = stored(status=Status.RUNNING, attempt=1, leased_until=ago(seconds=-10))
    sweep_lost("default")
    assert again(row).publish_at is None


# What is over


def test_what_has_expired_is_forgotten(broker):
    stored(status=Status.SUCCESSFUL, expires_at=ago(seconds=1))
    kept = stored(status=Status.SUCCESSFUL, expires_at=ago(seconds=-60))
    endless = stored(status=Status.FAILED)
    assert forget_expired("default") is False
    assert set(TaskRecord.objects.values_list("pk", flat=True)) == {kept.pk, endless.pk}


def test_member_of_a_group_that_is_not_over_is_kept(broker):
    group = TaskGroup.objects.create(id=new_id(), size=1, pending=1)
    row = stored(status=Status.SUCCESSFUL, expires_at=ago(days=1), group=group.pk)
    forget_expired("default")
    assert TaskRecord.objects.filter(pk=row.pk).exists()
    TaskGroup.objects.update(finished_at=Now(), failed=1)
    forget_expired("default")
    assert TaskRecord.objects.filter(pk=row.pk).exists()
    TaskGroup.objects.update(failed=0)
    forget_expired("default")
    assert not TaskRecord.objects.filter(pk=row.pk).exists()


def test_more_than_a_batch_is_forgotten_batch_by_batch(broker, monkeypatch):
    monkeypatch.setattr("scalekit.queue.sweeping.FORGOTTEN_AT_ONCE", 2)
    for _ in range(3):
        stored(status=Status.SUCCESSFUL, expires_at=ago(days=1))
    assert [forget_expired("default"), forget_expired("default")] == [True, False]
    assert TaskRecord.objects.count() == 0


# The broker's dead letters


@pytest.fixture
def graveyard(broker, monkeypatch):
    """Give the broker's dead letters of the queue ``default``, which this test fills."""
    letters = {}

    def forget(queue, ids):
        for id_ in ids:
            letters.pop(id_, None)

    monkeypatch.setattr(broker, "get_declared_queues", lambda: {"default"})
    monkeypatch.setattr(
        broker, "dead_messages", lambda queue, limit: list(letters.values())[:limit]
    )
    monkeypatch.setattr(broker, "forget_dead", forget)

    def bury(raw, reason="failed", deliveries=1):
        letter = DeadMessage(str(uuid4()), "default", reason, raw, deliveries)
        letters[letter.id] = letter
        return letters

    return bury


def message(actor="shout", args=("hey",), **options):
    body = {
        "queue_name": "default",
        "actor_name": actor,
        "args": list(args),
        "kwargs": {},
        "options": options,
        "message_id": str(new_id()),
        "message_timestamp": 1,
    }
    return body, json.dumps(body).encode()


def test_dead_letter_of_an_actor_becomes_a_row(graveyard):
    body, raw = message(traceback="ValueError: no luck", retries=3, max_retries=3)
    letters = graveyard(raw, deliveries=4)
    import_dead("default")
    row = TaskRecord.objects.get()
    assert (str(row.pk), row.kind, row.path) == (body["message_id"], "actor", "shout")
    assert (row.args, row.options, row.queue_name) == (["hey"], {"max_retries": 3}, "default")
    assert (row.status, row.kept) == (Status.FAILED, False)
    assert row.finished_at is not None
    assert "no luck" in row.errors[0]["traceback"]
    assert letters == {}


def test_dead_letter_of_a_task_without_a_record_can_be_run_again(graveyard):
    _, raw = message("scalekit.task.default", ["shop.tasks.mail", [1], {"to": 2}], backend="b")
    graveyard(raw)
    import_dead("default")
    row = TaskRecord.objects.get()
    assert (row.kind, row.path, row.args, row.kwargs) == ("task", "shop.tasks.mail", [1], {"to": 2})
    assert (row.backend, row.queue_name, row.priority) == ("b", "default", 0)


def test_same_dead_letter_imported_twice_is_one_row(graveyard):
    _, raw = message()
    graveyard(raw)
    graveyard(raw)
    import_dead("default")
    graveyard(raw)
    import_dead("default")
    assert TaskRecord.objects.count() == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\x00 no JSON",
        b"[]",
        b'{"actor_name": 1}',
        message(args=["\x00"])[1],
        message(actor="x" * 300)[1],
        b"[" * 100_000,
    ],
)
def test_what_cannot_be_read_becomes_a_row_with_what_it_was(graveyard, raw):
    letters = graveyard(raw, "unreadable")
    import_dead("default")
    row = TaskRecord.objects.get()
    assert (row.path, row.status) == ("", Status.FAILED)
    assert row.raw == raw.decode(errors="backslashreplace").replace("\x00", "\\x00")
    assert "could not be read" in row.errors[0]["traceback"]
    assert letters == {}


def test_record_of_a_dead_letter_says_that_it_failed(graveyard):
    row = stored(publish_at=ago(minutes=-10))
    body, _ = message("scalekit.task.default", ["x", [], {}], database="default")
    body["message_id"] = str(row.pk)
    graveyard(json.dumps(body).encode(), "no actor")
    import_dead("default")
    row = again(row)
    assert (row.status, row.publish_at) == (Status.FAILED, None)
    assert "No worker knows its actor" in row.errors[0]["traceback"]
    assert TaskRecord.objects.count() == 1


@pytest.mark.parametrize("status", [Status.RUNNING, Status.SUCCESSFUL])
def test_record_that_has_gone_on_is_left_alone(graveyard, status):
    row = stored(status=status, attempt=1, leased_until=ago(seconds=-10))
    body, _ = message("scalekit.task.default", ["x", [], {}], database="default")
    body["message_id"] = str(row.pk)
    letters = graveyard(json.dumps(body).encode(), "died")
    import_dead("default")
    assert again(row).status == status
    assert (TaskRecord.objects.count(), letters) == (1, {})


def test_broker_that_is_away_is_no_failure_of_the_duty(refusing, broker, monkeypatch):
    from scalekit.queue.exceptions import BrokerUnreachable

    def fail(*_):
        raise BrokerUnreachable

    monkeypatch.setattr(broker, "get_declared_queues", lambda: {"default"})
    monkeypatch.setattr(broker, "dead_messages", fail)
    assert import_dead("default") is False


# Who does it


@pytest.fixture
def another(monkeypatch):
    """Give a function that makes this process another holder."""
    return lambda name: monkeypatch.setattr(leadership, "me", lambda: name)


def test_lease_has_one_holder_until_it_ends(another):
    another("one")
    assert leadership.hold("default", "sweep", 30)
    assert leadership.hold("default", "sweep", 30)
    another("two")
    assert not leadership.hold("default", "sweep", 30)
    Lease.objects.update(until=ago(seconds=1))
    assert leadership.hold("default", "sweep", 30)
    another("one")
    assert not leadership.hold("default", "sweep", 30)


def test_lease_that_was_let_go_is_free(another):
    another("one")
    leadership.hold("default", "sweep", 30)
    another("two")
    leadership.let_go("default", "sweep")
    assert not leadership.hold("default", "sweep", 30)
    another("one")
    leadership.let_go("default", "sweep")
    another("two")
    assert leadership.hold("default", "sweep", 30)


def test_sign_of_life_ends_by_itself(another):
    another("one")
    assert not leadership.is_alive("default", "test relay")
    leadership.beat("default", "test relay")
    assert leadership.is_alive("default", "test relay")
    Lease.objects.update(until=ago(seconds=1))
    assert not leadership.is_alive("default", "test relay")


# How they are run


@pytest.fixture
def only(monkeypatch):
    """Give a function that declares a duty, the only one there is in this test."""
    known = {}
    monkeypatch.setattr(duties, "duties", known)
    monkeypatch.setattr(relaying, "duties", known)
    monkeypatch.setattr(relaying, "MODULES", ())

    def declare(run, **options):
        duties.duty("test", **{"every": 0.01, "exclusive": False, **options})(run)
        return known["test"]

    return declare


def test_duty_that_fails_is_announced_and_done_again(only, heard, transactional_db):
    failed, runs, process = heard("queue_duty_failed"), [], relaying.RelayProcess()

    def stumble(database):
        runs.append(database)
        if len(runs) == 1:
            raise OperationalError("the server closed the connection")
        process.stop()

    only(stumble)
    process.run()
    assert len(runs) >= 2
    assert failed == [
        {"duty": "test", "database": "default", "why": "the server closed the connection"}
    ]


def test_duty_with_more_to_do_is_done_again_at_once(only, transactional_db):
    runs, process = [], relaying.RelayProcess()

    def go_on(database):
        runs.append(database)
        if len(runs) == 3:
            process.stop()
        return len(runs) < 3

    only(go_on, every=3600.0)
    process.run()
    assert len(runs) == 3


def test_exclusive_duty_of_another_process_is_not_done(only, another):
    runs = []
    only(runs.append, exclusive=True)
    another("one")
    leadership.hold("default", "test", 30)
    another("two")
    assert relaying.do_all_once()
    assert runs == []


@pytest.mark.parametrize(
    ("databases", "places"), [("all", ["default", "shard"]), ("first", ["default"])]
)
def test_where_a_duty_is_done(only, settings, databases, places):
    settings.SCALEKIT_QUEUE_DATABASES = ["default", "shard"]
    assert only(print, databases=databases).places() == places


def test_relay_that_is_stopped_lets_go_of_its_leases(only, transactional_db):
    process = relaying.RelayProcess()
    only(lambda _: process.stop(), exclusive=True)
    process.run()
    assert not Lease.objects.get(name="test").until > timezone.now()


def test_relay_ends_although_a_duty_hangs(only, transactional_db):
    hangs, ends = Event(), Event()
    process = relaying.RelayProcess(grace=0.1)

    def hang(_):
        hangs.set()
        ends.wait(30)

    only(hang)
    running = Thread(target=process.run)
    running.start()
    hangs.wait(10)
    process.stop()
    running.join(10)
    ends.set()
    assert not running.is_alive()


def test_command_does_all_there_is_to_do_once(broker, calls, capsys, db):
    stored(publish_at=ago(minutes=1))
    stored(status=Status.SUCCESSFUL, expires_at=ago(days=1))
    call_command("run_relay", "--once")
    assert len(calls) == 1
    assert TaskRecord.objects.count() == 1
    assert "Relaying from default" in capsys.readouterr().out


def test_command_says_that_something_failed(only, broker, db):
    def fail(_):
        raise ValueError("no luck")

    only(fail)
    with pytest.raises(CommandError, match="the log says what"):
        call_command("run_relay", "--once")


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        call_command("run_relay", "--help")
    assert "run_relay --once     do all there is to do" in capsys.readouterr().out


def test_duties_of_all_parts_are_known(db):
    known = {duty.name for duty, _ in relaying.all_duties()}
    assert known >= {"relay", "sweep_lost", "import_dead", "forget_expired", "cron"}
