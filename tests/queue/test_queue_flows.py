"""What follows when a job has ended."""

from __future__ import annotations

import pytest
from django.db import transaction

from scalekit.core.context import facts, unit_of_work
from scalekit.queue import get_group, group, pipeline, records, step
from scalekit.queue.exceptions import FlowInvalid, GroupFailed, GroupPending, GroupUnknown
from scalekit.queue.frameworks import PRIMARY, framework
from scalekit.queue.models import TaskGroup, TaskRecord
from tests.queue.flow_tasks import add, call_back, of_owner, total, unique, unrecorded, urgent
from tests.queue.playing import begin, called, die, requeued, succeed, waiting
from tests.queue.sample_tasks import PRICE, TENANT

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]


def all_callbacks():
    return {name: step(call_back, name) for name in ("on_success", "on_failure", "on_finish")}


def callbacks():
    """Return which callbacks wait to be run."""
    return sorted(args[1] for args in called("call_back"))


def test_group_enqueues_every_member_at_once():
    group([step(add, n) for n in range(5)]).enqueue()
    assert called("add") == [[0], [1], [2], [3], [4]]


def test_callbacks_come_with_the_last_member_and_know_the_group():
    found = group([step(add, 1), step(add, 2)]).enqueue(**all_callbacks())
    first, second = waiting("add")
    succeed(first)
    assert callbacks() == []
    succeed(second)
    expected = [[found.id, "on_finish"], [found.id, "on_success"]]
    assert sorted(called("call_back")) == expected


def test_member_that_died_sends_the_failure_callback_once_all_have_ended():
    group([step(add, 1), step(add, 2)]).enqueue(**all_callbacks())
    first, second = waiting("add")
    die(first)
    assert callbacks() == []
    succeed(second)
    assert callbacks() == ["on_failure", "on_finish"]


def test_progress_of_a_group_is_counted():
    found = group([step(add, n) for n in range(3)]).enqueue()
    first, second, _ = waiting("add")
    succeed(first)
    die(second)
    found.refresh()
    assert (found.size, found.pending, found.failed, found.is_finished) == (3, 1, 1, False)


def test_values_are_in_the_order_of_the_members_whoever_ends_first():
    found = group([step(add, n) for n in range(4)]).enqueue()
    for row in reversed(waiting("add")):
        succeed(row, value=row.args[0] * 10)
    assert found.values() == [0, 10, 20, 30]


def test_values_are_there_once_all_have_ended():
    found = group([step(add, 1)]).enqueue()
    with pytest.raises(GroupPending, match="1 of 1"):
        found.values()
    die(waiting("add")[0])
    with pytest.raises(GroupFailed, match="1 of 1"):
        found.values()


def test_results_show_where_each_member_stands():
    found = group([step(add, 1), step(add, 2), group([step(add, 3)])]).enqueue()
    succeed(waiting("add")[1], value=7)
    one, two, inner = found.results()
    assert (one.status, two.return_value, inner.pending) == ("READY", 7, 1)


def test_group_is_found_by_its_id():
    found = group([step(add, 1)]).enqueue()
    assert get_group(found.id) == found


@pytest.mark.parametrize("id_", ["0191d6a4-0000-7000-8000-000000000000", "no id"])
def test_group_that_there_is_not_is_unknown(id_):
    with pytest.raises(GroupUnknown):
        get_group(id_)


def test_empty_group_succeeds_at_once():
    found = group([]).enqueue(**all_callbacks())
    assert callbacks() == ["on_finish", "on_success"]
    assert found.values() == []


def test_group_of_empty_groups_succeeds_at_once():
    found = group([group([]), group([])]).enqueue(**all_callbacks())
    assert callbacks() == ["on_finish", "on_success"]
    assert found.values() == [[], []]


def test_pipeline_gives_each_result_to_the_next_step():
    found = pipeline(step(add, 1), step(add, 2), step(add, 3)).enqueue(**all_callbacks())
    assert called("add") == [[1]]
    succeed(waiting("add")[0], value=10)
    assert called("add") == [[10, 2]]
    succeed(waiting("add")[0], value=20)
    succeed(waiting("add")[0], value=30)
    assert found.values() == [30]
    assert callbacks() == ["on_finish", "on_success"]


def test_pipeline_ends_with_the_step_that_died():
    found = pipeline(step(add, 1), step(add, 2)).enqueue(**all_callbacks())
    die(waiting("add")[0])
    assert waiting("add") == []
    assert callbacks() == ["on_failure", "on_finish"]
    assert found.results()[0].status == "FAILED"


def test_step_that_returns_none_hands_on_none():
    pipeline(step(add, 1), step(add, 2)).enqueue()
    succeed(waiting("add")[0], value=None)
    assert called("add") == [[None, 2]]


