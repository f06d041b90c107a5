from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from scalekit.db.models import KeyTraffic
from scalekit.db.sharding import hot_keys
from scalekit.db.sharding.hot_keys import storing
from scalekit.db.sharding.hot_keys.counting import COUNTERS, FRESH, WAITING, Recorder, TopKeys
from scalekit.db.sharding.hot_keys.summing import traffic_of
from scalekit.testing.fakes import captured_events
from tests.db.databases import create_tables

SEEN = 60_000


# A web process of a project: nobody calls close_window() there.
PROCESS = """
import sys, time, django
from django.conf import settings
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    INSTALLED_APPS=["scalekit.db"], USE_TZ=True, SCALEKIT_DB_HOT_KEY_SECONDS=1,
)
django.setup()
from scalekit.db.models import KeyTraffic
from scalekit.db.sharding import hot_keys
end = time.monotonic() + 60
while KeyTraffic.objects.count() < 2:
    assert time.monotonic() < end
    for key in range(100):
        hot_keys.seen("users", 7 if key % 10 < 3 else key)
    time.sleep(0.01)
"""


@pytest.fixture
def counted(shards):
    """The tables, and a process that has counted nothing yet."""
    create_tables("default", app="scalekit_db")
    hot_keys.recorder.fork()
    hot_keys._begin_anew()
    yield
    hot_keys.recorder.fork()


def traffic(number=SEEN, seed=1):
    """Keys out of 100,000, of which one gets 30 %."""
    picked = random.Random(seed)
    return [7 if picked.random() < 0.3 else picked.randrange(100, 100_100) for _ in range(number)]


def run(*args):
    out = StringIO()
    call_command("hot_keys", *args, stdout=out, no_color=True)
    return out.getvalue()


def test_a_key_with_a_third_of_the_traffic_is_found_in_one_window(counted):
    for key in traffic():
        hot_keys.seen("users", key)
    with captured_events("db_hot_key") as events:
        hot_keys.storer().close_window()
    [hot] = events.named("db_hot_key")
    assert (hot["group"], hot["key"]) == ("users", "7")
    assert hot["share"] == pytest.approx(0.3, abs=0.02)
    assert [key for key, _ in traffic_of("users", 1).keys] == ["7"]


def test_memory_stays_bounded():
    recorder = Recorder()
    for key in range(200_000):
        recorder.seen("users", key)
        if not key % 1000:
            assert recorder.size() <= COUNTERS + FRESH + 2 * WAITING


def test_long_text_is_not_kept():
    recorder = Recorder()
    recorder.seen("users", "a" * 256)
    assert recorder.size() == 0


def test_counts_are_wrong_by_no_more_than_was_promised():
    truth, top = Counter(), TopKeys(counters=50, fresh=100)
    picked = random.Random(3)
    for _ in range(200):
        batch = [int(picked.paretovariate(0.8)) for _ in range(100)]
        truth.update(batch)
        top.add(batch)
    bound = top.total / 50
    found = {sighting.key: sighting for sighting in top.top()}
    assert {str(key) for key, count in truth.items() if count > bound} <= set(found)
    for key, sighting in found.items():
        assert sighting.count - sighting.error <= truth[int(key)] <= sighting.count
        assert sighting.error <= bound


def test_the_spellings_of_a_key_are_counted_together(counted):
    for key in (7, "7", "07"):
        hot_keys.seen("users", key)
    hot_keys.storer().close_window()
    assert traffic_of("users", 5).keys == (("7", 3),)


def test_little_traffic_has_no_hot_key(counted):
    for _ in range(50):
        hot_keys.seen("users", 7)
    with captured_events("db_hot_key") as events:
        hot_keys.storer().close_window()
    assert events == []


def test_a_window_begins_with_nothing(counted):
    hot_keys.seen("users", 7)
    hot_keys.storer().close_window()
    assert hot_keys.recorder.size() == 0


def test_switched_off_it_counts_nothing(counted):
    with override_settings(SCALEKIT_DB_HOT_KEYS=False):
        hot_keys.seen("users", 7)
        assert hot_keys.recorder.size() == 0
        assert "SCALEKIT_DB_HOT_KEYS is False" in run()
    hot_keys.seen("users", 7)
    assert hot_keys.recorder.size() == 1


def test_no_thread_is_started_in_tests(counted):
    hot_keys.seen("users", 7)
    assert hot_keys.storer()._thread is None


def test_queries_are_counted(counted):
    from tests.db.shop.models import Order

    list(Order.objects.filter(customer_id=7))
    hot_keys.storer().close_window()
    assert [key for key, _ in traffic_of("users", 5).keys] == ["7"]


def stored(process, keys, *, total=100, age=0.0):
    ended = datetime.now(UTC) - timedelta(seconds=age)
    KeyTraffic.objects.create(
        process=process, group="users", began_at=ended, ended_at=ended, total=total, keys=keys
    )


def test_all_processes_are_added_up(counted):
    stored("a", [["7", 40, 10], ["8", 20, 0]])
    stored("b", [["7", 10, 0]])
    stored("gone", [["9", 100, 0]], age=500)
    found = traffic_of("users", 10)
    assert (found.processes, found.total) == (2, 200)
    assert found.keys == (("7", 40), ("8", 20))


def test_the_command_draws_bars(counted):
    stored("a", [["7", 30, 0], ["8", 5, 0]])
    shown = run()
    assert "users: 100 look-ups in 1 processes" in shown
    assert "30.0%" in shown
    assert "█" * 9 + "░" in shown


def test_the_command_prints_json(counted):
    stored("a", [["7", 30, 0]])
    assert json.loads(run("--json", "--group=users")) == [
        {
            "group": "users",
            "processes": 1,
            "total": 100,
            "keys": [{"key": "7", "count": 30, "share": 0.3}],
        }
    ]


def test_the_command_says_when_nothing_is_there_yet(counted):
    assert "Nothing yet: a process stores its first window after 60 s." in run()


def test_what_is_old_is_removed(counted):
    stored("gone", [], age=10_000)
    hot_keys.storer().close_window()
    assert not KeyTraffic.objects.exists()


def test_a_missing_table_is_told_of_once(counted):
    with connections["default"].schema_editor() as editor:
        editor.delete_model(KeyTraffic)
    with captured_events("db_key_traffic_unstored") as events:
        for _ in range(3):
            hot_keys.storer().close_window()
    assert len(events) == 1


def test_processes_store_what_they_count_by_themselves(counted):
    file = connections["default"].settings_dict["NAME"]
    processes = [subprocess.Popen([sys.executable, "-c", PROCESS, file]) for _ in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    found = traffic_of("users", 1)
    assert found.processes == 2
    assert [(key, round(found.share(count), 1)) for key, count in found.keys] == [("7", 0.3)]


def test_the_thread_ends_its_windows(counted):
    storer = storing.Storer(hot_keys.recorder)
    with override_settings(SCALEKIT_DB_HOT_KEY_SECONDS=0.05):
        storer.begin()
        while not KeyTraffic.objects.filter(process=storer.process, total__gt=0).exists():
            hot_keys.seen("users", 7)
            time.sleep(0.01)
        storer.stop()
    assert storer._thread is None


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # threads of other tests
def test_a_forked_process_begins_with_nothing(counted):
    hot_keys.seen("users", 7)
    if not (child := os.fork()):
        os._exit(hot_keys.recorder.size())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
