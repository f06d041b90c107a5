"""What tasks may declare of limits, and the arithmetic behind them."""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import OperationalError

from scalekit.queue.limits import Limits, Rate, flaws_of, limits_of, places
from scalekit.queue.limits.admission import Admission, Applicant, Refusal, admit, leave
from scalekit.queue.limits.lines import has_waiting, next_time
from scalekit.queue.models import Limit, LimitHolder

SPACING = timedelta(seconds=100)  # so long that no pause of the machine counts


def pay(account, amount=0, **extra):
    pass


def flaws(**options):
    return list(flaws_of(SimpleNamespace(func=pay, **options)))


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/s", Rate(10, 1)),
        ("100/15m", Rate(100, 900)),
        ("1000 / h burst 50", Rate(1000, 3600, 50)),
        ("1/d", Rate(1, 86_400)),
    ],
)
def test_rates_are_read(text, rate):
    assert Rate.read(text) == rate


@pytest.mark.parametrize(
    "text", ["", "10", "10/x", "0/s", "1/0s", "-1/s", "10/s burst 0", "1.5/s", 10]
)
def test_what_is_no_rate_is_refused_with_an_example(text):
    assert "rate_limit = " in flaws(rate_limit=text)[0]


@pytest.mark.parametrize(
    ("options", "flaw"),
    [
        ({"concurrency": 0}, "concurrency = 0"),
        ({"concurrency": True}, "concurrency = True"),
        ({"concurrency": 1, "limit_by": "nobody"}, "of account, amount"),
        ({"concurrency": 1, "limit_by": "extra"}, "limit_by = 'extra'"),
        ({"concurrency": 1, "limit_name": ""}, "limit_name = ''"),
        ({"limit_name": "api"}, "goes with rate_limit or concurrency"),
        ({"limit_by": "account"}, "goes with rate_limit or concurrency"),
    ],
)
def test_flaws_say_what_to_write(options, flaw):
    assert flaw in flaws(**options)[0]


def test_sound_limits_have_no_flaws():
    assert not flaws(rate_limit="10/s", concurrency=2, limit_by="amount", limit_name="api")
    assert not flaws()


def test_limit_is_the_task_s_own_unless_it_has_a_name():
    assert limits_of({"concurrency": 2}, "shop.pay", pay, [1], {}).name == "shop.pay"
    named = limits_of({"concurrency": 2, "limit_name": "api"}, "shop.pay", pay, [1], {})
    assert (named.name, named.task) == ("api", "shop.pay")


@pytest.mark.parametrize(("args", "kwargs"), [(["a"], {}), ([], {"account": "a"})])
def test_limit_by_an_argument_is_the_same_however_it_is_passed(args, kwargs):
    options = {"concurrency": 2, "limit_by": "account"}
    assert limits_of(options, "pay", pay, args, kwargs).name == 'pay["a"]'


def test_limit_by_a_default_takes_the_default():
    options = {"concurrency": 2, "limit_by": "amount"}
    assert limits_of(options, "pay", pay, ["a"], {}).name == "pay[0]"


def test_long_values_make_names_that_fit_and_differ():
    options = {"concurrency": 2, "limit_by": "account"}
    names = {limits_of(options, "pay", pay, ["a" * 1000 + end], {}).name for end in "xy"}
    assert len(names) == 2
    assert max(map(len, names)) <= 200


def test_job_without_limits_has_none():
    assert limits_of({}, "pay", pay, [1], {}) is None


def set_back(name, **by):
    """Let time pass for a line: its next time comes nearer."""
    row = Limit.objects.get(pk=name)
    row.theoretical_arrival -= timedelta(**by)
    row.save()


@pytest.mark.django_db
class TestLines:
    def take(self, **how):
        return next_time("line", SPACING, **how)

    def test_first_time_is_now_and_the_next_ones_are_spaced(self):
        waits = [self.take().total_seconds() for _ in range(4)]
        assert waits == pytest.approx([0, 100, 200, 300], abs=20)

    def test_time_further_away_than_within_is_not_taken(self):
        self.take()
        assert self.take(within=SPACING / 2) is None
        set_back("line", seconds=100)
        assert self.take(within=SPACING / 2) is not None

    def test_tolerance_lets_a_burst_through_and_no_more(self):
        burst = {"tolerance": 4 * SPACING, "within": timedelta(0)}
        assert [self.take(**burst) is not None for _ in range(7)] == [True] * 5 + [False] * 2

    def test_idle_time_is_not_saved_up(self):
        self.take()
        set_back("line", hours=1)
        assert self.take().total_seconds() == 0
        assert self.take().total_seconds() == pytest.approx(100, abs=20)

    def test_nobody_passes_those_who_wait_in_the_line_behind(self):
        next_time("waiting", 5 * SPACING)
        assert self.take(behind=has_waiting("waiting")) is None
        set_back("waiting", seconds=1000)
        assert self.take(behind=has_waiting("waiting")) is not None