def test_group_in_a_pipeline_hands_on_its_results_in_order():
    pipeline(step(add), group([step(add, 1), step(add, 2)]), step(total, more=3)).enqueue()
    succeed(waiting("add")[0], value=7)
    first, second = waiting("add")
    assert (first.args, second.args) == ([7, 1], [7, 2])
    succeed(second, value=9)
    succeed(first, value=8)
    assert called("total") == [[[8, 9]]]
    assert waiting("total")[0].kwargs == {"more": 3}


def test_pipeline_goes_on_after_an_empty_group():
    pipeline(group([]), step(total)).enqueue()
    assert called("total") == [[[]]]


def test_member_that_died_ends_the_pipeline_around_its_group():
    pipeline(group([step(add, 1), step(add, 2)]), step(total)).enqueue(**all_callbacks())
    first, second = waiting("add")
    die(first)
    succeed(second)
    assert waiting("total") == []
    assert callbacks() == ["on_failure", "on_finish"]


def test_pipelines_in_a_group_go_on_for_themselves():
    found = group([pipeline(step(add, 1), step(add, 10)), step(add, 2)]).enqueue()
    first, second = waiting("add")
    succeed(first, value=5)
    found.refresh()
    assert found.pending == 2
    succeed(second, value=6)
    succeed(waiting("add")[0], value=15)
    assert found.values() == [15, 6]


def test_groups_nest():
    found = group([group([step(add, 1), step(add, 2)]), group([step(add, 3)])]).enqueue()
    for row in waiting("add"):
        succeed(row, value=row.args[0])
    assert found.values() == [[1, 2], [3]]


def test_step_takes_the_priority_of_its_task():
    pipeline(step(add), step(urgent.using(priority=-50))).enqueue()
    succeed(waiting("add")[0])
    assert waiting("urgent")[0].priority == -50


def test_requeued_member_that_succeeds_makes_a_whole_group_of_it():
    found = group([step(add, 1), step(add, 2)]).enqueue(**all_callbacks())
    dead, other = waiting("add")
    die(dead)
    succeed(other, value=2)
    TaskRecord.objects.filter(path__endswith="call_back").delete()
    succeed(requeued(dead), value=1)
    assert callbacks() == ["on_success"]  # and no second on_finish
    assert found.values() == [1, 2]


def test_requeued_member_that_dies_again_counts_once():
    found = group([step(add, 1), step(add, 2)]).enqueue(**all_callbacks())
    dead, other = waiting("add")
    die(dead)
    succeed(other)
    die(requeued(dead))
    found.refresh()
    assert (found.pending, found.failed) == (0, 1)
    assert callbacks() == ["on_failure", "on_finish"]


def test_member_that_is_requeued_before_the_others_have_ended_is_waited_for():
    found = group([step(add, 1), step(add, 2)]).enqueue(**all_callbacks())
    dead, other = waiting("add")
    die(dead)
    requeued(dead)
    succeed(other)
    assert callbacks() == []
    succeed(dead)
    found.refresh()
    assert (found.pending, found.failed) == (0, 0)
    assert callbacks() == ["on_finish", "on_success"]


def test_requeued_step_lets_its_pipeline_go_on():
    found = pipeline(step(add, 1), step(add, 2)).enqueue(**all_callbacks())
    [dead] = waiting("add")
    die(dead)
    succeed(requeued(dead), value=5)
    assert called("add") == [[5, 2]]
    succeed(waiting("add")[0], value=7)
    assert found.values() == [7]
    assert callbacks() == ["on_failure", "on_finish", "on_success"]


def test_requeued_member_of_an_inner_group_lets_the_outer_pipeline_go_on():
    pipeline(group([step(add, 1)]), step(total)).enqueue(**all_callbacks())
    [dead] = waiting("add")
    die(dead)
    succeed(requeued(dead), value=5)
    assert called("total") == [[[5]]]
    succeed(waiting("total")[0])
    assert callbacks() == ["on_failure", "on_finish", "on_success"]


def test_second_completion_of_a_member_counts_nothing():
    found = group([step(add, 1), step(add, 2)]).enqueue()
    job = begin(waiting("add")[0])
    assert records.finish(job)
    records.finish(job)
    found.refresh()
    assert found.pending == 1


def test_flow_that_is_rolled_back_leaves_nothing():
    with transaction.atomic():
        group([step(add, 1)]).enqueue()
        transaction.set_rollback(True)
    assert not TaskRecord.objects.exists()
    assert not TaskGroup.objects.exists()


def test_next_step_knows_what_its_predecessor_has_learnt():
    pipeline(step(add), step(add)).enqueue()
    succeed(waiting("add")[0], knowing={TENANT: "acme"})
    assert waiting("add")[0].options["scalekit"]["test_tenant"] == "acme"


def test_next_step_that_cannot_be_enqueued_is_a_dead_letter_and_its_predecessor_has_ended():
    found = pipeline(step(add), step(add), step(add)).enqueue(**all_callbacks())
    [first] = waiting("add")
    succeed(first, knowing={PRICE: object()})  # a portable fact that is no JSON
    first.refresh_from_db()
    second = TaskRecord.objects.get(path=add.module_path, status="FAILED")
    found.refresh()
    assert (first.status, found.failed) == ("SUCCESSFUL", 1)
    assert "test_price" in second.errors[0]["traceback"]


