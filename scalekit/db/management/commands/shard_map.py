from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from scalekit.core.teaching import Formatter, TeachingCommand
from scalekit.db.sharding.mapping.assigning import (
    assign_key,
    assign_slots,
    init_map,
    split_range,
)
from scalekit.db.sharding.mapping.naming import groups_named, scheme_named, slots_named
from scalekit.db.sharding.mapping.showing import described, spans

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from scalekit.db.sharding.base import ShardingScheme

LONGEST_SPANS = 60  # characters of a shard's slots that are shown without --json


class Command(TeachingCommand):
    help = (
        "Look at the stored slot map of a shard group, and change it.\n\n"
        "The map says which shard holds which slots. It lives on the default database: from its first version\n"
        "on it decides, and no longer the order of shards in SCALEKIT_DB_SHARDING."
    )
    examples = (
        "examples:\n"
        "  manage.py shard_map show                           every group: slots and keys of each shard\n"
        "  manage.py shard_map init users                     store what the setting says, as version 1\n"
        "  manage.py shard_map assign users shard_2 --slots 0-99,200 --dry-run\n"
        "  manage.py shard_map assign users shard_2 --key 7   a shard of its own for the key 7\n"
        "  manage.py shard_map split users 5000               cut the range of Ranges that 5000 lies in\n\n"
        "assign moves no rows: it says where they are from now on. Use it for slots and keys that have none yet,\n"
        "or whose rows are there already."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        show = actions.add_parser("show", help="show the map", formatter_class=Formatter)
        show.add_argument("group", nargs="?", help="the shard group (default: all)")
        show.add_argument("--json", action="store_true", help="print JSON")
        init = actions.add_parser("init", help="store the first version", formatter_class=Formatter)
        init.add_argument("group", nargs="?", help="the shard group (default: all)")
        assign = actions.add_parser(
            "assign", help="say where slots or a key are", formatter_class=Formatter
        )
        assign.add_argument("group", help="the shard group")
        assign.add_argument("shard", help="the alias of the shard")
        what = assign.add_mutually_exclusive_group(required=True)
        what.add_argument("--slots", help="slots, as in 0-99,200; of Ranges, numbers of ranges")
        what.add_argument("--key", help="one shard key, as in 7")
        split = actions.add_parser("split", help="cut a range in two", formatter_class=Formatter)
        split.add_argument("group", help="the shard group")
        split.add_argument("boundary", help="the key at which the second part begins")
        for action in (init, assign, split):
            action.add_argument("--dry-run", action="store_true", help="say what would be done")
        for action in (assign, split):
            action.add_argument(
                "--expect",
                type=int,
                metavar="VERSION",
                help="refuse if the map has another version",
            )
        assign.add_argument("--yes", action="store_true", help="do not ask")

    def act(self, *, action: str, **options: Any) -> None:
        getattr(self, f"_{action}")(options)

    def _show(self, options: dict[str, Any]) -> None:
        maps = [described(scheme_named(group)) for group in groups_named(options["group"])]
        if options["json"]:
            self.print_json(maps)
            return
        for found in maps:
            self._show_one(found)
        if not maps:
            self.stdout.write("SCALEKIT_DB_SHARDING has no shard group.")

    def _show_one(self, found: dict[str, Any]) -> None:
        stored = f"version {found['version']}" if found["version"] else "not stored yet"
        not_live = "" if found["live"] else ", its rows still lie unsharded"
        self.stdout.write(
            self.style.MIGRATE_HEADING(f"{found['group']}: {found['scheme']}, {stored}{not_live}")
        )
        unit = "ranges" if found["boundaries"] else "slots"
        for alias, shard in found["shards"].items():
            which = shard["ranges"]
            which = which if len(which) <= LONGEST_SPANS else f"{which[:LONGEST_SPANS]}..."
            keys = f", {shard['keys']} keys of its own" if shard["keys"] else ""
            self.stdout.write(
                f"  {alias:<20} {self.bar(shard['share'])} {shard['slots']:>5} {unit}{keys}  {which}"
            )

    def _init(self, options: dict[str, Any]) -> None:
        for group in groups_named(options["group"]):
            if options["dry_run"]:
                version = scheme_named(group).map.version
                word = (
                    f"is stored, version {version}" if version else "would be stored, as version 1"
                )
            else:
                word = f"is stored, version {init_map(group).version}"
            self.stdout.write(f"{group}: the map {word}.")

    def _assign(self, options: dict[str, Any]) -> None:
        scheme = scheme_named(options["group"])
        version = scheme.map.version if options["expect"] is None else options["expect"]
        plan = self._plan(scheme, options)
        if options["dry_run"]:
            self.stdout.write(f"Would assign {plan}, as version {version + 1}.")
            return
        self._confirm(plan, yes=options["yes"])
        if options["key"] is None:
            slots = dict.fromkeys(slots_named(options["slots"]), options["shard"])
            new = assign_slots(scheme.alias, slots, version)
        else:
            new = assign_key(scheme.alias, options["key"], options["shard"], version)
        self.stdout.write(self.style.SUCCESS(f"Assigned {plan}: version {new}."))

    def _plan(self, scheme: ShardingScheme, options: dict[str, Any]) -> str:
        if options["key"] is not None:
            return f"the key {options['key']} to {options['shard']}"
        slots = slots_named(options["slots"])
        moved = [
            slot for slot in slots if scheme.map.assignments[slot : slot + 1] != (options["shard"],)
        ]
        return f"{len(moved)} slots ({spans(moved)}) to {options['shard']}"

    def _confirm(self, plan: str, *, yes: bool) -> None:
        if yes:
            return
        self.stdout.write(
            self.style.WARNING("No rows are moved: what lies elsewhere will not be found any more.")
        )
        if input(f"Assign {plan}? Type yes: ") != "yes":
            raise CommandError("Nothing was changed.")

    def _split(self, options: dict[str, Any]) -> None:
        scheme = scheme_named(options["group"])
        version = scheme.map.version if options["expect"] is None else options["expect"]
        if options["dry_run"]:
            self.stdout.write(
                f"Would cut at {options['boundary']}, as version {version + 1}; no row changes its shard."
            )
            return
        new = split_range(scheme.alias, options["boundary"], version)
        self.stdout.write(self.style.SUCCESS(f"Cut at {options['boundary']}: version {new}."))
