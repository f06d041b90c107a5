from __future__ import annotations

import threading

import pytest

from scalekit.db.sharding.ids import (
    EPOCH_MS,
    MAX_ID,
    NUMBERS,
    SEQUENCES,
    TURNS,
    Everything,
    IdGenerator,
    Lease,
    generator,
    milliseconds_of_id,
    slot_of_id,
)


class Clock:
    def __init__(self, now=EPOCH_MS + 1000):
        self.now = now

    def __call__(self):
        return self.now


def test_an_id_tells_its_time_and_slot():
    made = IdGenerator(Clock(EPOCH_MS + 5)).next_id(4095)
    assert (milliseconds_of_id(made), slot_of_id(made)) == (EPOCH_MS + 5, 4095)
    assert 0 < made <= MAX_ID


def test_ids_fit_63_bits_to_the_end_of_their_time():
    made = IdGenerator(Clock(EPOCH_MS + (1 << 41) - 1)).next_id(4095)
    assert 0 < made <= MAX_ID


@pytest.mark.parametrize("step", [0, 1, -5000])
def test_ids_never_repeat_and_grow_within_a_slot(step):
    clock = Clock()
    ids = IdGenerator(clock)
    made = []
    for _ in range(5000):
        made.append(ids.next_id(3))
        clock.now += step
    assert made == sorted(set(made))


def test_threads_share_no_id():
    made = []

    def work():
        made.extend([generator.next_id(slot % 5) for slot in range(4000)])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == len(made) == 24_000


def test_a_child_process_does_not_go_on_where_its_parent_does():
    ids = IdGenerator(Clock())
    ids.next_id(1)
    ids.fork()
    assert ids._sequences == {}


def test_sequences_start_at_random_and_leave_half_of_them_free():
    starts = {IdGenerator(Clock()).next_id(1) % 1024 for _ in range(200)}
    assert max(starts) < 512
    assert len(starts) > 50


def leased(clock, number, first=0, last=10**9):
    return IdGenerator(clock, lambda _: Lease(number, first, last))


def test_leases_share_no_millisecond_and_sequence():
    taken = set()
    for number in range(NUMBERS):
        lease = Lease(number, 0, 10**9)
        ms = lease.after(-1)
        taken |= {(ms, sequence) for sequence in lease.sequences()}
    assert len(taken) == TURNS * SEQUENCES  # all there are in one turn, each once


@pytest.mark.parametrize("step", [0, 1, -5000])
def test_processes_with_leases_never_make_the_same_id(step):
    made = []
    for number in range(0, NUMBERS, 31):
        clock = Clock()
        ids = leased(clock, number)
        mine = []
        for _ in range(300):
            mine.append(ids.next_id(3))
            clock.now += step
        assert mine == sorted(set(mine))
        made += mine
    assert len(made) == len(set(made))


def test_a_lease_does_not_take_ids_far_from_their_time():
    clock = Clock()
    for number in (0, 63, 64, 1023):
        ids = leased(clock, number)
        ids.next_id(1)
        clock.now += 5 * TURNS
        assert 0 <= clock.now - milliseconds_of_id(ids.next_id(1)) < TURNS


def test_a_lease_is_never_used_beyond_its_end_or_before_its_beginning():
    clock, given = Clock(), []

    def shares(ms):
        given.append(Lease(7, ms, ms + 1000))
        return given[-1]

    ids = IdGenerator(clock, shares)
    made = [ids.next_id(1) for _ in range(64 * 20)]  # 20 turns of 64 ms in no time
    assert len(given) > 1
    for number in made:
        ms = milliseconds_of_id(number) - EPOCH_MS
        assert any(lease.first <= ms <= lease.last for lease in given)
    clock.now += 10**6  # an idle process comes back
    ids.next_id(1)
    assert given[-1].first == clock.now - EPOCH_MS


def test_a_process_without_a_lease_goes_on_where_that_ended():
    clock = Clock()
    shares = iter([Lease(7, 0, 1100), Everything(last=2000), Lease(9, 0, 10**9)])
    ids = IdGenerator(clock, lambda _: next(shares))
    made = []
    for _ in range(3000):
        made.append(ids.next_id(1))
        clock.now += 1
    assert made == sorted(set(made))


def test_a_child_process_asks_for_a_lease_of_its_own():
    asked = []
    ids = IdGenerator(Clock(), lambda ms: asked.append(ms) or Lease(len(asked), 0, 10**9))
    ids.next_id(1)
    ids.fork()
    ids.next_id(1)
    assert len(asked) == 2


def test_who_is_told_of_a_lease_may_make_ids():
    """An observer that stores a row of what happened, say."""
    told = []
    ids = IdGenerator(Clock(), tell=lambda: told.append(ids.next_id(1)))
    made = []
    thread = threading.Thread(target=lambda: made.append(ids.next_id(1)), daemon=True)
    thread.start()
    thread.join(20)
    assert made
    assert made < told
