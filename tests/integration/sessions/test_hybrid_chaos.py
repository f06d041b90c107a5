"""The hybrid engine while its Redis is killed, frozen, emptied and started again: nothing is lost, nothing comes back."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.db import connections

from scalekit.sessions.checks import HYBRID
from scalekit.sessions.stores import epochs
from scalekit.sessions.stores import hybrid as hybrid_module
from tests.integration.sessions.conftest import fresh

pytestmark = pytest.mark.servers

WORKERS, SECONDS = 4, 6


@dataclass
class Visitor:
    key: str
    ending: bool = False
    ended: bool = False
    saved: dict[str, int] = field(default_factory=dict)


class Site:
    """Visitors, those who have left, and what went wrong."""

    def __init__(self, engine):
        self.engine, self.lock = engine, threading.Lock()
        self.wrong, self.done = [], Counter()
        self.left = []
        self.visitors = [self.newcomer() for _ in range(8)]

    def newcomer(self):
        session = self.engine()
        session["start"] = True
        session.save()
        return Visitor(session.session_key)

    def save(self, visitor, key, value):
        session = self.engine(visitor.key)
        mine = visitor.saved.get(key)
        seen = session.get(key)
        if seen != mine and not visitor.ending:
            self.wrong.append(("the past was seen", key, seen, mine))
        session[key] = value
        try:
            session.save()
        except UpdateError:
            if not visitor.ending:
                self.wrong.append(("a live session was refused", visitor.key))
            return
        visitor.saved[key] = value
        self.done["saves"] += 1

    def leave(self, visitor):
        with self.lock:
            if visitor.ending:
                return
            visitor.ending = True
            self.visitors[self.visitors.index(visitor)] = self.newcomer()
        self.engine(visitor.key).flush()
        visitor.ended = True
        self.left.append(visitor)
        self.done["logouts"] += 1

    def look(self, visitor):
        """Read one who was there, or had left, before the read began."""
        ended = visitor.ended
        data = self.engine(visitor.key).load()
        if ended and data:
            self.wrong.append(("a session came back", visitor.key))
        if not data and not visitor.ending:
            self.wrong.append(("a session was lost", visitor.key))


def work(site, number, stop):
    chance = random.Random(number)
    value = 0
    while not stop.is_set():
        value += 1
        visitor, dice = chance.choice(site.visitors), chance.random()
        if dice < 0.5:
            site.save(visitor, f"{number}-{chance.randrange(4)}", value)
        elif dice < 0.55:
            site.leave(visitor)
        else:
            site.look(chance.choice([visitor, *site.left[-20:]]))
    connections.close_all()


def torment(server, stop):
    chance = random.Random(7)
    while not stop.wait(chance.random() * 0.4):
        what = chance.choice(["kill", "freeze", "flush", "restart"])
        getattr(server, what)()
        stop.wait(chance.random() * 0.4 if what in ("kill", "freeze") else 0)
        if what == "kill":
            server.start()
        elif what == "freeze":
            server.thaw()


def test_nothing_is_lost_and_nothing_comes_back(
    scalekit_servers, database, use_store, settings, monkeypatch
):
    server = scalekit_servers.valkey("sessions", appendonly=True)
    use_store(server, HYBRID, timeout=0.2)
    settings.SCALEKIT_SESSIONS_BREAKER_SECONDS = 0.3
    for module, name, seconds in [(epochs, "WINDOW", 0.6), (hybrid_module, "LEASE", 2)]:
        monkeypatch.setattr(module, name, seconds)
    site, stop = Site(fresh(HYBRID)), threading.Event()
    threads = [threading.Thread(target=work, args=(site, n, stop)) for n in range(WORKERS)]
    threads.append(threading.Thread(target=torment, args=(server, stop)))
    for thread in threads:
        thread.start()
    ends_at = monotonic() + SECONDS
    while monotonic() < ends_at and not site.wrong:
        stop.wait(0.1)
    stop.set()
    for thread in threads:
        thread.join(30)
    server.start()
    for visitor in site.visitors:
        data = site.engine(visitor.key).load()
        assert visitor.saved.items() <= data.items()
    for visitor in site.left:
        site.look(visitor)
    assert site.wrong == []
    assert site.done["saves"] > 50
    assert site.done["logouts"] > 2
