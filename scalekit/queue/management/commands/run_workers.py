from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from scalekit.core.teaching import TeachingCommand
from scalekit.queue.conf import settings
from scalekit.queue.management.teaching import require_tables
from scalekit.queue.pools import PoolTooSmall, check_pools
from scalekit.queue.supervisor.link import Link
from scalekit.queue.supervisor.options import ARGUMENTS, read

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from scalekit.queue.brokers.base import QueueBroker

HELP = """\
Run queued tasks and actors, in the foreground, until told to stop.

Every app's tasks.py is imported; the queues are those of TASKS and of the actors
found there. One such command a machine is all there is to run: it starts worker
processes, as many as it takes, and a relay, and replaces those that die.

    manage.py run_workers                       one process of 8 threads, on every queue
    manage.py run_workers --max 4               up to 4 processes, while jobs wait longer
                                                than 5 s (--target-latency)
    manage.py run_workers --threads 2           for work that keeps a core busy
    manage.py run_workers --queues mail slow    only these queues

SIGTERM or Ctrl-C: no new job is begun, running ones get SCALEKIT_QUEUE_DRAIN_SECONDS
to finish, then the command ends with 0, or with 1 if one did not finish; such a job is
run again by another worker. A second Ctrl-C ends it at once, with 130. SIGHUP: every
process is replaced by one with the code as it is now, one at a time; no job is cut off."""

UNFINISHED = "Jobs were still running after {:g} s; another worker will run them again."
FINISHED = "Stopped; every job begun here has finished."
INTERRUPTED = 130  # what a shell reports for Ctrl-C


class Command(TeachingCommand):
    help = HELP

    def add_arguments(self, parser: CommandParser) -> None:
        for name, options in ARGUMENTS.items():
            parser.add_argument(name, **options)

    def act(self, **given: Any) -> None:
        broker = self._reach_broker()
        link = Link.to_supervisor() if given["single"] else None
        if link is None:
            require_tables()
        if given["single"]:
            self._work(broker, given, link)
        else:
            self._supervise(broker, given)

    def _supervise(self, broker: QueueBroker, given: dict[str, Any]) -> None:
        from scalekit.queue.supervisor.probes import serve
        from scalekit.queue.supervisor.supervisor import Supervisor

        options = read(given)
        self._say(f"Running jobs of {broker.where} in {options.size}.")
        supervisor = Supervisor(options, self._say)
        if options.health is not None:
            self._say(f"Probes are answered on port {serve(options.health, supervisor.look)}.")
        finished = supervisor.run()
        if finished is None:
            sys.exit(INTERRUPTED)
        self._end(finished=finished)

    def _work(self, broker: QueueBroker, given: dict[str, Any], link: Link | None) -> None:
        from scalekit.queue.process import WorkerProcess

        say = self._say if link is None else lambda _line: None
        try:
            check_pools(given["threads"])
            chosen = self._choose(broker, given["queues"])
        except (CommandError, PoolTooSmall) as refusal:
            if link is None:
                raise
            link.tell(refused=str(refusal))
            sys.exit(1)
        threads = given["threads"]
        say(f"Running {', '.join(sorted(chosen))} of {broker.where} in {threads} threads.")
        finished = WorkerProcess(broker, chosen, threads, link).run(
            started=lambda: say("Ready. Stop with Ctrl-C or SIGTERM."),
            draining=lambda: say("Stopping: running jobs may finish; none is begun."),
        )
        if link is not None:
            sys.exit(0 if finished else 1)
        self._end(finished=finished)

    def _end(self, *, finished: bool) -> None:
        if not finished:
            raise CommandError(UNFINISHED.format(settings.DRAIN_SECONDS))
        self._say(FINISHED)

    def _choose(self, broker: QueueBroker, queues: list[str] | None) -> set[str]:
        from scalekit.queue.workers import any_queue_is_valid, declare

        known = declare(broker)
        if not known:
            raise CommandError(
                "There is no queue: TASKS has no backend of scalekit.queue, and no actor is declared."
            )
        unknown = set(queues or ()) - known
        if unknown and not any_queue_is_valid():
            raise CommandError(
                f"There is no queue {', '.join(sorted(unknown))}. Known are {', '.join(sorted(known))}; "
                f"a new one goes into QUEUES of TASKS, or is named by an actor."
            )
        return set(queues or known)

    def _reach_broker(self) -> QueueBroker:
        from scalekit.queue.brokers import default_broker

        broker = default_broker()
        broker.ping()
        return broker

    def _say(self, line: str) -> None:
        with suppress(OSError):  # a terminal that is gone must not end what runs
            self.stdout.write(line)
            self.stdout.flush()
