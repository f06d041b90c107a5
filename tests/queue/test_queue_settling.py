"""Who writes the ends that are put off, and what becomes of the thread that does."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from scalekit.queue import settling
from scalekit.queue.settling import Left, Line, PutOff, Settling

MOST = 4


def left(name):
    job = SimpleNamespace(ending=None, database="default")
    return Left(PutOff(job, None, None), SimpleNamespace(message_id=name), None)


@pytest.fixture
def concluded(monkeypatch):
    """Give the names of the jobs which each thread that wrote ends has gone on with."""
    names = []
    monkeypatch.setattr(
        settling,
        "conclude",
        lambda written: names.append([one.message.message_id for one in written]),
    )
    return names


def write_while_others_come(monkeypatch, line, names):
    """Let a job end while that of the one before is written, as long as there are `names`."""
    coming = iter(names)

    def end_together(_database, _jobs):
        if name := next(coming, None):
            line.leave(left(name))

    monkeypatch.setattr(settling, "end_together", end_together)
    line.leave(left(next(coming)))


def test_what_comes_while_ends_are_written_waits_for_nothing_that_follows_them(
    monkeypatch, concluded
):
    """Receivers of signals may be slow, and a broker that is down keeps who acknowledges for as long."""
    write_while_others_come(monkeypatch, Line("default", MOST), "abcde")
    assert concluded == [["a", "b", "c", "d", "e"]]


def test_who_comes_when_a_thread_writes_its_last_ends_writes_beside_it(monkeypatch, concluded):
    write_while_others_come(monkeypatch, Line("default", MOST), "abcdef")
    assert concluded == [["f"], ["a", "b", "c", "d", "e"]]


def test_thread_that_is_interrupted_while_it_writes_keeps_no_other_from_it(monkeypatch, concluded):
    line = Line("default", MOST)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(settling, "end_together", interrupt)
        with pytest.raises(KeyboardInterrupt):
            line.leave(left("a"))
    monkeypatch.setattr(settling, "end_together", lambda *_: None)
    line.leave(left("b"))
    assert concluded == [["b"]]


def test_connection_that_cannot_be_closed_ends_no_thread(monkeypatch, concluded, caplog):
    def fail():
        raise OSError("the socket")

    monkeypatch.setattr(settling, "end_together", lambda *_: None)
    monkeypatch.setattr(settling, "close_old_connections", fail)
    one = left("a")
    settling._put_off.set(one.what)
    assert Settling(1).take(one.message, None)
    assert "the socket" in caplog.text
