"""From what workers report of themselves to how busy they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scalekit.queue.supervisor.child import Child, Report


@dataclass(frozen=True, slots=True)
class Rates:
    """Of one process between two reports: threads that were busy, jobs a second, cores in use."""

    running: float = 0.0
    rate: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Rates) -> Rates:
        return Rates(self.running + other.running, self.rate + other.rate, self.cpu + other.cpu)


class Usage:
    """Remembers each process's last report, and what followed from it."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[Report, Rates]] = {}

    def of(self, children: Iterable[Child]) -> Rates:
        """Return the sum over `children`, and forget all others."""
        self._last = {child.pid: self._next(child) for child in children if child.report.at}
        return sum((rates for _, rates in self._last.values()), Rates())

    def _next(self, child: Child) -> tuple[Report, Rates]:
        now = child.report
        before, rates = self._last.get(child.pid, (now, Rates(running=now.running)))
        if now.at > before.at:
            rates = rates_between(before, now)
        return now, rates


def rates_between(before: Report, now: Report) -> Rates:
    """Return what a process did between two reports."""
    passed = now.at - before.at
    return Rates(
        (now.busy - before.busy) / passed,
        (now.done - before.done) / passed,
        (now.cpu - before.cpu) / passed,
    )
