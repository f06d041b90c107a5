from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from scalekit.core.teaching import TeachingCommand
from scalekit.queue.conf import settings
from scalekit.queue.cron.entries import Entry, entries, read_entry
from scalekit.queue.cron.listing import Listed, listed

if TYPE_CHECKING:
    from argparse import ArgumentParser

NEXT = 3


class Command(TeachingCommand):
    help = (
        "List what SCALEKIT_QUEUE_CRON enqueues, when it is due next and when it last was, or run an entry now.\n\n"
        "Times are those of the entry's TIME_ZONE. A job run by hand is no slot: the next one fires all the same."
    )
    examples = (
        "examples:\n"
        "  manage.py cron                       all entries\n"
        "  manage.py cron --next 10             with more times: look at the night the clocks change\n"
        "  manage.py cron --run nightly         enqueue it now\n"
        "  manage.py cron --json | jq '.[].next[0]'\n\n"
        "Entries are fired by the relay: manage.py run_workers starts one, or manage.py run_relay alone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--run", metavar="NAME", help="enqueue this entry's job now")
        parser.add_argument(
            "--next", type=int, default=NEXT, help=f"how many times to show (default: {NEXT})"
        )
        parser.add_argument("--json", action="store_true", help="JSON, for programs")

    def act(self, **options: Any) -> None:
        if options["run"] is not None:
            self._run(options["run"], as_json=options["json"])
        elif options["json"]:
            self.print_json([_as_json(one, options["next"]) for one in listed(entries())])
        else:
            self._list(options["next"])

    def _run(self, name: str, *, as_json: bool) -> None:
        if name not in settings.CRON:
            known = ", ".join(sorted(settings.CRON)) or "none"
            raise CommandError(f"There is no entry {name!r}. Known are: {known}.")
        entry = read_entry(name, settings.CRON[name])
        job = entry.enqueue()
        if as_json:
            self.print_json({"entry": name, "task": entry.task, "id": job})
        else:
            self.stdout.write(self.style.SUCCESS(f"Enqueued {entry.task} as {job}."))

    def _list(self, count: int) -> None:
        found = listed(entries())
        for one in found:
            entry = one.entry
            self.stdout.write(self.style.MIGRATE_HEADING(entry.name) + f"  {entry.task}")
            self.stdout.write(f"    when  {entry.schedule}")
            for word, due_at in zip(["next"] + [""] * count, _next(one, count), strict=False):
                self.stdout.write(f"    {word:<4}  {_local(entry, due_at)}")
            self.stdout.write(f"    last  {self._last(one)}")
        if not found:
            self.stdout.write(
                'No entry. Write for example SCALEKIT_QUEUE_CRON = {"nightly": '
                '{"TASK": "shop.tasks.nightly", "CRON": "0 3 * * *"}}.'
            )

    def _last(self, one: Listed) -> str:
        if one.slot is None:
            return "never"
        styles = {"FAILED": self.style.ERROR, "SUCCESSFUL": self.style.SUCCESS}
        status = styles.get(one.status, str)(one.status.lower() or "its record is gone")
        return f"{_local(one.entry, one.slot.due_at)}  {status}  {one.slot.job}"


def _next(one: Listed, count: int) -> list[Any]:
    return list(islice(one.entry.schedule.after(one.now), max(1, count)))


def _local(entry: Entry, moment: Any) -> str:
    return f"{moment.astimezone(entry.schedule.zone):%a %Y-%m-%d %H:%M %Z}"


def _as_json(one: Listed, count: int) -> dict[str, Any]:
    entry, slot = one.entry, one.slot
    return {
        "entry": entry.name,
        "task": entry.task,
        "cron": entry.schedule.expression,
        "time_zone": entry.schedule.zone.key,
        "next": [due_at.isoformat() for due_at in _next(one, count)],
        "last": slot and {"due": slot.due_at.isoformat(), "job": str(slot.job)},
        "status": one.status,
    }
