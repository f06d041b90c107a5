from __future__ import annotations

from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, DjangoHelpFormatter

from scalekit.core.exceptions import ScalekitError
from scalekit.queue.conf import settings

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from scalekit.queue.brokers.base import QueueBroker

HELP = """\
Run queued tasks and actors, in the foreground, until told to stop.

Every app's tasks.py is imported; the queues are those of TASKS and of the actors
found there. Start one such process for each core, on as many machines as you like:

    manage.py run_workers                       8 threads on every queue
    manage.py run_workers --threads 2           for work that keeps a core busy
    manage.py run_workers --queues mail slow    only these queues

SIGTERM or Ctrl-C: no new job is begun, running ones get SCALEKIT_QUEUE_DRAIN_SECONDS
to finish, then the process ends with 0, or with 1 if one did not finish; such a job is
run again by another worker. A second Ctrl-C ends it at once."""


class _Formatter(RawDescriptionHelpFormatter, DjangoHelpFormatter):
    """Keep the lines of the description as they are."""


class Command(BaseCommand):
    help = HELP

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, **{"formatter_class": _Formatter, **kwargs}
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--threads",
            type=_count,
            default=8,
            help="Jobs run at the same time in this process (default: 8).",
        )
        parser.add_argument(
            "--queues", nargs="+", metavar="QUEUE", help="Run only these queues (default: all)."
        )

    def handle(self, *, threads: int, queues: list[str] | None, **_: Any) -> None:
        broker = self._reach_broker()
        from scalekit.queue.workers import WorkerProcess

        chosen = self._choose(broker, queues)
        self._say(f"Running {', '.join(sorted(chosen))} of {broker.where} in {threads} threads.")
        process = WorkerProcess(broker, chosen, threads)
        finished = process.run(
            started=lambda: self._say("Ready. Stop with Ctrl-C or SIGTERM."),
            draining=lambda: self._say("Stopping: running jobs may finish; none is begun."),
        )
        if not finished:
            raise CommandError(
                f"Jobs were still running after {settings.DRAIN_SECONDS:g} s; "
                f"another worker will run them again."
            )
        self._say("Stopped; every job begun here has finished.")

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
        try:
            from scalekit.queue.brokers import default_broker

            broker = default_broker()
            broker.ping()
        except (ImportError, ScalekitError) as error:
            raise CommandError(str(error)) from error
        return broker

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _count(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise ArgumentTypeError(f"{value} is no number of threads; the least is 1.")
    return int(value)
