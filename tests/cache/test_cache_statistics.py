"""Counting in the process, and what people read of it."""

from __future__ import annotations

import threading
from collections import Counter

from scalekit.cache import cached
from scalekit.cache.statistics import sharing
from scalekit.cache.statistics.counting import _KEYS, Counts, Recorder
from scalekit.cache.statistics.report import amount, function_reports, span, table
from scalekit.cache.statistics.requests import Gather, Share


def recorder(begins=None) -> Recorder:
    return Recorder(lambda: None if begins is None else begins.append(1))


def read(result="hit", key="k"):
    return {"function": "f", "result": result, "key": key}


def test_threads_lose_no_count():
    counted = recorder()

    def work():
        for _ in range(10_000):
            counted.read(None, read("hit", "k"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted.take().reads == {("f", "hit"): 40_000}


def test_it_is_told_once_that_there_is_something_to_share():
    begins = []
    counted = recorder(begins)
    for turn in (1, 2):
        counted.read(None, read("hit", "k"))
        counted.read(None, read("hit", "k"))
        assert len(begins) == turn
        counted.take()


def test_hits_in_the_process_are_counted_by_the_dozen():
    counted = recorder()
    for _ in range(1600):
        counted.read(None, read("hit", None))
    counted.read(None, read("bypassed", None))
    assert counted.take().reads == {("f", "hit"): 1600, ("f", "bypassed"): 1}


def test_what_was_taken_is_counted_once():
    counted = recorder()
    counted.read(None, read("hit", "k"))
    counted.loaded(None, {"function": "f", "outcome": "ok", "seconds": 0.5})
    first, second = counted.take(), counted.take()
    assert (first.reads["f", "hit"], first.seconds["f"]) == (1, 0.5)
    assert not second
    counted.give_back(first)
    assert counted.take().loads == {("f", "ok"): 1}


def test_of_endless_keys_the_hot_ones_are_remembered():
    counted = recorder()
    for number in range(50_000):
        counted.read(None, read("hit", f"cold{number}"))
        counted.read(None, read("hit", f"hot{number % 5}"))
    counts = counted.take()
    assert len(counts.keys) <= _KEYS * 2
    assert {key for key, _ in counts.keys.most_common(5)} == {f"hot{n}" for n in range(5)}


def test_cached_functions_are_counted(settings):
    settings.SCALEKIT_CACHE_STATISTICS = "default"

    @cached(ttl=60, key=lambda: 1)
    def counted_function():
        return 1

    sharing.recorder.take()
    counted_function()
    counted_function()
    counts = sharing.recorder.take()
    named = {result: n for (name, result), n in counts.reads.items() if "counted_function" in name}
    assert named == {"miss": 1, "hit": 1}


def test_counting_can_be_switched_off(settings):
    settings.SCALEKIT_CACHE_STATISTICS = ""
    sharing.recorder.take()
    would_be_counted()
    assert not sharing.recorder.take()


@cached(ttl=60)
def would_be_counted():
    return None


def test_what_one_process_sends_another_reads():
    counts = Counts(Counter({("m.f", "hit"): 3}), Counter({("m.f", "ok"): 1}), keys=Counter(k=2))
    counts.seconds["m.f"] = 0.25
    calls = Share("p", counts).calls()
    fields = {
        call[2].encode(): str(call[3]).encode() for call in calls if call[0].startswith("HINCR")
    }
    for keys in ([b"k", b"2"], [[b"k", 2.0]], [(b"k", 2.0)]):  # RESP2, RESP3, redis-py
        assert Gather(["p"]).answer([fields, keys]) == counts


def test_reports_are_by_function_the_busiest_first():
    reads = Counter({("a", "hit"): 3, ("a", "miss"): 1, ("b", "stale"): 8, ("b", "down"): 2})
    loads = Counter({("a", "ok"): 1, ("a", "error"): 1, ("c", "ok"): 1})
    counts = Counts(reads, loads)
    counts.seconds.update({"a": 0.5, "c": 2.0})
    b, a, c = function_reports(counts)
    assert (b.function, b.asked, b.hit_ratio, b.loads) == ("b", 10, 0.8, 0)
    assert (a.hit_ratio, a.loads, a.errors, a.load_seconds) == (0.75, 2, 1, 0.25)
    assert c.hit_ratio is None


def test_tables_line_up():
    assert table(("name", "n"), [("a", 1), ("long name", 100)]) == [
        "name         n",
        "a            1",
        "long name  100",
    ]


def test_amounts_are_written_as_people_write_them():
    assert [amount(n) for n in (0, 999, 1500, 2_500_000, 3 * 10**9)] == [
        *("0 B", "999 B", "1.5 kB", "2.5 MB", "3.0 GB")
    ]
    assert [span(s) for s in (0.0012, 0.9, 1.25)] == ["1.2 ms", "900.0 ms", "1.2 s"]
