from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from scalekit.db.monitor import waiting
from scalekit.db.monitor.watching import Monitor
from scalekit.db.positions import Position, format_lsn

WANTED = Position(7, 1, 1000)


class Standby:
    """A cursor on a standby that gets further with each question."""

    def __init__(self, *lsns, version=180000, timeline=1, standby=True):
        self.lsns, self.timeline, self.standby = list(lsns), timeline, standby
        self.connection = SimpleNamespace(info=SimpleNamespace(server_version=version))
        self.asked = []

    def execute(self, sql):
        self.asked.append(sql.split("\n")[0])

    def fetchone(self):
        lsn = self.lsns.pop(0) if len(self.lsns) > 1 else self.lsns[0]
        wal_file = None if self.standby else "0" * 24
        return (
            *(self.standby, format_lsn(lsn), False, wal_file, self.timeline, 1, True, 7),
            *(8192, 1 << 24),
        )


@pytest.fixture
def monitor(monkeypatch):
    made = Monitor()
    monkeypatch.setattr(waiting, "monitor", made)
    return made


def ask(cursor, seconds=0.05):
    return waiting._ask(cursor, "r", WANTED, time.monotonic() + seconds)


def test_who_catches_up_meanwhile_is_waited_for_and_remembered(monitor):
    assert ask(Standby(900, 950, 1005))
    assert monitor.sight_of("r").proven == Position(7, 1, 1005)


def test_who_does_not_is_not_waited_for_longer(monitor):
    began = time.monotonic()
    assert not ask(Standby(900), 0.02)
    assert time.monotonic() - began < 0.1
    assert monitor.sight_of("r").proven is None


def test_the_same_number_on_another_timeline_is_not_believed(monitor):
    assert not ask(Standby(2000, timeline=2), 0.01)


def test_a_promoted_server_is_not_waited_for(monitor):
    cursor = Standby(900, standby=False)
    assert not ask(cursor, 5)
    assert len(cursor.asked) == 1


def test_a_server_that_can_wait_itself_is_told_to(monitor):
    cursor = Standby(900, 1000, version=190000)
    assert ask(cursor)
    wait = "WAIT FOR LSN '0/3E8' WITH (MODE 'standby_replay', TIMEOUT '8ms', NO_THROW)"
    assert cursor.asked[1] == wait
    assert len(cursor.asked) == 3
