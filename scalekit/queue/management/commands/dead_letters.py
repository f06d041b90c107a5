from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core.management.base import CommandError
from django.utils.translation import ngettext

from scalekit.core.teaching import Formatter, TeachingCommand
from scalekit.queue import dead_letters
from scalekit.queue.conf import settings
from scalekit.queue.dead_letters import Search, reason_of
from scalekit.queue.management.teaching import (
    add_database,
    ago,
    moment,
    plain,
)

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Iterator

    from scalekit.queue.models import TaskRecord

FILTERS = ("ids", "task", "queue", "error", "since", "until")
SHOWN_REASONS = 5


class Command(TeachingCommand):
    help = (
        "See, run again or discard the jobs that have failed for good.\n\n"
        "A job is here when its retries are used up, when it killed its worker three times, or when its message could\n"
        "not be read. It stays until it is requeued, discarded, or its time to be kept is over."
    )
    examples = (
        "examples:\n"
        "  manage.py dead_letters list                                  the newest, with the reason\n"
        "  manage.py dead_letters list --task 'shop.mail.*' --since 2h  what broke since the deployment\n"
        "  manage.py dead_letters show 0199f3c2-...                     arguments, every attempt's traceback\n"
        "  manage.py dead_letters requeue --error TimeoutError --dry-run\n"
        "  manage.py dead_letters requeue --error TimeoutError          run them again, same ids\n"
        "  manage.py dead_letters discard --queue thumbnails --until 7d older than a week\n\n"
        "requeue and discard want an id, a filter or --all. They work in short transactions, beside running workers,\n"
        "and may be stopped and started again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for name, text in (
            ("list", "the newest dead letters, one a line"),
            ("show", "all that is known of one"),
            ("requeue", "run them again, with new retries; ids and history stay"),
            ("discard", "remove them for good"),
        ):
            action = actions.add_parser(
                name, help=text, description=text, formatter_class=Formatter
            )
            add_database(action)
            action.add_argument("--json", action="store_true", help="JSON, for programs")
            if name == "show":
                action.add_argument("ids", nargs=1, type=UUID, metavar="ID")
                continue
            _add_filters(action)
            if name == "list":
                action.add_argument(
                    "--limit", type=int, default=20, help="how many to show (default: 20)"
                )
            else:
                _add_safety(action)

    def act(self, **options: Any) -> None:
        action: str = options["action"]
        search = Search(**{name: options[name] for name in FILTERS if options.get(name)})
        if action == "list":
            self._list(search, options)
        elif action == "show":
            self._show(search, options)
        else:
            if search == Search() and not options["all"]:
                raise CommandError(f"Which? Give an id or a filter, or write {action} --all.")
            self._change(action, search, options)

    def _list(self, search: Search, options: dict[str, Any]) -> None:
        found = list(dead_letters.find(search, using=options["database"]))
        rows = [row for records in found for row in records[: options["limit"]]]
        if options["json"]:
            self.print_json([_summary(row) for row in rows])
            return
        for row in rows:
            failed = self.style.WARNING(f"{ago(row.finished_at):>4} ago")
            name = self.style.MIGRATE_HEADING(plain(row.path) or "unreadable")
            self.stdout.write(f"{row.pk}  {failed}  {plain(row.queue_name)}  {name}")
            self.stdout.write(f"    {self.style.ERROR(plain(reason_of(row)))}")
        count = sum(records.count() for records in found)
        self.stdout.write(f"{len(rows)} of {count} dead letters.")

    def _show(self, search: Search, options: dict[str, Any]) -> None:
        for records in dead_letters.find(search, using=options["database"]):
            for row in records:
                self._describe(row, as_json=options["json"])
                return
        raise CommandError(
            f"There is no dead letter {search.ids[0]}. It may have been run again, or forgotten."
        )

    def _describe(self, row: TaskRecord, *, as_json: bool) -> None:
        everything = {**_summary(row), "args": row.args, "kwargs": row.kwargs}
        everything |= {"workers": row.worker_ids, "errors": row.errors, "raw": row.raw}
        if as_json:
            self.print_json(everything)
            return
        errors = everything.pop("errors")
        for name, value in everything.items():
            if value not in ("", [], {}):
                self.stdout.write(f"{self.style.MIGRATE_HEADING(f'{name:<10}')}{plain(value)}")
        for number, error in enumerate(errors, 1):
            heading = f"\nattempt {number}: {error.get('exception_class_path', '')}"
            self.stdout.write(self.style.ERROR(plain(heading)))
            self.stdout.write(plain(error.get("traceback", "")).rstrip())

    def _change(self, action: str, search: Search, options: dict[str, Any]) -> None:
        found = list(dead_letters.find(search, using=options["database"]))
        total = sum(records.count() for records in found)
        if options["dry_run"]:
            self._report(action, total, {}, options, would="would be ")
            return
        if action == "discard" and options["interactive"] and not self._confirm(total):
            raise CommandError("Nothing was discarded.")
        act: Callable[..., Iterator[dead_letters.Batch]] = getattr(dead_letters, action)
        done, refused = 0, dict[UUID, str]()
        for batch in self.watched((b for records in found for b in act(records)), total):
            done += batch.done
            refused |= batch.refused
        self._report(action, done, refused, options)

    def _confirm(self, total: int) -> bool:
        answer = input(f"Remove {_letters(total)} for good? Type yes: ")
        return answer.strip().lower() == "yes"

    def _report(
        self,
        action: str,
        count: int,
        refused: dict[UUID, str],
        options: dict[str, Any],
        would: str = "",
    ) -> None:
        word = {"requeue": "requeued", "discard": "discarded"}[action]
        if options["json"]:
            left = {str(id_): why for id_, why in refused.items()}
            self.print_json({word: count, "dry_run": bool(would), "refused": left})
            return
        self.stdout.write(self.style.SUCCESS(f"{_letters(count)} {would}{word}."))
        for id_, why in list(refused.items())[:SHOWN_REASONS]:
            self.stdout.write(self.style.WARNING(f"{id_} was left: {why}."))
        if len(refused) > SHOWN_REASONS:
            self.stdout.write(
                f"... and {len(refused) - SHOWN_REASONS} more; --json lists all of them."
            )


def _letters(number: int) -> str:
    return ngettext("%d dead letter", "%d dead letters", number) % number


def _add_filters(parser: ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", type=UUID, metavar="ID", help="only these")
    parser.add_argument("--task", help="dotted path; 'shop.mail.*' for all that begin so")
    parser.add_argument("--queue", help="name of the queue")
    parser.add_argument(
        "--error", help="a word of the exception's path or of its traceback, of any attempt"
    )
    parser.add_argument(
        "--since", type=moment, help="failed at or after: 2h (ago), 7d, or 2026-01-31T18:00"
    )
    parser.add_argument("--until", type=moment, help="failed before, written likewise")


def _add_safety(parser: ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="all of them, without a filter")
    parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
    parser.add_argument(
        "--no-input", "--noinput", action="store_false", dest="interactive", help="ask nothing"
    )


def _summary(row: TaskRecord) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "task": row.path,
        "queue": row.queue_name,
        "database": row._state.db or settings.DATABASES[0],  # noqa: SLF001 - Django has no other name for it
        "enqueued": row.enqueued_at.isoformat(),
        "failed": row.finished_at.isoformat() if row.finished_at else "",
        "attempts": row.attempt,
        "deaths": row.deaths,
        "reason": reason_of(row),
    }
