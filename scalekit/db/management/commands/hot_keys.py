from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from scalekit.core.teaching import TeachingCommand
from scalekit.db.conf import settings
from scalekit.db.exceptions import KeyUnassigned, ShardKeyInvalid
from scalekit.db.sharding.hot_keys.summing import traffic_of
from scalekit.db.sharding.mapping.naming import groups_named, scheme_named

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from scalekit.db.sharding.base import ShardingScheme
    from scalekit.db.sharding.hot_keys.summing import Traffic

CLEAR = "\x1b[2J\x1b[H"
REDRAW = 5.0  # seconds


class Command(TeachingCommand):
    help = (
        "Show the shard keys that get the most traffic, added up over all processes.\n\n"
        "Each process counts the keys it looks up and stores its counts every SCALEKIT_DB_HOT_KEY_SECONDS."
    )
    examples = (
        "examples:\n"
        "  manage.py hot_keys                      the last window, every group\n"
        "  manage.py hot_keys --group users --top 20\n"
        "  manage.py hot_keys --watch              again and again, until Ctrl-C\n"
        "  manage.py hot_keys --json               for programs"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--group", help="Only this shard group.")
        parser.add_argument("--top", type=int, default=10, help="How many keys (default: 10).")
        parser.add_argument("--watch", action="store_true", help="Show it again and again.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def act(self, *, group: str | None, top: int, watch: bool, **options: Any) -> None:
        groups = groups_named(group)
        if not watch:
            self._print([traffic_of(name, top) for name in groups], as_json=options["json"])
            return
        try:
            while True:
                found = [traffic_of(name, top) for name in groups]
                if not options["json"]:
                    self.stdout.write(CLEAR, ending="")
                self._print(found, as_json=options["json"])
                self.stdout.flush()
                time.sleep(REDRAW)
        except KeyboardInterrupt:
            self.stdout.write("")

    def _print(self, found: list[Traffic], *, as_json: bool) -> None:
        if as_json:
            self.print_json([_as_json(traffic) for traffic in found])
            return
        for traffic in found:
            self._show(traffic)

    def _show(self, traffic: Traffic) -> None:
        head = f"{traffic.group}: {traffic.total} look-ups in {traffic.processes} processes"
        self.stdout.write(self.style.MIGRATE_HEADING(head))
        scheme = scheme_named(traffic.group)
        for key, count in traffic.keys:
            share = traffic.share(count)
            line = f"  {key[:36]:<36} {self.bar(share)} {share:>6.1%}  {_shard(scheme, key)}"
            hot = share > settings.HOT_KEY_SHARE
            self.stdout.write(self.style.WARNING(line) if hot else line)
        if not traffic.processes:
            self.stdout.write(
                f"  Nothing yet: a process stores its first window after {settings.HOT_KEY_SECONDS:g} s."
                if settings.HOT_KEYS
                else "  SCALEKIT_DB_HOT_KEYS is False, so nobody counts."
            )


def _shard(scheme: ShardingScheme, key: str) -> str:
    try:
        return scheme.shard_for(key)
    except (KeyUnassigned, ShardKeyInvalid):
        return "no shard"


def _as_json(traffic: Traffic) -> dict[str, Any]:
    return {
        "group": traffic.group,
        "processes": traffic.processes,
        "total": traffic.total,
        "keys": [
            {"key": key, "count": count, "share": round(traffic.share(count), 4)}
            for key, count in traffic.keys
        ],
    }
