from __future__ import annotations

import getpass
import os
import socket
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from scalekit.core.teaching import TeachingCommand
from scalekit.queue import pausing
from scalekit.queue.management.teaching import ago

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(TeachingCommand):
    help = (
        "Let no worker begin jobs of a queue, or let them again.\n\n"
        "Running jobs finish. What is enqueued meanwhile waits, in order; nothing is lost. Workers see it within seconds."
    )
    examples = (
        "examples:\n"
        "  manage.py pause_queue mail               the provider is down\n"
        "  manage.py pause_queue --list             what is paused, since when, by whom\n"
        "  manage.py pause_queue mail --resume\n"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("queues", nargs="*", metavar="QUEUE", help="the queues to pause")
        parser.add_argument("--resume", action="store_true", help="let them go on")
        parser.add_argument("--list", action="store_true", help="say what is paused")
        parser.add_argument("--by", help="who does it (default: you, on this machine)")
        parser.add_argument("--json", action="store_true", help="JSON, for programs")

    def act(self, **options: Any) -> None:
        queues: list[str] = options["queues"]
        if not queues and not options["list"]:
            raise CommandError("Which queue? Name one, or write pause_queue --list.")
        for queue in queues:
            changed = self._change(queue, resume=options["resume"], by=options["by"])
            if not options["json"]:
                self._say(queue, resume=options["resume"], changed=changed)
        if options["list"] or options["json"]:
            self._list(as_json=options["json"])

    def _change(self, queue: str, *, resume: bool, by: str | None) -> bool:
        if resume:
            return pausing.resume(queue)
        return pausing.pause(queue, by=by or _somebody())

    def _say(self, queue: str, *, resume: bool, changed: bool) -> None:
        if changed:
            self.stdout.write(
                self.style.SUCCESS(f"{queue} {'goes on' if resume else 'is paused'}.")
            )
        else:
            self.stdout.write(f"{queue} {'was not paused' if resume else 'is paused already'}.")

    def _list(self, *, as_json: bool) -> None:
        paused = pausing.paused()
        if as_json:
            self.print_json([{"queue": p.queue_name, "since": p.since, "by": p.by} for p in paused])
            return
        for row in paused:
            self.stdout.write(f"{row.queue_name}  paused {ago(row.since)} ago by {row.by or '?'}")
        if not paused:
            self.stdout.write("No queue is paused.")


def _somebody() -> str:
    """Return who runs this, and where; a container's user may have no name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"
