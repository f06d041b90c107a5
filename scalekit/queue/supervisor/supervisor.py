"""The loop: keep the processes running, as many as it takes, until told to stop."""

from __future__ import annotations

import select
import signal
import sys
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scalekit.queue.conf import settings
from scalekit.queue.events import WORKERS_SCALED
from scalekit.queue.scaling import Load, Scale, decide
from scalekit.queue.supervisor import accidents, limits
from scalekit.queue.supervisor.child import Child
from scalekit.queue.supervisor.commands import command_line
from scalekit.queue.supervisor.figures import Figures
from scalekit.queue.supervisor.gauges import announce
from scalekit.queue.supervisor.machine import usable_cores
from scalekit.queue.supervisor.pool import Pool
from scalekit.queue.supervisor.sights import Rows, Watch, queues_waiting, rows_waiting
from scalekit.queue.supervisor.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scalekit.queue.brokers.base import QueueStats
    from scalekit.queue.supervisor.options import Options

TURN = 0.2  # seconds that the loop waits for news
LOOK = 1.0  # seconds between two decisions
LOOK_AT_ROWS = 5.0
FRESH = 10.0  # seconds for which what was seen may be believed
LATE = 4.0  # seconds after the drain time in which a worker must have noticed that it is over


class Supervisor:
    """Starts worker processes and the relay of `run_workers`, and ends with them.

    `say` tells the user, in lines. `run` returns how it ended: True where every job that was begun here
    has finished, False where some had not, None where a second Ctrl-C cut it short.
    """

    def __init__(self, options: Options, say: Callable[[str], object]) -> None:
        self.options, self.say = options, say
        self.workers = Pool(self._start_worker, options.policy.minimum, self._lost("worker"))
        self.relay = Pool(self._start_relay, int(options.relay), self._lost("relay"))
        self.scale = Scale(options.policy.minimum)
        self.usage, self.cores = Usage(), usable_cores()
        self.figures = Figures(threads=options.policy.threads, wanted=self.scale.processes)
        self.broker = Watch("What waits in the broker", self._look_at_broker, LOOK)
        self.rows: Watch[Rows] = Watch("What the databases say", rows_waiting, LOOK_AT_ROWS)
        self.turned = time.monotonic()
        self._signals: deque[int] = deque()
        self._next_look = self._deadline = 0.0
        self._was_ready = self._unfinished = self._cut_short = False
        self._on_terminal = sys.stdout.isatty()

    def look(self) -> tuple[Figures, bool]:
        """Return what is known, and whether the loop turns; for any thread."""
        return self.figures, time.monotonic() - self.turned < FRESH

    def run(self) -> bool | None:
        """Run until SIGTERM or SIGINT. Raises `Refused` where no worker can do what was asked for."""
        self.broker.start()
        self.rows.start()
        with self._listening():
            try:
                while self._turn():
                    self._wait_for_news()
            except BaseException:
                self._drain_all()  # jobs are not to suffer for what went wrong here
                raise
        return None if self._cut_short else not self._unfinished

    @contextmanager
    def _listening(self) -> Iterator[None]:
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {
            number: signal.signal(number, lambda heard, _: self._signals.append(heard))
            for number in numbers
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _turn(self) -> bool:
        """Do what there is to do, and tell whether there will be more."""
        self.turned = now = time.monotonic()
        while self._signals:
            self._obey(self._signals.popleft())
        for child in [*self.workers.children, *self.relay.children]:
            child.read()
        ended = self.workers.tend()
        self._refuse_with_the_first([*self.workers.children, *ended])
        if self.workers.stopping:  # one that never was ready had no job
            self._unfinished |= any(child.ready and child.exit_code for child in ended)
        self.relay.tend()
        self._say_when_ready()
        if now >= self._next_look:
            self._next_look = now + LOOK
            self._decide(now)
        return not self._is_over(now)

    def _wait_for_news(self) -> None:
        children = [*self.workers.children, *self.relay.children]
        select.select([child.socket for child in children if not child.silent], [], [], TURN)

    def _start_worker(self) -> Child:
        arguments = ["--single", f"--threads={self.options.policy.threads}"]
        if self.options.queues:
            arguments += ["--queues", *self.options.queues]
        return Child(command_line("run_workers", arguments, self.options.shared))

    def _start_relay(self) -> Child:
        return Child(command_line("run_relay", [], self.options.shared))

    def _lost(self, kind: str) -> Callable[..., None]:
        return lambda child, restarts: accidents.report(kind, child, restarts, self.say)

    def _refuse_with_the_first(self, children: list[Child]) -> None:
        refusal = next((child.refusal for child in children if child.refusal), "")
        if refusal and not self._was_ready:
            raise accidents.Refused(refusal)

    def _say_when_ready(self) -> None:
        if self._was_ready or len(self.workers.ready) < self.options.policy.minimum:
            return
        self._was_ready = True
        self.say("Ready. Stop with Ctrl-C or SIGTERM.")

    def _decide(self, now: float) -> None:
        if not self.workers.stopping:
            limits.outdate_what_outgrew(self.workers, self.options, self.say)
            self._scale_to(decide(self.scale, self._load(), self.options.policy, now))
        self.figures = self._figures()
        announce(self.figures)

    def _scale_to(self, scale: Scale) -> None:
        before, self.scale = self.scale.processes, scale
        if scale.processes == before:
            return
        self.workers.wanted = scale.processes
        latency = self.figures.latency
        waits = "" if latency is None else f"; the oldest waiting job has waited {latency:.1f} s"
        self.say(f"{before} -> {scale.processes} processes{waits}.")
        direction = "up" if scale.processes > before else "down"
        WORKERS_SCALED.emit(direction=direction, processes=scale.processes, latency=latency)

    def _load(self) -> Load | None:
        """Return what to decide on, None while it cannot be seen."""
        used = self.usage.of(self.workers.children)
        waiting, rows = self.broker.seen(FRESH), self.rows.seen(FRESH)
        if waiting is None or rows is None:
            return None
        taken = Figures({name: s for name, s in waiting.items() if name not in rows.paused})
        held = sum(child.report.held for child in self.workers.staying)
        return Load(
            waited=taken.latency,
            waiting=(taken.depth or 0) + held,
            running=used.running,
            rate=used.rate,
            cpu=used.cpu,
            cores=self.cores,
            starting=self.workers.starting,
        )

    def _look_at_broker(self) -> dict[str, QueueStats]:
        queues = {queue for child in self.workers.ready for queue in child.queues}
        return queues_waiting(sorted(queues))

    def _figures(self) -> Figures:
        return Figures(
            queues=self.broker.seen(FRESH),
            rows=self.rows.seen(FRESH),
            ready=len(self.workers.ready),
            starting=self.workers.starting,
            draining=len(self.workers.children) - len(self.workers.staying),
            wanted=self.workers.wanted,
            running=sum(child.report.running for child in self.workers.children),
            threads=self.options.policy.threads,
            stopping=self.workers.stopping,
        )

    def _obey(self, number: int) -> None:
        if number == signal.SIGHUP and not self._terminal_is_gone():
            self.say("Replacing every process, one at a time.")
            self.workers.outdate(self.workers.staying)
            self.relay.outdate(self.relay.staying)
        elif not self.workers.stopping:
            self._stop()
        elif number == signal.SIGINT:
            self._cut_short = True
            self._end_all()

    def _terminal_is_gone(self) -> bool:
        return self._on_terminal and not sys.stdout.isatty()

    def _stop(self) -> None:
        self.say("Stopping: running jobs may finish; none is begun.")
        self._deadline = time.monotonic() + settings.DRAIN_SECONDS + LATE
        self._drain_all()
        self.figures = self._figures()

    def _is_over(self, now: float) -> bool:
        if not self.workers.stopping:
            return False
        if now > self._deadline and not self._cut_short:
            self._unfinished |= bool(self.workers.children)
            self._end_all()
        return not (self.workers.children or self.relay.children)

    def _drain_all(self) -> None:
        self.workers.stop()
        self.relay.stop()

    def _end_all(self) -> None:
        self.workers.kill()
        self.relay.kill()
