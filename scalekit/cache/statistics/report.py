"""What was counted, as people read it. Free of Django."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scalekit.cache.statistics.counting import Counts

_HITS = frozenset({"hit", "stale", "joined"})  # answered without running the function


@dataclass(frozen=True, slots=True)
class FunctionReport:
    """One cached function: `reads` by result, how often it `loads` and fails, and the mean seconds of a load."""

    function: str
    reads: Mapping[str, int]
    loads: int
    errors: int
    load_seconds: float

    @property
    def asked(self) -> int:
        return sum(self.reads.values())

    @property
    def hit_ratio(self) -> float | None:
        """The share of reads that ran nothing; None if there were none."""
        hits = sum(count for result, count in self.reads.items() if result in _HITS)
        return hits / self.asked if self.asked else None


def function_reports(counts: Counts) -> list[FunctionReport]:
    """Return the functions, those that were asked most first."""
    reads: dict[str, Counter[str]] = {}
    for (function, result), count in counts.reads.items():
        reads.setdefault(function, Counter())[result] += count
    names = {*reads, *(function for function, _ in counts.loads)}
    reports = [_report(name, reads.get(name, Counter()), counts) for name in names]
    return sorted(reports, key=lambda report: (-report.asked, report.function))


def _report(name: str, reads: Counter[str], counts: Counts) -> FunctionReport:
    good, bad = counts.loads[name, "ok"], counts.loads[name, "error"]
    loads = good + bad
    mean = counts.seconds[name] / loads if loads else 0.0
    return FunctionReport(name, dict(reads), loads, bad, mean)


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return lines of columns: the first to the left, numbers to the right."""
    texts = [list(map(str, row)) for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])],
        ).rstrip()
        for row in texts
    ]


def amount(size: float) -> str:
    """Return bytes as people write them: 1.5 MB."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:  # noqa: PLR2004 - SI
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def span(seconds: float) -> str:
    """Return seconds as people write them: 1.5 ms."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.1f} ms"
