"""Several shards at once: threads, what they know, and what they leave behind."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DataError, OperationalError, connections, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from scalekit.db import using_shard
from scalekit.db.exceptions import ShardFailed
from scalekit.db.facts import SHARDS
from scalekit.db.sharding import threads
from scalekit.db.sharding.parallel import outcomes_on_shards, run_on_shards
from scalekit.db.sharding.threads import Crew, crew, is_worker
from tests.db.databases import databases, sqlite


def thread_of(alias):
    return threading.current_thread()


def raising(**errors):
    def function(alias):
        if alias in errors:
            raise errors[alias]
        return alias

    return function


@pytest.fixture
def untested(monkeypatch):
    """As in production: connections of threads are kept. One thread a shard, so that it is known which."""
    monkeypatch.setattr(threads, "is_testing", lambda: False)
    with override_settings(SCALEKIT_DB_SHARD_THREADS=1):
        yield
    crew.dismiss()


def test_all_shards_are_asked_at_once(shards):
    barrier = threading.Barrier(len(shards), timeout=30)
    assert run_on_shards(shards, lambda alias: barrier.wait() >= 0) == dict.fromkeys(shards, True)


def test_results_stand_in_the_order_of_the_aliases(shards):
    last_first = {alias: threading.Event() for alias in shards}
    last_first[shards[-1]].set()

    def function(alias):
        assert last_first[alias].wait(30)
        for event in last_first.values():
            event.set()
        return alias.upper()

    assert list(run_on_shards(reversed(shards), function).items()) == [
        (alias, alias.upper()) for alias in reversed(shards)
    ]
    assert run_on_shards([], function) == {}


def test_one_shard_costs_no_thread(shards):
    assert run_on_shards(["shard_1"], thread_of) == {"shard_1": threading.current_thread()}


def known_here(alias):
    return SHARDS.get(), str(timezone.get_current_timezone()), translation.get_language()


def test_threads_know_the_facts_the_time_zone_and_the_language_of_who_asks(shards):
    with using_shard("users", 7), timezone.override("Asia/Tokyo"), translation.override("fi"):
        known = run_on_shards(shards, known_here)
    assert known["shard_2"] == known["shard_0"]
    assert known["shard_2"][1:] == ("Asia/Tokyo", "fi")


def test_a_transaction_of_this_thread_is_seen(shards):
    here = threading.current_thread()
    with transaction.atomic("shard_1"):
        asked = run_on_shards(shards, thread_of)
    assert [alias for alias in shards if asked[alias] is here] == ["shard_1"]


def test_databases_in_memory_are_asked_here(tmp_path):
    names = ("shard_0", "shard_1")
    entries = {name: sqlite(f"file:{name}?mode=memory&cache=shared") for name in names}
    with databases({"default": sqlite(tmp_path / "default"), **entries}):
        assert set(run_on_shards(names, thread_of).values()) == {threading.current_thread()}


def test_queries_that_someone_counts_stay_here(shards):
    with CaptureQueriesContext(connections["shard_2"]):
        assert run_on_shards(shards, thread_of)["shard_2"] is threading.current_thread()


def test_the_first_error_is_raised_when_all_are_done(shards):
    with pytest.raises(DataError, match="one") as caught:
        run_on_shards(shards, raising(shard_1=DataError("one"), shard_2=ValueError("two")))
    assert caught.value.__notes__ == ["Failed on shard_1, shard_2; done on shard_0."]


def test_a_shard_that_is_down_is_named(shards):
    with pytest.raises(ShardFailed, match="shard_2 did not answer: gone") as caught:
        run_on_shards(shards, raising(shard_2=OperationalError("gone")))
    assert caught.value.alias == "shard_2"
    assert str(caught.value.__cause__) == "gone"


def test_outcomes_keep_what_the_others_have_answered(shards):
    outcomes = outcomes_on_shards(shards, raising(shard_1=OperationalError("gone")))
    assert [outcome.value for outcome in outcomes] == ["shard_0", None, "shard_2"]
    assert [type(outcome.error) for outcome in outcomes] == [type(None), ShardFailed, type(None)]


def test_a_silent_shard_fails_in_time(shards):
    ended = threading.Event()
    outcomes = outcomes_on_shards(
        shards, lambda alias: ended.wait(30) if alias == "shard_1" else alias, seconds=1
    )
    ended.set()
    assert [outcome.value for outcome in outcomes] == ["shard_0", None, "shard_2"]
    with pytest.raises(ShardFailed, match="shard_1 did not answer within"):
        raise outcomes[1].error


def test_what_waited_for_a_silent_shard_is_not_asked_of_it_later(shards, untested):
    begun, ended, asked = threading.Event(), threading.Event(), []

    def silent(alias):
        if alias == "shard_1":
            begun.set()
            ended.wait(30)

    outcomes_on_shards(shards, silent, seconds=0.05)
    assert begun.wait(30)
    late = outcomes_on_shards(shards, asked.append, seconds=0.05)
    assert isinstance(late[1].error, ShardFailed)
    ended.set()
    assert run_on_shards(shards, str.upper)["shard_1"] == "SHARD_1"
    assert "shard_1" not in asked


def test_threads_that_ask_again_do_so_themselves(shards):
    asked = run_on_shards(shards, lambda alias: run_on_shards(shards, thread_of))
    assert set(asked["shard_2"].values()) == {asked["shard_2"]["shard_0"]}


def test_more_who_ask_than_threads(shards):
    answers = []

    def ask():
        answers.append(run_on_shards(shards, lambda alias: is_worker()))
        connections.close_all()

    with override_settings(SCALEKIT_DB_SHARD_THREADS=1):
        asking = [threading.Thread(target=ask) for _ in range(8)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join(30)
    assert answers == [{"shard_0": False, "shard_1": True, "shard_2": True}] * 8


def test_a_lasting_job_is_in_nobodys_way(shards):
    mine, left, done = Crew(), threading.Event(), threading.Event()
    with override_settings(SCALEKIT_DB_SHARD_THREADS=1):
        mine.submit("shard_1", lambda: left.wait(30), lasting=True)
        mine.submit("shard_1", done.set)
        assert done.wait(30)
    left.set()


def connection_of(alias):
    connections[alias].ensure_connection()
    return connections[alias].connection, threading.current_thread()


def test_threads_and_their_connections_are_used_again(shards, untested):
    first = run_on_shards(shards, connection_of)["shard_1"]
    assert run_on_shards(shards, connection_of)["shard_1"] == first


def test_connections_of_idle_threads_last_as_their_database_says(shards, untested, monkeypatch):
    monkeypatch.setattr(threads, "LINGER_SECONDS", 0.01)
    connections.settings["shard_2"]["CONN_MAX_AGE"] = None
    first = run_on_shards(shards, connection_of)
    assert is_closed_soon(first["shard_1"][0])
    again = run_on_shards(shards, connection_of)
    assert again["shard_1"][0] is not first["shard_1"][0]
    assert again["shard_2"] == first["shard_2"]


def is_closed_soon(connection):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            connection.total_changes  # noqa: B018 - which a closed one has not
        except sqlite3.ProgrammingError:
            return True
        time.sleep(0.01)
    return False


def test_connections_end_with_their_threads(shards, untested):
    run_on_shards(shards, connection_of)
    assert crew.workers()
    crew.dismiss()
    assert not crew.workers()


def test_idle_threads_end_by_themselves(shards, untested, monkeypatch):
    monkeypatch.setattr(threads, "LINGER_SECONDS", 0.01)
    monkeypatch.setattr(threads, "IDLE_SECONDS", 0.01)
    _, thread = run_on_shards(shards, connection_of)["shard_1"]
    thread.join(30)
    assert not thread.is_alive()
    assert run_on_shards(shards, connection_of)["shard_1"][1].is_alive()


def test_a_connection_that_is_too_old_is_closed(shards, untested):
    connections.settings["shard_1"]["CONN_MAX_AGE"] = 0.000001
    first, thread = run_on_shards(shards, connection_of)["shard_1"]
    again = run_on_shards(shards, connection_of)["shard_1"]
    assert again[1] is thread
    assert again[0] is not first


def test_in_tests_no_connection_is_left_in_a_thread(shards):
    run_on_shards(shards, connection_of)
    left = run_on_shards(shards, lambda alias: len(connections.all(initialized_only=True)))
    assert left["shard_1"] == 0


def test_without_threads_all_is_done_here(shards, monkeypatch):
    def exhausted(self):
        raise RuntimeError("can't start new thread")

    crew.dismiss()
    monkeypatch.setattr(threads.Worker, "start", exhausted)
    assert set(run_on_shards(shards, thread_of).values()) == {threading.current_thread()}


def test_an_event_loop_is_not_held_up(shards):
    async def asks():
        run_on_shards(shards, thread_of)

    with pytest.raises(SynchronousOnlyOperation, match="sync_to_async"):
        asyncio.run(asks())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork() on Windows")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(shards):
    run_on_shards(shards, thread_of)
    child = os.fork()
    if not child:
        asked = run_on_shards(shards, lambda alias: is_worker())
        os._exit(0 if asked["shard_2"] else 1)
    assert os.waitpid(child, 0)[1] == 0
