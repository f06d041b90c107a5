from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from scalekit.core.teaching import TeachingCommand
from scalekit.db.sharding.keys import canonical_text
from scalekit.db.sharding.mapping.naming import scheme_named

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(TeachingCommand):
    help = "Say which shard holds the rows of a key."
    examples = (
        "examples:\n"
        "  manage.py which_shard users 7\n"
        "  manage.py which_shard users 12345678-1234-5678-1234-567812345678 --json"
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("group", help="The shard group, as in SCALEKIT_DB_SHARDING.")
        parser.add_argument("key", help="The shard key, as in 7 or a UUID.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def act(self, *, group: str, key: str, **options: Any) -> None:
        scheme = scheme_named(group)
        if scheme.looks_up_keys and not scheme.has_shard(key):
            raise CommandError(f"The key {key!r} has no shard in {group!r} yet.")
        alias, slot, version = scheme.shard_for(key), scheme.slot(key), scheme.map.version
        if options["json"]:
            self.print_json({"shard": alias, "slot": slot, "slots": scheme.slots, "map": version})
            return
        own = canonical_text(key) in scheme.map.directory
        note = ", by the key itself" if own or scheme.keyed else ""
        self.stdout.write(f"{alias} (slot {slot} of {scheme.slots}{note})")
        if not scheme.map.live:
            self.stdout.write(f"Not yet: the rows of {group} still lie unsharded.")
