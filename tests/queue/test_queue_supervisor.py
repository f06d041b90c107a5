"""The parts of the supervisor that need no process."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError

import pytest
from django.core.management import CommandError, call_command

from scalekit.queue.scaling import Policy
from scalekit.queue.supervisor.child import Report
from scalekit.queue.supervisor.commands import command_line
from scalekit.queue.supervisor.machine import usable_cores
from scalekit.queue.supervisor.options import address, count, seconds, size
from scalekit.queue.supervisor.pool import Pool
from scalekit.queue.supervisor.restarts import Restarts
from scalekit.queue.supervisor.usage import Rates, rates_between


class FakeChild:
    """A process in name only; its fate is what the test says."""

    def __init__(self):
        self.exit_code, self.lived, self.report = None, 1.0, Report()
        self.ready = self.leaving = self.outdated = False

    def read(self):
        pass

    def close(self):
        pass

    def retire(self):
        self.leaving = True

    terminate = kill = retire


@pytest.fixture
def lost():
    return []


@pytest.fixture
def pool(lost):
    """Give a pool of two processes that are ready."""
    pool = Pool(FakeChild, 2, lambda child, _restarts: lost.append(child))
    pool.tend()
    make_ready(pool)
    return pool


def make_ready(pool):
    for child in pool.children:
        child.ready = True


def test_pool_starts_what_is_wanted(pool):
    assert len(pool.ready) == 2


def test_dead_process_is_replaced_at_once_and_its_sibling_stays(pool, lost):
    victim, sibling = pool.children
    victim.exit_code = -9
    pool.tend()
    assert lost == [victim]
    assert len(pool.staying) == 2
    assert sibling in pool.staying


def test_one_too_many_retires_and_is_not_lost(pool, lost):
    pool.children[0].report = Report(running=3)
    busy, idle = pool.children
    pool.wanted = 1
    pool.tend()
    assert (busy.leaving, idle.leaving) == (False, True)
    idle.exit_code = 0
    pool.tend()
    assert (pool.children, lost) == ([busy], [])


def test_outdated_process_goes_only_when_another_is_ready(pool):
    old = list(pool.children)
    pool.outdate(old)
    pool.tend()
    assert (len(pool.staying), pool.starting) == (3, 1)
    pool.tend()
    assert not any(child.leaving for child in old)
    make_ready(pool)
    pool.tend()
    assert [child.leaving for child in old] == [True, False]
    pool.tend()
    make_ready(pool)
    pool.tend()
    assert [child.leaving for child in old] == [True, True]
    assert len(pool.ready) == 2


def test_stopping_pool_starts_nobody(pool):
    pool.stop()
    for child in list(pool.children):
        child.exit_code = 0
    pool.tend()
    assert pool.children == []


@pytest.mark.parametrize(
    ("lives", "delays"),
    [
        ([1], [0]),
        ([1, 1, 1, 1], [0, 0.5, 1, 2]),
        ([1] * 9, [0, 0.5, 1, 2, 4, 8, 16, 30, 30]),
        ([1, 1, 60, 1, 1], [0, 0.5, 0, 0, 0.5]),
        ([3600, 3600], [0, 0]),
    ],
)
def test_who_dies_young_again_and_again_is_replaced_ever_later(lives, delays):
    restarts, now, seen = Restarts(), 1000.0, []
    for lived in lives:
        restarts = restarts.after_death(lived, now)
        seen.append(max(0.0, restarts.not_before - now))
        assert restarts.allow(now) == (seen[-1] == 0)
        now += 100
    assert seen == delays


@pytest.mark.parametrize(
    ("text", "number"),
    [("512M", 512 << 20), ("1g", 1 << 30), ("64KiB", 65536), ("2GB", 2 << 30), ("77", 77)],
)
def test_sizes(text, number):
    assert size(text) == number


@pytest.mark.parametrize(
    ("text", "place"),
    [("9000", ("", 9000)), ("127.0.0.1:1", ("127.0.0.1", 1)), ("[::1]:80", ("::1", 80))],
)
def test_addresses(text, place):
    assert address(text) == place


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((size, text) for text in ("", "0", "0M", "-1M", "much", "1T", "1.5G")),
        *((address, text) for text in ("", "web", "localhost:", "1.2.3.4:x", "70000")),
        *((count, text) for text in ("0", "-1", "x", "1.5", "")),
        *((seconds, text) for text in ("0", "-1", "nan", "inf", "soon")),
    ],
)
def test_senseless_arguments_are_refused(read, text):
    with pytest.raises(ArgumentTypeError):
        read(text)


def test_rates_are_what_happened_between_two_reports():
    before = Report(at=10.0, done=100, busy=40.0, cpu=5.0)
    now = Report(at=12.0, done=180, busy=50.0, cpu=6.0)
    assert rates_between(before, now) == Rates(running=5.0, rate=40.0, cpu=0.5)


@pytest.mark.parametrize(
    ("content", "cores"), [("max 100000\n", None), ("150000 100000\n", 1.5), ("nonsense\n", None)]
)
def test_quota_of_a_container_counts(tmp_path, monkeypatch, content, cores):
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1, 2, 3}, raising=False)
    quota = tmp_path / "cpu.max"
    quota.write_text(content)
    assert usable_cores(quota) == (cores or 4)


def test_no_quota_is_no_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1, 2, 3}, raising=False)
    assert usable_cores(tmp_path / "nothing") == 4


class TestCommandLine:
    def test_manage_script_is_run_again(self, monkeypatch, tmp_path):
        script = tmp_path / "manage.py"
        script.touch()
        monkeypatch.setattr("__main__.__spec__", None)
        monkeypatch.setattr(sys, "argv", [str(script), "run_workers", "--max=4"])
        line = command_line("run_relay", ["--once"], ["--verbosity=1"])
        assert line[0] == sys.executable
        assert line[-4:] == [str(script), "run_relay", "--once", "--verbosity=1"]

    def test_call_from_python_runs_django(self, monkeypatch):
        monkeypatch.setattr(sys, "argv", ["/usr/bin/some_tool"])
        assert command_line("run_relay", [])[-3:] == ["-m", "django", "run_relay"]


def test_policy_is_what_was_asked_for():
    from django.core.management import CommandParser

    from scalekit.queue.supervisor.options import ARGUMENTS, read

    parser = CommandParser()
    for name, options in ARGUMENTS.items():
        parser.add_argument(name, **options)
    given = vars(parser.parse_args(["--min=2", "--max=4", "--threads=3", "--target-latency=1.5"]))
    options = read({**given, "verbosity": 1})
    assert options.policy == Policy(2, 4, 3, 1.5, 60.0)
    assert options.relay


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--min=3", "--max=2"], "--min 3 is above --max 2"),
        (["--threads=0"], "0 is not a whole number from 1"),
        (["--max-memory=much"], "much is no size"),
        (["--target-latency=-1"], "-1 is no number of seconds"),
        (["--health-port=web"], "web is no port"),
    ],
)
@pytest.mark.django_db
def test_nonsense_is_refused_in_words(broker, arguments, words):
    with pytest.raises(CommandError, match=words):
        call_command("run_workers", *arguments)
