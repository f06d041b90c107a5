from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import path
from django.utils import timezone

from scalekit.queue.admin import pages
from scalekit.queue.ids import new_id
from scalekit.queue.models import CronSlot, PausedQueue, Status, TaskRecord
from tests.queue.dead import dead_letters

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]
urlpatterns = [path("admin/", admin.site.urls)]
LIST = "/admin/scalekit_queue/taskrecord/"
DEAD = f"{LIST}?status=FAILED"
QUEUES = "/admin/scalekit_queue/pausedqueue/"
CRON = "/admin/scalekit_queue/cronentry/"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def staff(broker):
    """Give a function that logs someone in who has these permissions on the queue."""

    def staff(*names):
        user = User.objects.create_user("boss", is_staff=True)
        ours = Permission.objects.filter(content_type__app_label="scalekit_queue")
        user.user_permissions.set(ours.filter(codename__in=names))
        client = Client()
        client.force_login(user)
        return client

    return staff


@pytest.fixture
def boss(staff):
    return staff("view_taskrecord", "requeue_taskrecord", "delete_taskrecord", "cancel_taskrecord")


def choose(client, action, rows, *, across=False, confirmed=True, url=DEAD):
    data = {
        "action": action,
        "_selected_action": [str(row.pk) for row in rows],
        "select_across": "1" if across else "0",
    }
    if confirmed:
        data["confirmed"] = action
    return client.post(url, data, follow=True)


def said(response):
    return [str(message) for message in response.context["messages"]]


def page_of(client, row):
    return client.get(f"{LIST}{row.pk}/change/")


def statuses():
    return sorted(TaskRecord.objects.values_list("status", flat=True))


def test_who_may_not_view_jobs_sees_none(staff):
    (row,) = dead_letters()
    client = staff("requeue_taskrecord")
    assert client.get(LIST).status_code == HTTPStatus.FORBIDDEN
    assert page_of(client, row).status_code == HTTPStatus.FORBIDDEN


def test_jobs_are_neither_added_changed_nor_deleted(boss):
    (row,) = dead_letters()
    assert boss.get(f"{LIST}add/").status_code == HTTPStatus.FORBIDDEN
    assert boss.post(f"{LIST}{row.pk}/change/", {"status": "READY"}).status_code == 403
    assert boss.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert statuses() == ["FAILED"]


@pytest.mark.parametrize(
    ("action", "permission"),
    [
        ("requeue", "requeue_taskrecord"),
        ("discard", "delete_taskrecord"),
        ("cancel", "cancel_taskrecord"),
    ],
)
def test_each_action_needs_its_permission(staff, action, permission):
    wrong = {"requeue_taskrecord", "delete_taskrecord", "cancel_taskrecord"} - {permission}
    client = staff("view_taskrecord", *wrong)
    rows = [*dead_letters(), *dead_letters(status=Status.READY, finished_at=None)]
    choose(client, action, rows, url=LIST)
    assert statuses() == ["FAILED", "READY"]
    page = client.get(LIST).content.decode()
    assert f'value="{action}"' not in page


def test_an_action_asks_before_it_acts(boss):
    rows = dead_letters(3)
    response = choose(boss, "requeue", rows, confirmed=False)
    page = response.content.decode()
    assert "Run these dead letters again?" in page
    assert "tests.queue.sample_tasks.note" in page
    assert statuses() == ["FAILED"] * 3


def test_requeued_from_the_list_the_jobs_are_ready_and_the_log_says_who(boss):
    rows = dead_letters(3)
    response = choose(boss, "requeue", rows)
    assert said(response) == ["3 dead letters run again."]
    assert statuses() == ["READY"] * 3
    assert {entry.object_id for entry in LogEntry.objects.all()} == {str(row.pk) for row in rows}


def test_all_five_hundred_are_requeued_although_a_page_shows_a_hundred(boss):
    letters = dead_letters(510, attempt=4)
    others = dead_letters(2, queue_name="mail")
    url = f"{DEAD}&queue=default"
    page = choose(boss, "requeue", letters[:1], across=True, confirmed=False, url=url)
    assert "510 jobs" in page.content.decode()
    response = choose(boss, "requeue", letters[:1], across=True, url=url)
    assert said(response) == ["510 dead letters run again."]
    ready = TaskRecord.objects.filter(status=Status.READY)
    assert {row.pk for row in ready} == {row.pk for row in letters}
    assert {(row.forgiven, len(row.errors)) for row in ready} == {(4, 4)}
    assert TaskRecord.objects.filter(status=Status.FAILED).count() == len(others)
    assert LogEntry.objects.count() == 510


def test_what_cannot_be_requeued_is_said_and_the_rest_is_done(boss):
    rows = [*dead_letters(2), *dead_letters(path="", raw="{")]
    response = choose(boss, "requeue", rows)
    assert said(response)[0] == "2 dead letters run again."
    assert said(response)[1].startswith("1 job was left alone: it could not be read")


def test_discarded_letters_are_gone(boss):
    rows = dead_letters(2)
    assert said(choose(boss, "discard", rows)) == ["2 dead letters discarded."]
    assert statuses() == []


