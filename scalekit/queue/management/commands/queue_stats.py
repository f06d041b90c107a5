from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.utils.module_loading import autodiscover_modules

from scalekit.core.teaching import TeachingCommand
from scalekit.queue.management.teaching import ago, span_of
from scalekit.queue.statistics import QueueFigures, Statistics, queue_statistics

if TYPE_CHECKING:
    from argparse import ArgumentParser

CLEAR = "\x1b[2J\x1b[H"
COLUMNS = ("running", "later", "overdue", "dead")
SLOW = 60.0  # seconds of waiting that are worth a colour


class Command(TeachingCommand):
    help = (
        "Say how each queue is doing: what waits and for how long, what runs, what is due and not published, what is dead.\n\n"
        "  waiting   messages in the broker, of all lanes; oldest: how long the first of them has waited\n"
        "  running   jobs that a worker has\n"
        "  later     jobs that are due in the future: retries, run_after\n"
        "  overdue   jobs that are due and that nobody has published; does a relay run?\n"
        "  dead      manage.py dead_letters list"
    )
    examples = (
        "examples:\n"
        "  manage.py queue_stats\n"
        "  manage.py queue_stats --watch 2                    until Ctrl-C\n"
        "  manage.py queue_stats --json | jq '.queues[] | select(.overdue > 0)'\n"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
        parser.add_argument(
            "--watch", type=float, metavar="SECONDS", help="again every so many seconds"
        )

    def act(self, **options: Any) -> None:
        autodiscover_modules("tasks")  # for the queues of actors
        while True:
            found = queue_statistics()
            if options["watch"] and not options["json"]:
                self.stdout.write(CLEAR, ending="")
            self._print(found, as_json=options["json"])
            if not options["watch"]:
                return
            try:
                time.sleep(max(0.1, options["watch"]))
            except KeyboardInterrupt:
                return

    def _print(self, found: Statistics, *, as_json: bool) -> None:
        if as_json:
            queues = [figures.as_json for figures in found.queues]
            self.print_json({"queues": queues, "trouble": found.trouble})
            return
        width = max([5, *(len(f.queue) for f in found.queues)])
        columns = "".join(f"{name:>9}" for name in COLUMNS)
        heading = f"{'queue':<{width}}  {'waiting':<40}{'oldest':>8}{columns}"
        self.stdout.write(self.style.MIGRATE_HEADING(heading))
        longest = max([1, *(f.ready or 0 for f in found.queues)])
        for figures in found.queues:
            self.stdout.write(self._line(figures, width, longest))
        if not found.queues:
            self.stdout.write("No queue: TASKS names none, and there is no job.")
        if found.trouble:
            self.stdout.write(self.style.ERROR(f"The broker was not asked: {found.trouble}"))

    def _line(self, figures: QueueFigures, width: int, longest: int) -> str:
        ready = "?" if figures.ready is None else str(figures.ready)
        line = f"{figures.queue:<{width}}  {self.bar((figures.ready or 0) / longest)} {ready:<9}"
        line += self._oldest(figures.waited)
        for name in COLUMNS:
            count = f"{getattr(figures, name):>9}"
            is_bad = name in {"overdue", "dead"} and getattr(figures, name)
            line += self.style.ERROR(count) if is_bad else count
        if figures.paused_since:
            by = f" by {figures.paused_by}" if figures.paused_by else ""
            line += self.style.WARNING(f"  paused {ago(figures.paused_since)} ago{by}")
        return line

    def _oldest(self, waited: float | None) -> str:
        text = f"{'-' if waited is None else span_of(waited):>8}"
        return self.style.WARNING(text) if waited is not None and waited > SLOW else text
