from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from scalekit.queue import pausing
from scalekit.queue.brokers.base import QueueStats
from scalekit.queue.exceptions import BrokerUnreachable
from scalekit.queue.management.teaching import ago, moment, span_of
from scalekit.queue.models import Status, TaskRecord
from tests.queue.dead import dead_letters
from tests.queue.sample_tasks import ponder

pytestmark = pytest.mark.django_db


def run(*args, **options):
    out = StringIO()
    call_command(*args, stdout=out, no_color=True, **options)
    return out.getvalue()


def dead(*args):
    return run("dead_letters", *args)


def statuses():
    return sorted(TaskRecord.objects.values_list("status", flat=True))


def test_the_list_names_the_newest_with_the_reason():
    rows = dead_letters(3, queue_name="mail")
    shown = dead("list", "--limit=2")
    assert shown.count("ValueError: no luck") == 2
    assert "2 of 3 dead letters." in shown
    assert str(rows[0].pk)[:8] in shown


def test_the_list_for_programs():
    (row,) = dead_letters(attempt=4, deaths=1)
    (one,) = json.loads(dead("list", "--json"))
    assert (one["id"], one["task"], one["attempts"]) == (str(row.pk), row.path, 4)
    assert (one["reason"], one["database"]) == ("ValueError: no luck", "default")


def test_one_is_shown_with_everything():
    (row,) = dead_letters(args=["an argument"], kwargs={"a": 1})
    shown = dead("show", str(row.pk))
    assert "['an argument']" in shown
    assert shown.count("attempt ") == 4
    assert 'File "mail.py", line 3' in shown
    assert json.loads(dead("show", str(row.pk), "--json"))["args"] == ["an argument"]


def test_what_is_not_dead_is_not_shown():
    (row,) = dead_letters(status=Status.READY)
    with pytest.raises(CommandError, match="There is no dead letter"):
        dead("show", str(row.pk))


def test_nothing_in_a_job_steers_the_terminal():
    hostile = "\x1b[2J\x1b]0;owned\x07"
    (row,) = dead_letters(
        path=hostile,
        args=[hostile],
        errors=[{"traceback": hostile, "exception_class_path": hostile}],
    )
    for shown in (dead("list"), dead("show", str(row.pk))):
        assert "\x1b" not in shown
        assert "\x07" not in shown


def test_requeue_by_filter():
    dead_letters(2, queue_name="mail")
    dead_letters(1)
    assert "2 dead letters requeued." in dead("requeue", "--queue=mail")
    assert statuses() == ["FAILED", "READY", "READY"]


def test_requeue_by_ids():
    one, _other = dead_letters(2)
    dead("requeue", str(one.pk))
    assert TaskRecord.objects.get(status=Status.READY).pk == one.pk


def test_requeue_by_error_and_time():
    dead_letters(2, finished_at=timezone.now() - timedelta(hours=3))
    dead_letters(1)
    assert "1 dead letter requeued." in dead("requeue", "--error=no luck", "--since=2h")
    assert "2 dead letters requeued." in dead("requeue", "--task=tests.*", "--until=2h")


@pytest.mark.parametrize("action", ["requeue", "discard"])
def test_a_dry_run_counts_and_changes_nothing(action):
    dead_letters(3)
    assert "3 dead letters would be" in dead(action, "--all", "--dry-run")
    assert statuses() == ["FAILED"] * 3


@pytest.mark.parametrize("action", ["requeue", "discard"])
def test_all_of_them_has_to_be_said(action):
    dead_letters(3)
    with pytest.raises(CommandError, match="--all"):
        dead(action)
    assert statuses() == ["FAILED"] * 3


def test_discarding_asks(monkeypatch):
    dead_letters(3)
    monkeypatch.setattr("builtins.input", lambda _question: "no")
    with pytest.raises(CommandError, match="Nothing was discarded"):
        dead("discard", "--all")
    monkeypatch.setattr("builtins.input", lambda _question: "yes")
    assert "3 dead letters discarded." in dead("discard", "--all")
    assert statuses() == []


def test_discarding_asks_nothing_where_nobody_answers():
    dead_letters(3)
    dead("discard", "--all", "--no-input")
    assert statuses() == []


def test_what_was_left_alone_is_said():
    (row,) = dead_letters(path="", raw="{")
    assert f"{row.pk} was left: it could not be read" in dead("requeue", "--all")
    result = json.loads(dead("requeue", "--all", "--json"))
    assert (result["requeued"], list(result["refused"])) == (0, [str(row.pk)])


