from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from scalekit.db.conf import schemes, settings

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = "Say which shard holds the rows of a key."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("group", help="The shard group, as in SCALEKIT_DB_SHARDING.")
        parser.add_argument("key", help="The shard key, as in 7 or a UUID.")

    def handle(self, *_: Any, **options: Any) -> None:
        group, key = options["group"], options["key"]
        if group not in settings.SHARDING:
            known = ", ".join(settings.SHARDING) or "none"
            raise CommandError(
                f"There is no shard group {group!r}; SCALEKIT_DB_SHARDING has {known}."
            )
        scheme = schemes[group]
        slot = scheme.slot(key)
        self.stdout.write(f"{scheme.shard_for_slot(slot)} (slot {slot} of {scheme.slots})")
