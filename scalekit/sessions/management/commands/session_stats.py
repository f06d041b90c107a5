from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from scalekit.sessions.management.teaching import SessionsCommand

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from scalekit.sessions.stores.base import Store


class Command(SessionsCommand):
    help = "Say how many sessions and logged-in users there are, and how the store is doing."
    examples = (
        "examples:\n"
        "  manage.py session_stats\n"
        "  manage.py session_stats --json | jq .sessions\n\n"
        "Counting reads the whole table, or scans the whole Redis: it blocks nobody, and takes a while.\n"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object, for programs")

    def act(self, store: Store, **options: Any) -> None:
        figures = store.statistics()
        if options["json"]:
            self.stdout.write(json.dumps(figures))
            return
        for name, value in figures.items():
            self.stdout.write(f"{name.replace('_', ' '):<20}{value}")
