from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from scalekit.queue.checks import check_queue
from scalekit.queue.ids import new_id
from scalekit.queue.models import CronSlot, TaskRecord
from tests.queue.dead import dead_letters

NOTE = "tests.queue.sample_tasks.note"
NIGHTLY = {"TASK": NOTE, "CRON": "0 3 * * *", "TIME_ZONE": "Europe/Berlin"}


def flaws(settings, **entries):
    settings.SCALEKIT_QUEUE_CRON = entries
    return [f"{m.id.split('.')[-1]} {m.msg}" for m in check_queue() if m.id[-3:-1] == "03"]


def test_a_right_entry_has_no_flaw(broker, settings):
    full = {**NIGHTLY, "ARGS": [1], "KWARGS": {"a": 2}, "CATCH_UP": 7200}
    actor = {"TASK": "tests.queue.sample_tasks.shout", "CRON": "@hourly", "ARGS": ["hey"]}
    with_context = {"TASK": "tests.queue.sample_tasks.attempt", "CRON": "@hourly"}
    assert flaws(settings, nightly=full, loud=actor, again=with_context) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"CRON": "0 25 * * *"}, "Bad hour. Write five fields"),
        ({"CRON": "0 3 * *"}, "'0 3 * *' is no cron expression"),
        ({"CRON": 3}, "CRON is 3"),
        ({"TASK": "tests.queue.sample_tasks.nothing"}, "cannot be imported"),
        ({"TASK": "no.such.module.task"}, "No module named 'no'"),
        ({"TASK": "tests.queue.sample_tasks.plain_function"}, "Decorate the function with @task"),
        ({"TIME_ZONE": "Europe/Berln"}, "Did you mean 'Europe/Berlin'?"),
        ({"TIME_ZONE": 5}, "There is no time zone 5"),
        ({"TIME_ZONE": "../secret"}, "There is no time zone"),
        ({"CATCH_UP": 5}, "from a minute to a year"),
        ({"CATCH_UP": True}, "from a minute to a year"),
        ({"CATCH_UP": 1e300}, "from a minute to a year"),
        ({"ARGS": "ab"}, "ARGS is 'ab'. Write for example"),
        ({"KWARGS": []}, "KWARGS is []"),
        ({"ARGS": [object()]}, "ARGS and KWARGS are no JSON"),
        ({"TASK": "tests.queue.sample_tasks.explode", "ARGS": [1, 2]}, "too many positional"),
        ({"TASK": "tests.queue.sample_tasks.shout", "ARGS": []}, "missing a required argument"),
        ({"TIMEZONE": "UTC"}, "Did you mean 'TIME_ZONE'?"),
    ],
)
def test_a_wrong_entry_is_an_error_that_says_what_to_write(broker, settings, change, said):
    (flaw,) = flaws(settings, nightly={**NIGHTLY, **change})
    assert flaw.startswith("E030 SCALEKIT_QUEUE_CRON['nightly']: ")
    assert said in flaw


@pytest.mark.parametrize("entry", [None, {}, {"TASK": NOTE}, {"CRON": "@daily"}])
def test_half_an_entry_is_an_error(broker, settings, entry):
    (flaw,) = flaws(settings, nightly=entry)
    assert 'Write {"TASK": "shop.tasks.nightly", "CRON": "0 3 * * *"}' in flaw


def test_a_name_that_no_slot_could_have_is_an_error(broker, settings):
    (flaw,) = flaws(settings, **{"n" * 101: NIGHTLY})
    assert "1 to 100 characters" in flaw


def test_a_project_without_time_zones_cannot_have_cron(broker, settings):
    settings.USE_TZ = False
    (flaw,) = flaws(settings, nightly=NIGHTLY)
    assert flaw.startswith("E031")


def test_a_setting_of_the_wrong_kind_is_left_to_the_check_of_settings(broker, settings):
    settings.SCALEKIT_QUEUE_CRON = ["nightly"]
    settings.SCALEKIT_QUEUE_DATABASES = "default"
    assert [m for m in check_queue() if m.id[-3:] in {"006", "030", "031"}] == []


def cron(*args):
    out = StringIO()
    call_command("cron", *args, stdout=out, no_color=True)
    return out.getvalue()


@pytest.mark.django_db
def test_the_list_shows_next_and_last_times_in_the_entrys_zone(broker, settings):
    settings.SCALEKIT_QUEUE_CRON = {"nightly": NIGHTLY}
    (job,) = dead_letters()
    CronSlot.objects.create(name="nightly", due_at="2026-10-24T01:00Z")
    CronSlot.objects.create(name="nightly", due_at="2026-10-26T02:00Z", job=job.pk)
    shown = cron("--next=2")
    assert "last  Mon 2026-10-26 03:00 CET  failed" in shown
    assert shown.count(" 03:00 CE") == 3
    assert "0 3 * * * Europe/Berlin" in shown


@pytest.mark.django_db
def test_the_list_for_programs(broker, settings):
    settings.SCALEKIT_QUEUE_CRON = {"nightly": NIGHTLY}
    CronSlot.objects.create(name="nightly", due_at=timezone.now(), job=new_id())
    (entry,) = json.loads(cron("--json"))
    assert (entry["entry"], entry["cron"], len(entry["next"])) == ("nightly", "0 3 * * *", 3)
    assert (entry["last"]["job"], entry["status"]) == (str(CronSlot.objects.get().job), "")


@pytest.mark.django_db
def test_an_empty_list_says_what_to_write(broker, settings):
    settings.SCALEKIT_QUEUE_CRON = {}
    assert "SCALEKIT_QUEUE_CRON = {" in cron()


@pytest.mark.django_db
def test_an_entry_can_be_run_by_hand_and_that_is_no_slot(broker, settings):
    settings.SCALEKIT_QUEUE_CRON = {"nightly": {**NIGHTLY, "ARGS": [7]}}
    shown = cron("--run=nightly")
    row = TaskRecord.objects.get()
    assert (row.args, str(row.pk) in shown, CronSlot.objects.count()) == ([7], True, 0)


@pytest.mark.django_db
def test_an_unknown_entry_cannot_be_run(broker, settings):
    settings.SCALEKIT_QUEUE_CRON = {"nightly": NIGHTLY}
    with pytest.raises(CommandError, match="Known are: nightly"):
        cron("--run=weekly")


def test_the_lines_of_the_page_are_right(broker, settings):
    page = Path(__file__).parents[2] / "docs/howto/cron.md"
    lines: dict[str, dict] = {}
    exec(page.read_text().split("```python\n")[1].split("```")[0], lines)
    shown = lines["SCALEKIT_QUEUE_CRON"]
    assert len(shown) == 3
    assert flaws(settings, **{name: {**entry, "TASK": NOTE} for name, entry in shown.items()}) == []


@pytest.mark.parametrize(
    ("alias", "said"),
    [("nowhere", "which DATABASES has not"), ("replica", "a replica, into which no job")],
)
def test_a_database_that_can_hold_no_job_is_an_error(broker, settings, alias, said):
    settings.SCALEKIT_QUEUE_DATABASES = ["default", alias]
    entries = {"default": {}, "replica": {"SCALEKIT": {"REPLICA_OF": "default"}}}
    with patch.object(connections, "settings", entries):
        (flaw,) = [m for m in check_queue() if m.id == "scalekit.queue.E006"]
    assert said in flaw.msg
