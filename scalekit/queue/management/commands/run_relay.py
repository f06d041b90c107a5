from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from scalekit.core.teaching import TeachingCommand
from scalekit.queue.conf import settings
from scalekit.queue.management.teaching import require_tables

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

HELP = """\
Publish the jobs that did not leave by themselves, and keep the queue in order.

A job is a row of the database first. It usually leaves right after the commit; what
did not (the web server died, the broker was down), what is due only now and what is to
be tried again is published by a relay. It also has lost jobs run again, fires cron,
collects the dead letters and forgets what is over.

run_workers starts one of these by itself. Run your own where the workers are on other
machines than you want this on; any number may run, none does the work of another."""

EXAMPLES = """\
examples:
    manage.py run_relay            until SIGTERM or Ctrl-C, then end within seconds
    manage.py run_relay --once     do all there is to do, and end (for tests, or a cron job)

It ends with 0, and with 1 if something could not be done with --once. What it is doing
shows in the events queue_relayed, queue_duty_done and queue_duty_failed, and in the log
"scalekit.queue"."""


class Command(TeachingCommand):
    help = HELP
    examples = EXAMPLES

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="Do each duty until nothing is left, and end."
        )

    def act(self, **options: Any) -> None:
        from scalekit.queue.brokers import default_broker
        from scalekit.queue.relaying import RelayProcess, do_all_once
        from scalekit.queue.supervisor.link import follow_supervisor
        from scalekit.queue.workers import declare

        broker = default_broker()
        require_tables()
        declare(broker)
        self._say(f"Relaying from {', '.join(settings.DATABASES)} to {broker.where}.")
        if options["once"]:
            if not do_all_once():
                raise CommandError("Something could not be done; the log says what.")
            return
        process = RelayProcess()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: process.stop())
        if not follow_supervisor(process.stop):
            self._say("Ready. Stop with Ctrl-C or SIGTERM.")
        process.run()
        self._say("Stopped.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