def test_a_bar_shows_how_far_it_is_on_a_terminal():
    class Terminal(StringIO):
        def isatty(self):
            return True

    dead_letters(3)
    screen = Terminal()
    run("dead_letters", "requeue", "--all", stderr=screen)
    assert "3 of 3" in screen.getvalue()
    assert "█" in screen.getvalue()


def test_a_wrong_time_says_what_to_write():
    with pytest.raises(CommandError, match="2h or 7d"):
        dead("list", "--since=yesterday")


def test_spans_and_times_are_read_and_written():
    now = timezone.now()
    assert abs((now - moment("90m")).total_seconds() - 5400) < 5
    assert moment("2026-01-31T18:00+00:00").isoformat() == "2026-01-31T18:00:00+00:00"
    assert moment("2026-01-31T18:00").tzinfo is not None
    assert [span_of(s) for s in (0, 90, 7200, 200_000, 3_000_000)] == [
        "0s",
        "90s",
        "2h",
        "2d",
        "5w",
    ]
    assert (ago(None), ago(now - timedelta(hours=3), now)) == ("-", "3h")


def test_a_queue_is_paused_listed_and_resumed():
    assert "mail is paused." in run("pause_queue", "mail", "--by=ana")
    assert "mail is paused already." in run("pause_queue", "mail")
    assert "by ana" in run("pause_queue", "--list")
    assert json.loads(run("pause_queue", "--list", "--json"))[0]["queue"] == "mail"
    assert "mail goes on." in run("pause_queue", "mail", "--resume")
    assert "mail was not paused." in run("pause_queue", "mail", "--resume")
    assert "No queue is paused." in run("pause_queue", "--list")


def test_whoever_pauses_a_queue_in_a_container_may_have_no_name(monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: {}["USER"])
    run("pause_queue", "mail")
    assert "@" in pausing.paused()[0].by


def test_pausing_wants_a_name():
    with pytest.raises(CommandError, match="Which queue"):
        run("pause_queue")


@pytest.fixture
def waiting(broker, monkeypatch):
    """Give a function that sets what the broker says of its queues."""

    def waiting(**lanes):
        monkeypatch.setattr(
            type(broker),
            "stats",
            lambda _self, names: {n: lanes.get(n, QueueStats()) for n in names},
        )

    return waiting


def test_figures_are_summed_over_lanes_and_come_from_rows_and_broker(waiting):
    now = timezone.now()
    dead_letters(2)
    dead_letters(1, status=Status.RUNNING, finished_at=None)
    dead_letters(3, status=Status.READY, publish_at=now - timedelta(minutes=1))
    dead_letters(4, status=Status.READY, publish_at=now, run_after=now + timedelta(hours=1))
    dead_letters(5, status=Status.SUCCESSFUL)
    pausing.pause("default", by="ana")
    waiting(
        **{
            "default": QueueStats(ready=7, in_flight=1, dead=1, waited=3.0),
            "default.high": QueueStats(ready=2, delayed=1, waited=61.0),
        }
    )
    found = {
        figures["queue"]: figures for figures in json.loads(run("queue_stats", "--json"))["queues"]
    }
    figures = found["default"]
    since = figures.pop("paused_since")
    assert since
    assert figures == {
        "queue": "default",
        "ready": 9,
        "delayed": 1,
        "in_flight": 1,
        "waited": 61.0,
        "running": 1,
        "later": 4,
        "overdue": 3,
        "dead": 3,
        "paused_by": "ana",
    }
    shown = run("queue_stats")
    assert "paused" in shown
    assert "█" * 30 in shown


def test_queues_of_actors_are_shown_before_they_have_jobs(waiting):
    waiting(**{ponder.queue_name: QueueStats(ready=3)})
    found = {
        figures["queue"]: figures for figures in json.loads(run("queue_stats", "--json"))["queues"]
    }
    assert found[ponder.queue_name]["ready"] == 3


def test_the_rows_are_counted_although_the_broker_is_down(broker, monkeypatch):
    def down(_self, _names):
        raise BrokerUnreachable("no broker at home")

    monkeypatch.setattr(type(broker), "stats", down)
    dead_letters(2)
    found = json.loads(run("queue_stats", "--json"))
    assert (found["trouble"], found["queues"][0]["dead"]) == ("no broker at home", 2)
    assert found["queues"][0]["ready"] is None
    shown = run("queue_stats")
    assert "no broker at home" in shown
    assert " ? " in shown


@pytest.mark.parametrize("command", ["dead_letters", "pause_queue", "queue_stats", "cron"])
def test_help_teaches_by_examples(command, capsys):
    with pytest.raises(SystemExit):
        call_command(command, "--help")
    shown = capsys.readouterr().out
    assert f"manage.py {command}" in shown.partition("examples:")[2]
