from __future__ import annotations

import threading

import pytest

from scalekit.db.sharding.ids import (
    EPOCH_MS,
    MAX_ID,
    IdGenerator,
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
