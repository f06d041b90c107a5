from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING, Any

from scalekit.sessions.management.teaching import SessionsCommand

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from scalekit.sessions.stores.base import Store


class Command(SessionsCommand):
    help = (
        "Remove expired sessions from the database, a batch at a time.\n\n"
        "Each batch is a short transaction of its own: logins go on meanwhile, replicas keep up, and the command may be\n"
        "stopped and started again. Rows that somebody has locked are left for the next time. Redis forgets by itself."
    )
    examples = (
        "examples:\n"
        "  manage.py clear_expired_sessions --dry-run           how many there are\n"
        "  manage.py clear_expired_sessions                     from cron, once a day\n"
        "  manage.py clear_expired_sessions --pause 0.1         years of them, on a busy database\n"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count, and remove nothing")
        parser.add_argument(
            "--batch", type=int, default=1000, help="sessions a transaction (default 1000)"
        )
        parser.add_argument(
            "--pause", type=float, default=0, help="seconds to wait between batches (default 0)"
        )

    def act(self, store: Store, **options: Any) -> None:
        expired = store.count_expired()
        if options["dry_run"]:
            self.stdout.write(f"{expired} expired sessions would be removed.")
            return
        done = 0
        for removed in store.clear_expired(max(1, options["batch"])):
            done += removed
            if options["verbosity"] > 1 or done % 10_000 < removed:
                self.stdout.write(f"{done} of {max(done, expired)} removed")
            sleep(options["pause"])
        self.stdout.write(f"{done} expired sessions removed.")
