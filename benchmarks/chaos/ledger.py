"""What was ordered, what was run and what came of it, in the database of a site under test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.queue_peers.jobs import STUMBLES

TABLES = Path(__file__).with_name("ledger.sql").read_text()
COUNTS = Path(__file__).with_name("counts.sql").read_text()


@dataclass(frozen=True, slots=True)
class Counts:
    orders: int  # committed, so each is owed one job
    lost: int  # orders without an effect
    runs: int  # jobs that were begun
    effects: int
    unordered: int  # effects of orders that were rolled back
    slowest: float  # seconds from an order to its first effect


class Ledger:
    def __init__(self, access):
        self.access = access

    def open(self):
        for statement in filter(str.strip, TABLES.split(";")):
            self.access.execute(statement)

    def clear(self):
        self.access.execute("TRUNCATE chaos_order, chaos_run, chaos_effect")

    def counts(self):
        *numbers, slowest = self.access.execute(COUNTS)[0]
        return Counts(*numbers, slowest.total_seconds())


def stumbles(first, end):
    """Return how many of these jobs raise once, and so are run once more on purpose."""
    return sum(number % STUMBLES == 0 for number in range(first, end))
