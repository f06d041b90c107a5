"""Work on several shards at once, and begin no other once one has failed.

By threads, since their connections are those of this process: in a test, a child process would read the
settings and migrate the databases of production.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

from django.db import connections

from scalekit.db.sharding.migrating.interrupts import softened
from scalekit.db.sharding.migrating.steps import Step, Tell, What, text_of
from scalekit.db.sharding.parallel import in_these_circumstances, stays_here

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Work = Callable[[str, Tell], None]

TICK = 0.2  # seconds between two looks at the clock, for whoever shows it
INTERRUPTED = "interrupted"
INTERRUPTION = Step("", What.INTERRUPTED)


@dataclass(slots=True)
class Outcome:
    """Which shards are done, which failed and why, which were not begun, and why not."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    stopped: str = ""

    @property
    def well(self) -> bool:
        return not self.failed and not self.left

    def heard(self, step: Step) -> None:
        if step.what is What.ENDED:
            self.done.append(step.alias)
        elif step.what is What.FAILED:
            self.failed[step.alias] = step.error
            self.stopped = self.stopped or f"{step.alias} failed"
        elif step.what is What.INTERRUPTED:
            self.stopped = INTERRUPTED


class Round:
    """One round over shards, `jobs` at a time.

    `work(alias, tell)` is called for each shard; `heard(step)` always in the calling thread. `permit()` is
    called before each shard and returns why none may begin any more, or nothing. The first Ctrl-C lets what
    runs come to its end; the second leaves at once, and the databases roll back.
    """

    def __init__(self, work: Work, heard: Tell, *, jobs: int, permit: Callable[[], str]) -> None:
        self._work, self._heard, self._jobs, self._permit = work, heard, jobs, permit
        self._outcome = Outcome()

    def over(self, parts: Sequence[Sequence[str]], tick: Callable[[], None]) -> Outcome:
        """Work on one part of the shards after the other; `tick` is called while nothing happens."""
        self._outcome = Outcome()
        for part in parts:
            waiting = deque(part)
            if self._jobs == 1 or any(stays_here(alias) for alias in part):
                self._in_turn(waiting)
            else:
                self._at_once(waiting, tick)
            self._outcome.left += waiting
        return self._outcome

    def _in_turn(self, waiting: deque[str]) -> None:
        with softened(lambda: self._outcome.heard(INTERRUPTION)):
            while self._may_begin(waiting):
                self._hear(_done(waiting.popleft(), self._work, self._hear))

    def _at_once(self, waiting: deque[str], tick: Callable[[], None]) -> None:
        steps: SimpleQueue[Step] = SimpleQueue()
        running = 0
        with softened(lambda: steps.put(INTERRUPTION)):
            while True:
                while running < self._jobs and self._may_begin(waiting):
                    self._start(waiting.popleft(), steps.put)
                    running += 1
                if not running:
                    return
                try:
                    step = steps.get(timeout=TICK)
                except Empty:
                    tick()
                else:
                    self._hear(step)
                    running -= step.what in {What.ENDED, What.FAILED}

    def _may_begin(self, waiting: deque[str]) -> bool:
        if waiting and not self._outcome.stopped:
            self._outcome.stopped = self._permit()
        return bool(waiting) and not self._outcome.stopped

    def _hear(self, step: Step) -> None:
        self._outcome.heard(step)
        self._heard(step)

    def _start(self, alias: str, tell: Tell) -> None:
        run = in_these_circumstances()

        def job() -> None:
            last = Step(alias, What.FAILED, error="its thread broke off")
            try:
                last = run(_done, alias, self._work, tell)
                connections.close_all()  # before the end is told, on which a test may drop its databases
            finally:
                tell(last)  # whatever has happened: it is waited for

        # A daemon, which does not hold up a second Ctrl-C.
        threading.Thread(target=job, name=f"migrate {alias}", daemon=True).start()


def _done(alias: str, work: Work, tell: Tell) -> Step:
    """Do the work for one shard, and return how it ended."""
    tell(Step(alias, What.BEGUN))
    began = monotonic()
    try:
        work(alias, tell)
    except BaseException as error:  # noqa: BLE001 - a SystemExit in a migration is a failure too
        return Step(alias, What.FAILED, None, monotonic() - began, text_of(error))
    return Step(alias, What.ENDED, None, monotonic() - began)