def test_an_action_touches_only_jobs_that_it_is_for(boss):
    rows = dead_letters(status=Status.SUCCESSFUL)
    response = choose(boss, "discard", rows, url=LIST)
    assert said(response) == ["None of the chosen jobs is one for this."] or not said(response)
    assert statuses() == ["SUCCESSFUL"]


def test_a_job_that_waits_is_cancelled_and_one_that_runs_is_asked(boss):
    (waits,) = dead_letters(status=Status.READY, finished_at=None, errors=[])
    (runs,) = dead_letters(status=Status.RUNNING, finished_at=None, errors=[])
    response = choose(boss, "cancel", [waits, runs], url=LIST)
    assert said(response) == ["2 jobs cancelled."]
    waits.refresh_from_db()
    runs.refresh_from_db()
    assert (waits.status, runs.status, runs.cancel_asked) == ("FAILED", "RUNNING", True)


def test_jobs_that_cannot_be_cancelled_are_left_alone(boss):
    (waits,) = dead_letters(status=Status.READY, finished_at=None, errors=[])
    (unrecorded,) = dead_letters(status=Status.READY, finished_at=None, errors=[], kept=False)
    response = choose(boss, "cancel", [waits, unrecorded], url=LIST)
    assert said(response) == [
        "1 job cancelled.",
        "1 job was left alone: it has no record, or is forgotten by now.",
    ]


def test_an_action_needs_a_token(boss):
    rows = dead_letters()
    boss.handler.enforce_csrf_checks = True
    assert choose(boss, "requeue", rows).status_code == HTTPStatus.FORBIDDEN
    assert statuses() == ["FAILED"]


def test_whatever_is_in_a_job_is_escaped(boss):
    error = {"exception_class_path": HOSTILE, "traceback": f"x\n{HOSTILE}", "at": HOSTILE}
    (row,) = dead_letters(
        path=HOSTILE,
        queue_name=HOSTILE,
        args=[HOSTILE],
        kwargs={HOSTILE: HOSTILE},
        options={HOSTILE: HOSTILE},
        errors=[error],
        worker_ids=[HOSTILE],
        progress={"done": 1, "total": 2, "message": HOSTILE},
        raw=HOSTILE,
    )
    pages_ = [
        page_of(boss, row),
        boss.get(LIST),
        boss.get(DEAD),
        choose(boss, "requeue", [row], confirmed=False),
        choose(boss, "requeue", [row]),
    ]
    for page in pages_:
        assert page.status_code == HTTPStatus.OK
        assert HOSTILE not in page.content.decode()
        assert "&lt;script&gt;" in page.content.decode()


def test_a_hostile_search_or_filter_is_escaped_and_harmless(boss):
    for query in (f"q={HOSTILE}", f"queue={HOSTILE}", f"task={HOSTILE}", "q=nul%00", "age=x"):
        page = boss.get(f"{LIST}?{query}")
        assert page.status_code == HTTPStatus.OK
        assert HOSTILE not in page.content.decode()


def test_a_jobs_page_shows_its_attempts_and_offers_what_can_be_done(boss):
    (row,) = dead_letters(args=["an argument"])
    page = page_of(boss, row).content.decode()
    assert "ValueError: no luck" in page
    assert "an argument" in page
    assert page.count("<details") >= len(row.errors)
    assert "Run again" in page
    assert ">Cancel<" not in page


def test_a_result_is_shown(boss):
    (row,) = dead_letters(status=Status.SUCCESSFUL, return_value={"sent": 3}, errors=[])
    assert "&quot;sent&quot;: 3" in page_of(boss, row).content.decode()


@pytest.mark.parametrize("id_", ["12", "x" * 40, "0199f3c2-0000-7000-8000-000000000000"])
def test_a_job_that_is_not_there_leads_back_with_a_word(boss, id_):
    response = boss.get(f"{LIST}{id_}/change/", follow=True)
    assert "exist" in said(response)[0]


def shown(client, url):
    return [str(row.pk) for row in client.get(url).context["cl"].result_list]


def test_search_finds_by_id_by_task_and_dead_letters_by_error(boss):
    first, second = dead_letters(path="shop.a.one"), dead_letters(path="shop.b.two")
    (one,), (two,) = first, second
    TaskRecord.objects.filter(pk=two.pk).update(errors=[{"traceback": "Disk full"}])
    assert shown(boss, f"{LIST}?q={one.pk}") == [str(one.pk)]
    assert shown(boss, f"{LIST}?q=b.two") == [str(two.pk)]
    assert shown(boss, f"{DEAD}&q=disk") == [str(two.pk)]
    assert shown(boss, f"{LIST}?q=disk") == []


