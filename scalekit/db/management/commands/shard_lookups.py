from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.apps import apps

from scalekit.core.exceptions import ScalekitError
from scalekit.core.teaching import TeachingCommand
from scalekit.db.sharding.declarations import group_of
from scalekit.db.sharding.lookup_index.claiming import lookup_fields
from scalekit.db.sharding.lookup_index.rebuilding import Findings, count, examine, mend

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from django.db.models import Model

SHOWN = 20  # rows whose values are there twice


class Command(TeachingCommand):
    help = (
        "Compare the index of values that are unique across shards (shard_lookups) with the rows, and mend it.\n\n"
        "verify says what is wrong: rows that are not in the index, entries whose row is gone, values that two rows\n"
        "have. rebuild mends the first two; which of two rows keeps a value is yours to say. Both may run while the\n"
        "site does, and be run again at any time."
    )
    examples = (
        "examples:\n"
        "  manage.py shard_lookups verify\n"
        "  manage.py shard_lookups rebuild --model accounts.Member   after a column was added to shard_lookups\n"
        "  manage.py shard_lookups rebuild --dry-run                 what it would mend\n"
        "  manage.py shard_lookups verify --json                     for programs\n\n"
        "Exits with 1 if verify finds anything, and if rebuild leaves anything."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["verify", "rebuild"], help="what to do")
        parser.add_argument("--model", help="only this model, as in accounts.Member")
        parser.add_argument("--dry-run", action="store_true", help="change nothing")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def act(self, *, action: str, model: str | None, dry_run: bool, **options: Any) -> None:
        mending = action == "rebuild" and not dry_run
        found = [self._examined(each, mending=mending) for each in _models(model)]
        if options["json"]:
            self.print_json([asdict(findings) for findings in found])
        else:
            for findings in found:
                self._show(findings, "mended" if mending else "found")
        if any(findings.twice if mending else not findings.sound for findings in found):
            sys.exit(1)

    def _examined(self, model: type[Model], *, mending: bool) -> Findings:
        findings = Findings(model._meta.label)  # noqa: SLF001 - Django's documented API
        for chunk in self.watched(examine(model), count(model)):
            mend(chunk, findings, model, dry_run=not mending)
        return findings

    def _show(self, findings: Findings, done: str) -> None:
        say = self.style.SUCCESS if findings.sound else self.style.WARNING
        self.stdout.write(
            say(
                f"{findings.model}: {findings.checked} rows and entries; {done}: {findings.missing} rows that were not in "
                f"the index, {findings.dangling} entries without a row"
            )
        )
        for row in findings.twice[:SHOWN]:
            self.stdout.write(self.style.ERROR(f"  {row} is another row's too: change one of them"))
        if len(findings.twice) > SHOWN:
            self.stdout.write(self.style.ERROR(f"  and {len(findings.twice) - SHOWN} more"))


def _models(label: str | None) -> list[type[Model]]:
    found = [m for m in apps.get_models() if lookup_fields(m) and group_of(m) is not None]
    chosen = [m for m in found if label is None or m._meta.label_lower == label.lower()]  # noqa: SLF001 - Django's documented API
    if not chosen:
        known = ", ".join(m._meta.label for m in found) or "none"  # noqa: SLF001 - Django's documented API
        what = "No model has shard_lookups" if label is None else f"{label} has no shard_lookups"
        msg = f"{what} and a shard group in SCALEKIT_DB_SHARDING; models that have: {known}."
        raise ScalekitError(msg)
    return chosen
