"""Groups, pipelines, limits, cancelling and progress with workers as they run in production."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from scalekit.queue import cancel, get_group, group, pipeline, progress_of, step
from scalekit.queue.models import TaskRecord
from scalekit.queue.progress import Progress
from tests.integration.queue.conftest import TEMPLATE
from tests.integration.queue.processes import Manage, environment, eventually
from tests.integration.queue.project.flow_tasks import (
    affect_once,
    collect,
    die,
    double,
    go_on_for_ever,
    load,
    one_at_a_time,
    paced,
    paced_without_a_record,
    tell,
    wait_for_ever,
)
from tests.integration.queue.project.tasks import one_at_a_time_too
from tests.integration.queue.test_flows_deaths import AT_ONCE, EARLY, SPANS

pytestmark = pytest.mark.servers

SETTINGS = {"SCALEKIT_QUEUE_LEASE_SECONDS": 3}


@pytest.fixture
def queue_settings():
    return SETTINGS


@pytest.fixture(scope="module")
def queue_database(queue_template):
    """Give one database for all tests here, which share a worker."""
    name = f"queue_{uuid4().hex[:12]}"
    queue_template.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    queue_template.execute(SPANS, database=name)
    yield queue_template.django_settings(NAME=name, CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True)
    queue_template.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def options(valkey):
    return {"url": valkey.url, "namespace": uuid4().hex}


@pytest.fixture(scope="module")
def processes(queue_database, options, tmp_path_factory):
    """Start a worker and a relay, as ``run_workers`` starts them; give where their jobs write."""
    folder = tmp_path_factory.mktemp("flows_live")
    env = environment(
        {"default": queue_database},
        {"BACKEND": "scalekit.queue.brokers.redis.RedisBroker", "OPTIONS": options},
        QUEUE_SETTINGS=json.dumps(SETTINGS),
        JOURNAL=str(folder / "journal"),
    )
    started = [
        Manage(folder, env, "run_relay"),
        Manage(folder, env, "run_workers", "--single", "--threads=8"),
    ]
    try:
        started[1].ready()
        yield folder / "journal"
    finally:
        for process in started:
            process.close()


@pytest.fixture
def working(broker, processes, queue_template, queue_database):
    """Have the worker and the relay, and nothing of what earlier tests have left."""
    processes.write_text("")
    TaskRecord.objects.all().delete()
    queue_template.execute("TRUNCATE span, effect", database=queue_database["NAME"])


@pytest.fixture
def journal(processes):
    return lambda: processes.read_text().splitlines()


@pytest.fixture
def spans(queue_template, queue_database):
    name = queue_database["NAME"]
    return lambda sql, params=(): queue_template.execute(sql, params, database=name)


def test_group_and_pipeline_run_to_their_callback(working, journal):
    found = pipeline(
        group([step(double, n) for n in range(10)]), step(collect, more=1), step(double)
    ).enqueue(on_success=step(tell, "done"))
    assert eventually(lambda: journal() == [f"done {found.id}"], 30)
    assert get_group(found.id).values() == [182]


def test_failure_callback_comes_although_a_member_is_dead(working, journal):
    found = group([step(double, 1), step(die), step(double, 2)]).enqueue(
        on_success=step(tell, "success"),
        on_failure=step(tell, "failure"),
        on_finish=step(tell, "finish"),
    )
    assert eventually(lambda: len(journal()) == 2, 30)
    assert sorted(journal()) == [f"failure {found.id}", f"finish {found.id}"]
    assert [r.status for r in found.results()] == ["SUCCESSFUL", "FAILED", "SUCCESSFUL"]


def test_jobs_over_the_concurrency_limit_all_run_one_at_a_time(working, spans):
    for _ in range(12):
        one_at_a_time.enqueue("a")
    assert eventually(lambda: spans("SELECT count(ended) FROM span") == [(12,)], 60)
    assert spans(AT_ONCE) == [(1,)]
    rows = TaskRecord.objects.values_list("status", "deaths")
    assert eventually(lambda: set(rows.all()) == {("SUCCESSFUL", 0)})


def test_actors_have_limits_too(working, spans):
    for _ in range(10):
        one_at_a_time_too.send()
    assert eventually(lambda: spans("SELECT count(ended) FROM span") == [(10,)], 60)
    assert spans(AT_ONCE) == [(1,)]


@pytest.mark.parametrize("task", [paced, paced_without_a_record])
def test_jobs_over_the_rate_all_run_at_its_pace(working, spans, task):
    [[before]] = spans("SELECT clock_timestamp()")
    for _ in range(20):
        task.enqueue()
    assert eventually(lambda: spans("SELECT count(ended) FROM span") == [(20,)], 60)
    assert spans(EARLY, [before, 10, ""]) == []


def test_running_jobs_are_cancelled_and_not_retried(working, journal):
    results = [go_on_for_ever.enqueue(), wait_for_ever.enqueue()]
    assert eventually(lambda: journal() == ["begun"] * 2)
    assert [cancel(result) for result in results] == [True, True]
    assert eventually(lambda: journal() == ["begun"] * 2 + ["tidied up"] * 2)
    failed = TaskRecord.objects.filter(status="FAILED")
    assert eventually(lambda: failed.count() == 2)
    paths = [error["exception_class_path"] for row in failed for error in row.errors]
    assert paths == ["scalekit.queue.exceptions.TaskCancelled"] * 2


def test_progress_is_seen_while_the_job_runs(working):
    result = load.enqueue(200)
    seen = []

    def is_over():
        seen.append(progress_of(result))
        return seen[-1] == Progress(200, 200, "Loaded")

    assert eventually(is_over, 40)
    assert any(progress and 0 < progress.done < 200 for progress in seen)


def test_guarded_effect_happens_once_however_often_its_job_runs(working, effects):
    result = affect_once.enqueue("charge")
    assert eventually(lambda: TaskRecord.objects.get(pk=result.id).status == "SUCCESSFUL", 30)
    assert TaskRecord.objects.get(pk=result.id).attempt == 3
    assert effects() == ["charge"]