def test_filters_narrow_the_list(boss):
    now = timezone.now()
    (later,) = dead_letters(
        status=Status.READY, run_after=now + timedelta(hours=1), publish_at=now, path="shop.later"
    )
    (mail,) = dead_letters(queue_name="mail", status=Status.SUCCESSFUL)
    assert shown(boss, f"{LIST}?status=later") == [str(later.pk)]
    assert shown(boss, f"{LIST}?queue=mail") == [str(mail.pk)]
    assert shown(boss, f"{LIST}?task=shop.later") == [str(later.pk)]
    assert len(shown(boss, f"{LIST}?age=10m")) == 2
    assert shown(boss, f"{LIST}?age=older") == []


def test_the_newest_are_first_and_dead_letters_by_when_they_failed(boss):
    old, new = dead_letters(2)
    TaskRecord.objects.filter(pk=old.pk).update(finished_at=timezone.now() + timedelta(hours=1))
    ids = [str(row.pk) for row in sorted((old, new), key=lambda row: row.pk, reverse=True)]
    assert shown(boss, LIST) == ids
    assert shown(boss, DEAD) == [str(old.pk), str(new.pk)]


def test_a_list_counts_no_further_than_its_pages_reach(boss, monkeypatch):
    monkeypatch.setattr(pages, "LONGEST", 150)
    dead_letters(200)
    assert boss.get(LIST).context["cl"].result_count == 150


def test_a_list_reads_neither_arguments_nor_results_nor_counts_all(
    boss, django_assert_max_num_queries
):
    dead_letters(120, args=["heavy"])
    with django_assert_max_num_queries(8) as queries:
        boss.get(LIST)
    of_jobs = [q["sql"] for q in queries if "scalekit_queue_taskrecord" in q["sql"]]
    assert len(of_jobs) == 4  # the count, the page, and the choices of two filters
    assert not any('"args"' in sql or '"errors"' in sql for sql in of_jobs)
    assert all("LIMIT" in sql for sql in of_jobs)


def test_queues_are_seen_paused_and_resumed(staff):
    client = staff("view_pausedqueue", "change_pausedqueue")
    dead_letters(3, queue_name="default")
    page = client.get(QUEUES).content.decode()
    assert "default" in page
    assert ">3</a>" in page
    client.post(QUEUES, {"queue": "default", "pause": ""})
    assert [(row.queue_name, row.by) for row in PausedQueue.objects.all()] == [("default", "boss")]
    assert "Resume" in client.get(QUEUES).content.decode()
    client.post(QUEUES, {"queue": "default", "resume": ""})
    assert not PausedQueue.objects.exists()
    assert [entry.object_id for entry in LogEntry.objects.all()] == ["default", "default"]


def test_who_may_view_queues_pauses_none(staff):
    client = staff("view_pausedqueue")
    assert ">Pause<" not in client.get(QUEUES).content.decode()
    assert client.post(QUEUES, {"queue": "default", "pause": ""}).status_code == 403
    assert not PausedQueue.objects.exists()


def test_a_queue_that_is_not_there_is_not_paused(staff):
    client = staff("change_pausedqueue")
    response = client.post(QUEUES, {"queue": HOSTILE, "pause": ""}, follow=True)
    assert said(response) == ["There is no such queue."]
    assert HOSTILE not in response.content.decode()


def test_cron_is_seen_and_an_entry_run_now(staff, settings):
    note = "tests.queue.sample_tasks.note"
    settings.SCALEKIT_QUEUE_CRON = {"nightly": {"TASK": note, "CRON": "0 3 * * *"}}
    (letter,) = dead_letters()
    CronSlot.objects.create(name="nightly", due_at="2026-10-26T03:00Z", job=letter.pk)
    client = staff("view_cronentry", "change_cronentry")
    page = client.get(CRON).content.decode()
    assert "Mon 2026-10-26 03:00 UTC" in page
    assert str(letter.pk) in page
    client.post(CRON, {"entry": "nightly"})
    assert TaskRecord.objects.filter(path=note, status=Status.READY).count() == 1
    assert LogEntry.objects.get().object_repr


def test_who_may_view_cron_runs_nothing(staff, settings):
    settings.SCALEKIT_QUEUE_CRON = {
        "nightly": {"TASK": "tests.queue.sample_tasks.note", "CRON": "@daily"}
    }
    client = staff("view_cronentry")
    assert "Run now" not in client.get(CRON).content.decode()
    assert client.post(CRON, {"entry": "nightly"}).status_code == HTTPStatus.FORBIDDEN
    assert not TaskRecord.objects.exists()


def test_a_wrong_entry_is_said_on_the_page(staff, settings):
    settings.SCALEKIT_QUEUE_CRON = {"nightly": {"TASK": HOSTILE, "CRON": HOSTILE}}
    page = staff("view_cronentry").get(CRON).content.decode()
    assert "is no cron expression" in page
    assert HOSTILE not in page


def test_a_slot_whose_job_is_forgotten_has_no_link(staff, settings):
    settings.SCALEKIT_QUEUE_CRON = {
        "nightly": {"TASK": "tests.queue.sample_tasks.note", "CRON": "@daily"}
    }
    CronSlot.objects.create(name="nightly", due_at=timezone.now(), job=new_id())
    page = staff("view_cronentry").get(CRON).content.decode()
    assert "taskrecord" not in page
