"""The parts that know no server: when to refresh, how long to wait, what is owed, how many may load."""

from __future__ import annotations

import asyncio
import math
import threading

import pytest

from scalekit.cache.debts import Debts
from scalekit.cache.exceptions import TooManyLoads
from scalekit.cache.limiter import Limiter
from scalekit.cache.policy import Policy
from scalekit.cache.stampede import notes, states
from scalekit.cache.stampede.early import is_due
from scalekit.cache.stampede.pauses import pauses
from scalekit.cache.values import Entry


def entry(delta=1.0, soft_expiry=100.0, stamps=b"\0"):
    return Entry(None, b"12345678", 0.0, delta, soft_expiry, stamps)


def test_an_entry_is_due_after_its_end_for_sure_and_long_before_it_never():
    assert is_due(entry(), 100.0)
    assert not any(is_due(entry(), 50.0) for _ in range(1000))
    assert not is_due(entry(soft_expiry=math.inf), 1e9)


def test_near_its_end_it_is_due_for_a_share_of_readers_that_its_load_time_gives():
    shares = [sum(is_due(entry(delta), 99.0) for _ in range(4000)) / 4000 for delta in (0.2, 1, 5)]
    assert shares == pytest.approx([math.exp(-1 / delta) for delta in (0.2, 1, 5)], abs=0.05)


def test_waiting_for_a_load_costs_few_questions_and_little_time():
    for load, most in ((0.2, 20), (7, 100)):
        waited = questions = 0.0
        for pause in pauses():
            waited, questions = waited + pause, questions + 1
            if waited >= load:
                break
        assert questions <= most
        assert waited <= load * 1.35 + 0.01


def test_debts_are_paid_once_and_kept_if_owed_anew():
    debts = Debts()
    debts.owe(["a", "b"], "")
    paid = debts.owed()
    debts.owe(["b"], "")
    debts.paid(paid)
    assert list(debts.owed()) == ["b"]


def test_what_was_told_of_late_is_told_again_and_what_is_old_is_not():
    now = [0.0]
    debts = Debts(clock=lambda: now[0])
    debts.tell(["old"], "")
    now[0] = 31.0
    debts.tell(["new"], "facts")
    debts.tell_again()
    assert {name: debt.facts for name, debt in debts.owed().items()} == {"new": "facts"}


def test_what_was_told_is_bounded(monkeypatch):
    monkeypatch.setattr("scalekit.cache.debts._TOLD", 10)
    debts = Debts()
    for n in range(100):
        debts.tell([str(n)], "")
    debts.tell_again()
    assert list(debts.owed()) == [str(n) for n in range(90, 100)]


def test_the_limiter_lets_the_next_in_when_one_leaves():
    limiter = Limiter(lambda: 1, lambda: 5.0)
    entered, gate = threading.Event(), threading.Event()

    def first():
        with limiter.slot():
            entered.set()
            gate.wait(5)

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(5)
    threading.Timer(0.05, gate.set).start()
    with limiter.slot():
        assert limiter.running == 1
    thread.join()
    assert limiter.running == 0


def test_the_limiter_refuses_in_time_and_says_what_to_do():
    limiter = Limiter(lambda: 1, lambda: 0.05)
    refused = pytest.raises(TooManyLoads, match="SCALEKIT_CACHE_LOADS_WHILE_DOWN")
    with limiter.slot(), refused, limiter.slot():
        pass


def test_the_limiter_of_tasks():
    limiter = Limiter(lambda: 2, lambda: 0.1)

    async def load(seconds):
        async with limiter.aslot():
            await asyncio.sleep(seconds)

    async def scene():
        return await asyncio.gather(
            load(0.3), load(0.02), load(0.02), load(0.3), load(0), return_exceptions=True
        )

    errors = [error for error in asyncio.run(scene()) if error is not None]
    assert [type(error) for error in errors] == [TooManyLoads]
    assert limiter.running == 0


@pytest.mark.parametrize(
    "stored",
    [
        None,
        b"",
        b"x",
        states.STAMP + b"12345678",
        states.HOLD + b"garbage",
        states.LEASE,
        b"S" * 99,
    ],
)
def test_what_says_nothing_demands_nothing(stored):
    assert states.facts_in(stored) == ()


def test_stamps_are_joined_only_if_all_are_there():
    one, other = states.STAMP + b"1" * 8, states.STAMP + b"2" * 8 + b'["{}"]'
    assert states.joined([one, other]) == b"1" * 8 + b"2" * 8
    for missing in (None, b"", states.HOLD + b"0" * 8):
        assert states.joined([one, missing]) is None


def test_a_note_says_what_an_entry_was_loaded_under():
    noted = entry(stamps=notes.note(b"1" * 8, ({"a": 1},)))
    assert notes.depends_on(noted, b"1" * 8)
    assert not notes.depends_on(noted, b"2" * 8)
    assert notes.facts_of(noted, b"1" * 8) == ({"a": 1},)
    assert notes.is_error(entry(stamps=notes.note(b"", (), is_error=True)))


def test_a_value_is_kept_as_long_as_it_may_be_served():
    policy = Policy("f", "default", ttl=60, stale=30, jitter=0)
    assert policy.total_ms(policy.lifetime()) == 90_000
    assert policy.total_ms(None) == 0
    assert not policy.keeps(1, -1)


def test_what_overflowed_while_all_was_given_up_is_owed_still(monkeypatch):
    monkeypatch.setattr("scalekit.cache.debts._OWED", 1)
    debts = Debts()
    debts.owe(["a", "b"], "")
    sent = debts.overflows()
    debts.owe(["c", "d"], "")
    debts.raised(sent)
    assert debts.owes_all
    debts.raised(debts.overflows())
    assert not debts


def test_more_than_can_be_told_again_gives_up_all(monkeypatch):
    monkeypatch.setattr("scalekit.cache.debts._TOLD", 3)
    now = [0.0]
    debts = Debts(clock=lambda: now[0])
    debts.tell("abcd", "")
    debts.tell_again()
    assert debts.owes_all
    debts.raised(debts.overflows())
    debts.tell("abcd", "")
    now[0] = 31.0
    debts.tell_again()
    assert not debts.owes_all