def test_callback_that_fails_in_an_unheard_of_way_is_a_dead_letter(monkeypatch):
    group([step(add, 1)]).enqueue(on_success=step(call_back, "done"))

    def fail(*_args, **_options):
        raise LookupError("nobody has thought of that")

    with monkeypatch.context() as patch:
        patch.setattr("scalekit.queue.flows.sending.put", fail)
        succeed(waiting("add")[0])
    buried = TaskRecord.objects.get(path=call_back.module_path)
    assert (buried.status, buried.errors[0]["exception_class_path"]) == (
        "FAILED",
        "builtins.LookupError",
    )
    requeued(buried)
    assert callbacks() == ["done"]


def test_job_that_cannot_be_announced_is_enqueued_all_the_same(monkeypatch, caplog):
    def fail(_row):
        raise LookupError("nobody has thought of that")

    pipeline(step(add, 1), step(add, 2)).enqueue()
    with monkeypatch.context() as patch:
        patch.setattr("scalekit.queue.flows.sending.result_of", fail)
        succeed(waiting("add")[0], value=1)
    assert called("add") == [[1, 2]]
    assert "could not be announced" in caplog.text


def test_job_of_which_nobody_can_tell_what_follows_is_a_dead_letter_and_its_group_goes_on(caplog):
    """As where a later release has written it in words of its own."""
    found = group([pipeline(step(add, 1), step(add, 2)), step(add, 3)]).enqueue(**all_callbacks())
    first, other = waiting("add")
    good = first.options
    TaskRecord.objects.filter(pk=first.pk).update(
        options={**good, "flow": {"steps": [{"unheard": "of"}], "counted": False}}
    )
    job = succeed(first, value=1)
    row = TaskRecord.objects.get(pk=first.pk)
    assert (job.record.status, row.status, found.results()[0].status) == ("FAILED",) * 3
    assert [error["exception_class_path"] for error in row.errors] == ["builtins.KeyError"]
    assert "What follows job" in caplog.text
    succeed(other)
    assert callbacks() == ["on_failure", "on_finish"]
    TaskRecord.objects.filter(pk=first.pk).update(
        options={**good, "flow": {**good["flow"], "counted": True}}
    )
    succeed(requeued(row), value=1)
    assert called("add") == [[1, 2]]


def test_enqueueing_a_flow_raises_what_enqueueing_its_first_step_would():
    with unit_of_work(), PRICE.bind(object()), pytest.raises(TypeError, match="test_price"):
        group([step(add, 1)]).enqueue()
    assert not TaskGroup.objects.exists()


def test_step_of_a_sharded_task_runs_for_the_shard_of_its_argument():
    with facts["db_shards_for"].bind(lambda group, key: {group: key}):
        pipeline(step(of_owner, 7), step(of_owner)).enqueue()
        succeed(waiting("of_owner")[0], value=8)
    first, second = TaskRecord.objects.order_by("pk")
    assert first.options["scalekit"]["db_shards"] == {"users": 7}
    assert second.options["scalekit"]["db_shards"] == {"users": 8}


def test_jobs_of_a_flow_are_announced_as_others_are():
    heard = []

    def hear(task_result, **_):
        heard.append(task_result.args)

    signal = framework().signals.task_enqueued
    signal.connect(hear)
    try:
        pipeline(step(add, 1), step(add, 2)).enqueue()
        succeed(waiting("add")[0], value=10)
    finally:
        signal.disconnect(hear)
    assert heard == [[1], [10, 2]]


def test_next_step_of_a_job_that_another_process_ends_knows_its_facts():
    with unit_of_work():
        TENANT.set("acme")
        group([step(add)]).enqueue(on_failure=step(call_back, "failed"))
    [row] = waiting("add")
    records.fail(row.pk, "default", exception_class_path="builtins.ValueError", message="dead")
    assert waiting("call_back")[0].options["scalekit"]["test_tenant"] == "acme"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: step(print), "is no Task"),
        (lambda: step(unrecorded), "record=False"),
        (lambda: step(unique), "unique_for"),
        (lambda: group([add]), r"write step\(task"),
        (pipeline, "at least one step"),
        (lambda: group([]).enqueue(on_failure=add), r"write on_failure=step\("),
    ],
)
def test_what_is_no_flow_is_refused_when_it_is_made(make, why):
    with pytest.raises(FlowInvalid, match=why):
        make()


def test_task_of_another_backend_is_no_step(settings):
    dummy = f"{PRIMARY}.backends.dummy.DummyBackend"
    settings.TASKS = {**settings.TASKS, "other": {"BACKEND": dummy}}
    with pytest.raises(FlowInvalid, match="another backend"):
        step(add.using(backend="other"))


def test_arguments_that_are_no_json_are_refused_when_the_step_is_made():
    with pytest.raises(TypeError):
        step(add, object())
