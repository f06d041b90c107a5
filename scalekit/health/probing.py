"""Run the checks: together, within a budget, once for all who ask at the same time.

Every check runs in a daemon thread of its own. One that has not come back is not started again for
`GIVE_UP` seconds, so a hung server costs few threads, however often the load balancer asks.
"""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from django.db import connections

from scalekit.health.conf import settings
from scalekit.health.discovery import installed_checks
from scalekit.health.events import CHECK_FAILED, CHECK_FINISHED, CHECK_RECOVERED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scalekit.health.base import Check

# A connection that a firewall has dropped hangs for a quarter of an hour by Linux' tcp_retries2, long after
# the server is back: another attempt finds that out.
GIVE_UP = 15.0  # seconds
FREE_TRIES = 4  # from then on each is waited for twice as long as the last: few threads, and never the end of trying

logger = logging.getLogger("scalekit.health")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one check went: `error` is "" where all is well; `seconds` it took or was given."""

    name: str
    critical: bool
    error: str
    seconds: float

    @property
    def state(self) -> str:
        return "failed" if self.error else "ok"


@dataclass(frozen=True, slots=True)
class Report:
    """What one probe found, and when by the monotonic clock."""

    outcomes: tuple[Outcome, ...]
    at: float

    @property
    def ready(self) -> bool:
        return not any(outcome.error and outcome.critical for outcome in self.outcomes)


class Attempt:
    """One run of one check, in its own thread."""

    def __init__(self, check: Check) -> None:
        self.check, self.error = check, ""
        self.started = self.ended = monotonic()
        self.done = threading.Event()

    @classmethod
    def begin(cls, check: Check) -> Attempt:
        attempt = cls(check)
        name = f"health: {check.name}"
        threading.Thread(target=attempt._run, name=name, daemon=True).start()
        return attempt

    def _run(self) -> None:
        try:
            self.check.run()
        except BaseException as error:  # noqa: BLE001 - whatever ends a check, it has failed
            self.error = f"{type(error).__name__}: {error}"
        finally:
            self.ended = monotonic()
            self.done.set()
            connections.close_all()

    def outcome(self, budget: float) -> Outcome:
        """Wait for the check, at most until `budget` seconds after it started."""
        patience = min(self.check.timeout, budget)
        if self.done.wait(max(0.0, self.started + patience - monotonic())):
            return self._outcome(self.error, self.ended - self.started)
        return self._outcome(f"no answer after {patience:g} s", patience)

    @property
    def age(self) -> float:
        return monotonic() - self.started

    def hung(self) -> Outcome:
        waited = self.age
        return self._outcome(f"has hung for {waited:.1f} s", waited)

    def _outcome(self, error: str, seconds: float) -> Outcome:
        return Outcome(self.check.name, self.check.critical, error, seconds)


class Prober:
    """Answers how things stand, from a fresh probe or from one that is fresh enough."""

    def __init__(self, find_checks: Callable[[], Sequence[Check]] = installed_checks) -> None:
        self._find_checks = find_checks
        self.forget()
        os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        """Start anew: a child process has its parent's memory, and none of its threads."""
        self._lock = threading.Lock()
        self._latest: Future[Report] | None = None
        self._hung: dict[str, list[Attempt]] = {}
        self._failing: frozenset[str] = frozenset()

    def report(self) -> Future[Report]:
        """Return the latest report, or the one being made; waits for nothing itself."""
        with self._lock:
            if self._latest is None or self._is_old(self._latest):
                self._latest = self._start_probe()
            return self._latest

    def _start_probe(self) -> Future[Report]:
        future: Future[Report] = Future()
        future.set_running_or_notify_cancel()  # so that one who stops waiting cancels nothing
        try:
            threading.Thread(target=self._probe, args=(future,), daemon=True).start()
        except RuntimeError as error:  # no more threads: that is an answer too
            future.set_exception(error)
        return future

    def _is_old(self, latest: Future[Report]) -> bool:
        if not latest.done():
            return False
        if latest.exception() is not None:
            return True
        return monotonic() - latest.result().at >= settings.CACHE

    def _probe(self, future: Future[Report]) -> None:
        try:
            outcomes = self._run(self._find_checks())
            future.set_result(Report(outcomes, monotonic()))
            self._announce(outcomes)
        except BaseException as error:
            logger.exception("The health checks could not be run")
            if not future.done():
                future.set_exception(error)
        finally:
            connections.close_all()  # what a function `checks` may have opened

    def _run(self, checks: Sequence[Check]) -> tuple[Outcome, ...]:
        budget = float(settings.BUDGET)
        begun = {check.name: self._begin(check) for check in checks}
        outcomes = tuple(
            attempt.outcome(budget) if attempt else self._hung[name][-1].hung()
            for name, attempt in begun.items()
        )
        for name, attempt in begun.items():
            if attempt and not attempt.done.is_set():
                self._hung.setdefault(name, []).append(attempt)
        return outcomes

    def _begin(self, check: Check) -> Attempt | None:
        """Start a check, unless it hangs and was started a short while ago."""
        hung = [a for a in self._hung.pop(check.name, []) if not a.done.is_set()]
        if hung:
            self._hung[check.name] = hung
            if hung[-1].age < GIVE_UP * 2 ** max(0, len(hung) - FREE_TRIES + 1):
                return None
        return Attempt.begin(check)

    def _announce(self, outcomes: tuple[Outcome, ...]) -> None:
        for o in outcomes:
            CHECK_FINISHED.emit(check=o.name, outcome=o.state, duration=o.seconds)
            if o.error and o.name not in self._failing:
                CHECK_FAILED.emit(check=o.name, critical=o.critical, error=o.error)
            elif not o.error and o.name in self._failing:
                CHECK_RECOVERED.emit(check=o.name)
        self._failing = frozenset(o.name for o in outcomes if o.error)
