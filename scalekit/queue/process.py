"""One worker process, from its start to its end."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from scalekit.queue.conf import settings
from scalekit.queue.gate import Gate
from scalekit.queue.middleware.tally import Tally
from scalekit.queue.pausing import PauseWatch
from scalekit.queue.stopping import StopOrder
from scalekit.queue.supervisor.link import RETIRE
from scalekit.queue.workers import QueueWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scalekit.queue.brokers.base import QueueBroker
    from scalekit.queue.supervisor.link import Link

INTERRUPTED = 130  # what a shell reports for Ctrl-C
REPORT = 0.5  # seconds between two reports to the supervisor


class WorkerProcess:
    """Threads that run jobs until this process is told to stop; then they finish what they have begun.

    A second Ctrl-C ends the process at once; its jobs are run again by another worker. A supervisor may also
    let it retire: then its jobs have all the time they need.
    """

    def __init__(
        self,
        broker: QueueBroker,
        queues: Iterable[str],
        threads: int,
        link: Link | None = None,
    ) -> None:
        self.broker, self.queues, self.link = broker, sorted(queues), link
        self.gate = Gate()
        self.worker = QueueWorker(broker, self.queues, threads, self.gate)
        self.tally = Tally(self.worker.appetite.ended)
        self._stop = StopOrder()
        self._deadline = math.inf

    def run(self, started: Callable[[], object], draining: Callable[[], object]) -> bool:
        """Run until SIGTERM or SIGINT; tell whether every job had finished within the drain time."""
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        watch = PauseWatch(self.gate)
        try:
            self.broker.add_middleware(self.tally)
            self.broker.emit_after("process_boot")
            watch.start()
            self.worker.start()
            self._report_for_life()
            started()
            self._stop.wait()
            draining()
            return self.worker.drain(lambda: time.monotonic() < self._deadline)
        finally:
            watch.stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: Any) -> None:
        if number == signal.SIGINT and self._deadline < math.inf:
            sys.stdout.flush()
            os._exit(INTERRUPTED)
        self._stop_in_time()

    def _stop_in_time(self) -> None:
        """Stop within the drain time, which is not begun anew."""
        self._deadline = min(self._deadline, time.monotonic() + settings.DRAIN_SECONDS)
        self._stop.give()

    def _on_word(self, word: str) -> None:
        if word == RETIRE:
            self._stop.give()
        else:
            self._stop_in_time()

    def _report_for_life(self) -> None:
        if self.link is None:
            return
        self.link.listen(self._on_word)
        self.link.tell(ready=True, queues=self.queues)
        threading.Thread(target=self._report, name="reports", daemon=True).start()

    def _report(self) -> None:
        while self.link is not None:
            self.link.tell(
                **self.tally.read(),
                at=time.monotonic(),
                held=self.worker.held,
                cpu=time.process_time(),
            )
            time.sleep(REPORT)


_SIGNALS = (signal.SIGTERM, signal.SIGINT)