@pytest.mark.django_db
class TestAdmission:
    @pytest.fixture(autouse=True)
    def _without_a_keeper(self, monkeypatch):
        monkeypatch.setattr(places.keeper, "wake", lambda: None)
        yield
        places._held.clear()

    def test_job_over_the_concurrency_limit_is_told_when_to_come_back(self):
        limits = Limits("two", "two", concurrency=2)
        first, second, third = (admit(limits, Applicant(str(n))) for n in range(3))
        assert None not in {first.place, second.place}
        assert first.place.row != second.place.row
        assert third == Refusal("concurrency", third.delay)
        assert 0 <= third.delay < 2

    def test_place_that_was_left_is_taken_by_who_has_waited(self):
        limits = Limits("one", "one", concurrency=1)
        first = admit(limits, Applicant("1"))
        assert isinstance(admit(limits, Applicant("2")), Refusal)
        leave(limits, first.place)
        Limit.objects.update(theoretical_arrival="2100-01-01T00:00:00Z")  # the second waits yet
        assert isinstance(admit(limits, Applicant("3")), Refusal)
        assert isinstance(admit(limits, Applicant("2", has_waited=True)), Admission)

    def test_place_whose_holder_gives_no_sign_of_life_is_free(self):
        limits = Limits("one", "one", concurrency=1)
        admit(limits, Applicant("1"))
        LimitHolder.objects.update(until="2000-01-01T00:00:00Z")
        assert isinstance(admit(limits, Applicant("2", has_waited=True)), Admission)

    def test_who_lost_its_place_does_not_free_it_for_others(self):
        limits = Limits("one", "one", concurrency=1)
        lost = admit(limits, Applicant("1"))
        LimitHolder.objects.update(until="2000-01-01T00:00:00Z")
        admit(limits, Applicant("2", has_waited=True))
        leave(limits, lost.place)
        assert isinstance(admit(limits, Applicant("3", has_waited=True)), Refusal)

    def test_fewer_places_in_a_newer_release_are_the_ones_that_count(self):
        wide, narrow = Limits("n", "n", concurrency=3), Limits("n", "n", concurrency=1)
        admit(wide, Applicant("1", has_waited=True))
        assert isinstance(admit(narrow, Applicant("2", has_waited=True)), Refusal)

    def test_jobs_over_the_rate_come_back_one_after_the_other(self):
        limits = Limits("slow", "slow", rate=Rate(1, 100))
        first, *refused = (admit(limits, Applicant(str(n))) for n in range(4))
        assert first == Admission(0.0)
        delays = [refusal.delay for refusal in refused]
        assert delays == sorted(delays)
        for number, delay in enumerate(delays, 1):  # a little early, with jitter
            assert 100 * number - 20 < delay < 100 * number + 0.5

    def test_short_waits_are_waited_for_in_the_thread(self):
        limits = Limits("fast", "fast", rate=Rate(4, 1))
        began = time.monotonic()
        waits = [admit(limits, Applicant(str(n))).wait for n in range(4)]
        passed = time.monotonic() - began + 0.05
        for number, wait in enumerate(waits):
            assert 0.25 * number - passed < wait < 0.25 * number + 0.01

    def test_job_whose_rate_cannot_be_asked_keeps_no_place(self, monkeypatch):
        def next_time(*_, **__):
            raise OperationalError("the server has gone away")

        monkeypatch.setattr("scalekit.queue.limits.admission.next_time", next_time)
        with pytest.raises(OperationalError):
            admit(Limits("both", "both", rate=Rate(1, 60), concurrency=5), Applicant("1"))
        assert not places._held
        assert not LimitHolder.objects.exclude(holder="").exists()

    def test_job_over_its_rate_keeps_no_place(self):
        limits = Limits("both", "both", rate=Rate(1, 60), concurrency=5)
        admit(limits, Applicant("1"))
        assert isinstance(admit(limits, Applicant("2")), Refusal)
        assert LimitHolder.objects.exclude(holder="").count() == 1
