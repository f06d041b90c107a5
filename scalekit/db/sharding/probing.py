"""Look for rows where an id alone does not say which shard has them.

A slot names one shard, until one of its keys is given a shard of its own. Then an id of that slot names two,
and a query by id asks each of them by the primary key, which is the cheapest query there is.
"""
# ruff: noqa: SLF001 - _base_manager is Django's documented API

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scalekit.db.sharding.declarations import pointed_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.db.models import Model


def located(field: Any, values: Iterable[Any], aliases: Sequence[str]) -> dict[Any, str]:
    """Return the first of the primaries that has the row which an id of `field` names, by id.

    That of the row itself, or of the one a foreign key points at. Ids that no shard has are left out.
    """
    target = pointed_at(field)
    missing = {target.to_python(value) for value in values}
    found: dict[Any, str] = {}
    for alias in aliases:
        if missing:
            rows = target.model._base_manager.using(alias).filter(**{f"{target.name}__in": missing})
            there = set(rows.values_list(target.name, flat=True))
            found |= dict.fromkeys(there, alias)
            missing -= there
    return found


def row_anywhere(field: Any, value: Any, aliases: Iterable[str | None]) -> Model | None:
    """Return the row a foreign key points at, from the first of the primaries that has it."""
    target = field.target_field
    for alias in aliases:
        rows = target.model._base_manager.using(alias)
        row: Model | None = rows.filter(**{target.attname: value}).first()
        if row is not None:
            return row
    return None
