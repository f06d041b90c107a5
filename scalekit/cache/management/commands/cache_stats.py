from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Any

from django.core.cache import caches
from django.core.management.base import BaseCommand, CommandError

from scalekit.cache.conf import settings
from scalekit.cache.scanning import answering
from scalekit.cache.statistics.report import amount, function_reports, span, table
from scalekit.cache.statistics.sharing import gathered
from scalekit.cache.store import store_of

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

    from scalekit.cache.statistics.counting import Counts
    from scalekit.cache.statistics.report import FunctionReport

GOOD, POOR = 0.8, 0.5  # hit ratios
HEADS = ("function", "asked", "hits", "stale", "misses", "without", "loads", "failed", "a load")
EXPLAINED = """\
asked     calls, of all processes
hits      of which so many ran nothing: kept values, and those of another call that was loading
stale     of which so many got an old value while it was loaded again
misses    ran the function
without   ran it because the cache was down, or because their transaction had changed what it reads
a load    how long the function takes, on average

A low hit ratio with a short load: the cache may cost more than it saves. With a long one: a longer ttl, fewer
arguments in the key, or stale=.

Processes count when SCALEKIT_CACHE_STATISTICS names a cache. They share their counts every
SCALEKIT_CACHE_STATISTICS_SECONDS, and the server keeps them for a day.

  manage.py cache_stats                      the last hour
  manage.py cache_stats --minutes 10 --top 5
  manage.py cache_stats --json               for other programs
"""


class Command(BaseCommand):
    help = (
        "Show how well cached functions do, which keys are read most, and the state of the server."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog, parser.formatter_class = EXPLAINED, RawDescriptionHelpFormatter
        parser.add_argument(
            "--minutes", type=int, default=60, help="How far to look back, at most 1440; 60."
        )
        parser.add_argument("--top", type=int, default=10, help="How many keys to list; 10.")
        parser.add_argument("--json", action="store_true", help="Write JSON.")

    def handle(self, *_: Any, **options: Any) -> None:
        alias = settings.STATISTICS
        if alias not in caches.settings:
            known = ", ".join(caches.settings)
            raise CommandError(
                f"SCALEKIT_CACHE_STATISTICS = {alias!r}: nothing is counted. Name a Redis or Valkey of CACHES, which"
                f" has {known}."
            )
        client = getattr(store_of(alias).server, "client", None)
        if client is None:
            raise CommandError(
                f"CACHES[{alias!r}] is no Redis or Valkey, which alone can add up what processes count. Name one"
                " that is in SCALEKIT_CACHE_STATISTICS, or watch the events cache_read and cache_loaded."
            )
        try:
            with answering(alias):
                server = _server(client)
        except ConnectionError as error:
            raise CommandError(str(error)) from error
        counts = gathered(alias, min(options["minutes"], 1440))
        if options["json"]:
            self.stdout.write(json.dumps(_plain(counts, server, options["top"])))
        else:
            self._show(counts, server, options["top"])

    def _show(self, counts: Counts, server: dict[str, Any], top: int) -> None:
        reports = function_reports(counts)
        heads, *lines = table((*HEADS, "ratio"), [_row(report) for report in reports])
        self.stdout.write(self.style.MIGRATE_HEADING(heads))
        for line, report in zip(lines, reports, strict=True):
            self.stdout.write(self._coloured(line, report.hit_ratio))
        if not reports:
            self.stdout.write("Nothing was asked in this time.")
        for key, count in counts.keys.most_common(top):
            self.stdout.write(f"{count:>10}  {key}")
        self.stdout.write("")
        for line in _said(server):
            self.stdout.write(line)

    def _coloured(self, line: str, ratio: float | None) -> str:
        if ratio is None:
            return line
        style = self.style.SUCCESS if ratio >= GOOD else self.style.WARNING
        return style(line) if ratio >= POOR else self.style.ERROR(line)


def _row(report: FunctionReport) -> tuple[Any, ...]:
    reads, ratio = report.reads, report.hit_ratio
    without = reads.get("down", 0) + reads.get("bypassed", 0)
    return (
        report.function,
        report.asked,
        reads.get("hit", 0) + reads.get("joined", 0),
        reads.get("stale", 0),
        reads.get("miss", 0),
        without,
        report.loads,
        report.errors,
        span(report.load_seconds),
        "" if ratio is None else f"{ratio:.1%}",
    )


def _server(client: Any) -> dict[str, Any]:
    """Return what the server says of itself; of a cluster, its first node."""
    info = client.info()
    first: Any = next(iter(info.values()), {}) if isinstance(info, dict) else {}
    info = first if isinstance(first, dict) and "used_memory" in first else info
    names = ("used_memory", "maxmemory", "maxmemory_policy", "evicted_keys", "expired_keys")
    return {name: info.get(name, 0) for name in names}


def _said(server: dict[str, Any]) -> Iterator[str]:
    limit = amount(server["maxmemory"]) if server["maxmemory"] else "no limit"
    yield f"memory   {amount(server['used_memory'])} of {limit} ({server['maxmemory_policy']})"
    evicted = server["evicted_keys"]
    yield f"evicted  {evicted}" + (": values are lost before their time" if evicted else "")
    yield f"expired  {server['expired_keys']}"


def _plain(counts: Counts, server: dict[str, Any], top: int) -> dict[str, Any]:
    functions = [
        {
            "function": report.function,
            "reads": dict(report.reads),
            "hit_ratio": report.hit_ratio,
            "loads": report.loads,
            "failed": report.errors,
            "load_seconds": report.load_seconds,
        }
        for report in function_reports(counts)
    ]
    return {"functions": functions, "keys": dict(counts.keys.most_common(top)), "server": server}
