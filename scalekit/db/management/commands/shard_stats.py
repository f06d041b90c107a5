from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from django.template.defaultfilters import filesizeformat

from scalekit.core.teaching import TeachingCommand
from scalekit.db.sharding.migrating.shards import groups_of
from scalekit.db.sharding.statistics.fullness import Fullness, Size, skew
from scalekit.db.sharding.statistics.reading import fullness_of

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(TeachingCommand):
    help = (
        "Show how full the shards are: rows and bytes, table by table.\n\n"
        "Rows are estimates of PostgreSQL's statistics, which cost nothing; --exact counts them, which reads whole\n"
        "tables. Bytes include indexes. Skew is the fullest shard over the mean: 1.00 if all are alike."
    )
    examples = (
        "examples:\n"
        "  manage.py shard_stats\n"
        "  manage.py shard_stats --group users --exact\n"
        "  manage.py shard_stats --json            for programs\n\n"
        "Exits with 1 if a shard does not answer; the others are shown all the same."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--group", help="only this shard group")
        parser.add_argument("--exact", action="store_true", help="count the rows")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def act(self, *, group: str | None, exact: bool, **options: Any) -> None:
        groups = {name: fullness_of(name, exact=exact) for name in groups_of(group)}
        if options["json"]:
            self.print_json({name: _as_json(shards) for name, shards in groups.items()})
        else:
            for name, shards in groups.items():
                self._show(name, shards)
        if any(shard.error for shards in groups.values() for shard in shards):
            sys.exit(1)

    def _show(self, group: str, shards: list[Fullness]) -> None:
        width = max(len(shard.alias) for shard in shards)
        self.stdout.write(self.style.MIGRATE_HEADING(f"{group}{_skews(shards)}"))
        for shard in shards:
            alias = shard.alias.ljust(width)
            if shard.error:
                self.stdout.write(self.style.ERROR(f"  {alias}  {shard.error}"))
            else:
                share = self._share(shard.total, [each.total for each in shards])
                self.stdout.write(
                    f"  {alias}  {shard.slots:>4} slots  {_amount(shard.total)}  {share}"
                )
        for table in dict.fromkeys(table for shard in shards for table in shard.tables):
            self.stdout.write(f"  {table}")
            sizes = {shard.alias: shard.tables[table] for shard in shards if table in shard.tables}
            for name, size in sizes.items():
                share = self._share(size, list(sizes.values()))
                self.stdout.write(f"    {name.ljust(width)}  {_amount(size)}  {share}")

    def _share(self, size: Size, of: list[Size]) -> str:
        """Return a bar that is full for the fullest."""
        return self.bar(size.rows / max(1, *(each.rows for each in of)))


def _amount(size: Size) -> str:
    stored = "" if size.bytes is None else filesizeformat(size.bytes)
    return f"{size.rows:>13,} rows  {stored:>9}"


def _skews(shards: list[Fullness]) -> str:
    found = _skew(shards)
    said = [f"{value:.2f} by {name}" for name, value in found.items() if value is not None]
    return f": skew {', '.join(said)}" if said else ""


def _skew(shards: list[Fullness]) -> dict[str, float | None]:
    totals = [shard.total for shard in shards if not shard.error]
    stored = [total.bytes or 0 for total in totals]
    return {"rows": skew([total.rows for total in totals]), "bytes": skew(stored)}


def _as_json(shards: list[Fullness]) -> dict[str, Any]:
    return {
        "skew": _skew(shards),
        "shards": {
            shard.alias: {"slots": shard.slots, "error": shard.error}
            if shard.error
            else {
                "slots": shard.slots,
                "rows": shard.total.rows,
                "bytes": shard.total.bytes,
                "tables": {
                    table: {"rows": size.rows, "bytes": size.bytes}
                    for table, size in shard.tables.items()
                },
            }
            for shard in shards
        },
    }
